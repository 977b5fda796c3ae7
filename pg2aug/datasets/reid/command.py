"""The command line of the converters."""

import argparse
import sys
from pathlib import Path

from pg2aug.datasets.coco_files import ANNOTATION_FILE, PAIRS_FILE, REPORT_FILE, check_free
from pg2aug.datasets.reid.conversion import Conversion, convert
from pg2aug.datasets.reid.formats import ReidFormat


def run_converter(dataset: ReidFormat, description: str, argv: list[str] | None = None) -> int:
    """Convert as the command line says, print the report, and return the exit status."""
    args = _parse_args(dataset, description, argv)
    try:
        conversion = _convert(dataset, args)
        conversion.write(args.out)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print('\n'.join(conversion.report.lines()))
    print(f'written: {ANNOTATION_FILE}, {PAIRS_FILE}, {REPORT_FILE} (every finding) in {args.out}')
    return 0


def _parse_args(
    dataset: ReidFormat, description: str, argv: list[str] | None
) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
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
