"""Check a COCO keypoint file and its images, and list all that is wrong.

Ids and what refers to them, categories and their skeleton, keypoints and their number, boxes,
areas, and image files, which are all decoded. People who are annotated twice are told, but make no
file invalid. The exit status is 0 if all is well, 1 if something is wrong, and 2 if nothing could
be checked.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print
from pg2aug.utils.images import MAX_PIXELS
from pg2aug.validation.annotations import MARGIN_PX
from pg2aug.validation.coco import validate_coco


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('ann_file', type=Path, metavar='ANN', help='COCO keypoint json')
    images = parser.add_mutually_exclusive_group(required=True)
    images.add_argument('--img-root', type=Path, metavar='DIR', help='folder of its images')
    images.add_argument('--no-images', action='store_true', help='look at no image file')
    parser.add_argument(
        '--margin',
        type=float,
        default=MARGIN_PX,
        metavar='PX',
        help=f'how far boxes and joints may stand out of their image (default: {MARGIN_PX:g})',
    )
    parser.add_argument(
        '--max-pixels',
        type=int,
        default=MAX_PIXELS,
        metavar='N',
        help=f'larger images are not decoded, but listed (default: {MAX_PIXELS})',
    )
    parser.add_argument(
        '--follow-links', action='store_true', help='images may be links to outside of the folder'
    )
    parser.add_argument('--workers', type=int, default=4, metavar='N', help='default: 4')
    parser.add_argument(
        '--show', type=int, default=10, metavar='N', help='examples of each kind (default: 10)'
    )
    return parser.parse_args(argv)


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Check and list; the exit status."""
    args = parse_args(argv)
    counts: dict[str, int] = defaultdict(int)
    errors = 0
    examples: dict[str, list[str]] = defaultdict(list)
    problems = validate_coco(
        args.ann_file,
        args.img_root,
        margin_px=args.margin,
        max_pixels=args.max_pixels,
        follow_links=args.follow_links,
        workers=args.workers,
    )
    for problem in problems:
        counts[problem.rule] += 1
        errors += problem.is_error
        if counts[problem.rule] <= args.show:
            examples[problem.rule].append(str(problem))
    for rule, count in counts.items():
        print(f'{rule}: {count}')
        for line in examples[rule]:
            print(f'  {line}')
        if count > len(examples[rule]):
            print(f'  ... and {count - len(examples[rule])} more')
    told = sum(counts.values()) - errors
    verdict = f'{errors} problems' if errors else 'valid'
    print(f'{args.ann_file}: {verdict}{f", {told} to look at" if told else ""}')
    return 1 if errors else 0
