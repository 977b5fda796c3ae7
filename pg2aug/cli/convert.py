"""Convert Market-1501 or DeepFashion In-shop to COCO keypoints with identities, and pairs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pg2aug.cli.exit_status import Main, exit_status
from pg2aug.cli.printing import print
from pg2aug.datasets.coco_files import ANNOTATION_FILE, PAIRS_FILE, REPORT_FILE, check_free
from pg2aug.datasets.reid.conversion import Conversion, convert
from pg2aug.datasets.reid.formats import DEEPFASHION, MARKET1501, ReidFormat

FORMATS = {'market1501': MARKET1501, 'deepfashion': DEEPFASHION}

_DESCRIPTIONS = {
    'market1501': """\
Convert Market-1501 and its poses to COCO keypoints with identities, and pairs.

Writes person_keypoints.json, pairs.csv and report.json into DIR. IMAGE_DIR is the folder of the
part that the annotations are of: bounding_box_train or bounding_box_test. Joints are OpenPose's 18.
""",
    'deepfashion': """\
Convert DeepFashion In-shop and its poses to COCO keypoints with identities, and pairs.

Writes person_keypoints.json, pairs.csv and report.json into DIR. IMAGE_DIR may be the download's
folder img, as it is (img/WOMEN/Dresses/id_00000002/02_1_front.jpg), or one of images under the
names of the annotations (fashionWOMENDressesid0000000202_1front.jpg): nothing need be renamed.
Joints are OpenPose's 18.
""",
}


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Convert the data set that the first argument names; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('dataset', choices=tuple(FORMATS), help='DATASET --help says more')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, help='of its conversion')
    args = parser.parse_args(argv)
    return _run(args.dataset, args.arguments, f'{parser.prog} {args.dataset}')


def converter(name: str) -> Main:
    """The command that converts one data set of ``FORMATS``."""

    @exit_status
    def run(argv: Sequence[str] | None = None) -> int:
        return _run(name, argv)

    return run


def _run(name: str, argv: Sequence[str] | None, prog: str | None = None) -> int:
    args = _parse_args(FORMATS[name], _DESCRIPTIONS[name], argv, prog)
    conversion = _convert(FORMATS[name], args)
    conversion.write(args.out)
    print('\n'.join(conversion.report.lines()))
    print(f'written: {ANNOTATION_FILE}, {PAIRS_FILE}, {REPORT_FILE} (every finding) in {args.out}')
    return 0


def _parse_args(
    dataset: ReidFormat, description: str, argv: Sequence[str] | None, prog: str | None
) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'annotations',
        type=Path,
        metavar='ANNOTATIONS.csv',
        help='poses, name:keypoints_y:keypoints_x',
    )
    parser.add_argument(
        'image_dir', type=Path, metavar='IMAGE_DIR', help='folder of the images, however deep below'
    )
    parser.add_argument(
        '--out', required=True, type=Path, metavar='DIR', help='folder to write into'
    )
    parser.add_argument(
        '--allow-missing-images',
        action='store_true',
        help='keep the rows of images that are not there',
    )
    parser.add_argument(
        '--coordinates',
        choices=[str(frame) for frame in dataset.frames],
        help='size of the images that the coordinates are meant for (default: found out)',
    )
    parser.add_argument(
        '--pairs',
        type=Path,
        metavar='CSV',
        help='pairs to write, from,to (default: all pairs of images of a person that show both '
        'shoulders and both hips)',
    )
    parser.add_argument('--num-pairs', type=int, metavar='N', help='draw N of the pairs')
    parser.add_argument('--seed', type=int, default=0, metavar='S', help='of --num-pairs')
    args = parser.parse_args(argv)
    if not 0 <= args.seed < 2**32:
        parser.error(f'--seed must be 0 to 2**32 - 1, got {args.seed}')
    return args


def _convert(dataset: ReidFormat, args: argparse.Namespace) -> Conversion:
    check_free(args.out, [ANNOTATION_FILE, PAIRS_FILE, REPORT_FILE])  # before minutes of reading
    return convert(
        dataset,
        args.annotations,
        args.image_dir,
        allow_missing=args.allow_missing_images,
        coordinates=args.coordinates,
        pairs_file=args.pairs,
        num_pairs=args.num_pairs,
        seed=args.seed,
        progress=sys.stderr.isatty(),
    )
