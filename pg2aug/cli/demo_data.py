"""Write procedural people: images and COCO keypoint files of a train and a val split."""

import argparse
import json
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print
from pg2aug.figures import make_figures
from pg2aug.figures.files import DESCRIPTION

# Far above any number of people to train on, so that val stays the same when that number changes.
VAL_FIRST_PERSON_ID = 1_000_000
SPLITS = ('train', 'val')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path, metavar='OUT', help='folder to write into')
    parser.add_argument('--train-people', type=int, default=200, metavar='N')
    parser.add_argument('--val-people', type=int, default=20, metavar='N', help='0 writes no val')
    parser.add_argument('--images-per-person', type=int, default=12, metavar='N')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(96, 128), metavar=('W', 'H'), help='in pixels'
    )
    parser.add_argument(
        '--rare-fraction', type=float, default=0.3, metavar='F', help='share of rare poses, 0 to 1'
    )
    parser.add_argument('--seed', type=int, default=0, metavar='S')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the figures that OUT holds'
    )
    return parser.parse_args(argv)


def prepare_folder(out: Path, overwrite: bool) -> None:
    """Make sure that ``out`` is empty, deleting nothing but figures.

    Raises:
        FileExistsError: if ``out`` holds anything but figures, or figures without ``overwrite``.
    """
    if out.is_file():
        raise FileExistsError(f'{out} is a file; name a folder')
    found = sorted(out.iterdir()) if out.is_dir() else []
    foreign = [str(path.relative_to(out)) for entry in found for path in _foreign_files(entry)]
    if foreign:
        raise FileExistsError(
            f'{out} holds something else than figures ({foreign[0]}); '
            'choose a new or an empty folder'
        )
    if found and not overwrite:
        raise FileExistsError(f'{out} already holds figures; pass --overwrite to replace them')
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Write both splits and print what was written; the exit status."""
    args = parse_args(argv)
    prepare_folder(args.out, args.overwrite)
    for split, people, first in (
        ('train', args.train_people, 0),
        ('val', args.val_people, VAL_FIRST_PERSON_ID),
    ):
        if split == 'val' and people == 0:
            continue
        start = time.perf_counter()
        annotation_file = make_figures(
            args.out,
            people,
            args.images_per_person,
            size=tuple(args.size),
            rare_fraction=args.rare_fraction,
            seed=args.seed,
            split_name=split,
            first_person_id=first,
        )
        _report(annotation_file, split, people, time.perf_counter() - start)
    return 0


def _foreign_files(entry: Path) -> list[Path]:
    """What at or below an entry of the output folder this tool has not written."""
    if entry.name == 'images' and entry.is_dir():
        paths = (path for path in entry.rglob('*') if not path.is_dir())
        return [path for path in paths if not _is_figure(path, entry)]
    ours = entry.name in {f'person_keypoints_{split}.json' for split in SPLITS}
    return [] if ours and DESCRIPTION in entry.read_text() else [entry]


def _is_figure(path: Path, image_dir: Path) -> bool:
    in_split = path.parent.parent == image_dir and path.parent.name in SPLITS
    return in_split and re.fullmatch(r'\d{6,}_\d{3,}\.jpg', path.name) is not None


def _report(annotation_file: Path, split: str, people: int, seconds: float) -> None:
    count = len(json.loads(annotation_file.read_text())['images'])
    print(
        f'{split}: {people} people, {count} images, {count / seconds:.0f} images/s '
        f'-> {annotation_file}'
    )
