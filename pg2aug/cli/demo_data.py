"""Write procedural people: images and COCO keypoint files of a train and a val split."""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print
from pg2aug.figures import make_figures
from pg2aug.utils.output import writing_folder

# Far above any number of people to train on, so that val stays the same when that number changes.
VAL_FIRST_PERSON_ID = 1_000_000


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


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Write both splits and print what was written; the exit status."""
    args = parse_args(argv)
    with writing_folder(args.out, 'demo-data', overwrite=args.overwrite) as folder:
        for split, people, first in (
            ('train', args.train_people, 0),
            ('val', args.val_people, VAL_FIRST_PERSON_ID),
        ):
            if split == 'val' and people == 0:
                continue
            start = time.perf_counter()
            annotation_file = make_figures(
                folder,
                people,
                args.images_per_person,
                size=tuple(args.size),
                rare_fraction=args.rare_fraction,
                seed=args.seed,
                split_name=split,
                first_person_id=first,
            )
            seconds = time.perf_counter() - start
            _report(annotation_file, args.out, split, people, seconds)
    return 0


def _report(annotation_file: Path, out: Path, split: str, people: int, seconds: float) -> None:
    count = len(json.loads(annotation_file.read_text())['images'])
    print(
        f'{split}: {people} people, {count} images, {count / seconds:.0f} images/s '
        f'-> {out / annotation_file.name}'
    )
