"""Estimate the poses of your own images, and write them as a data set of persons.

Runs any top-down model of MMPose over IMAGES and its subfolders and writes person_keypoints.json
(COCO keypoints with person_id) and report.json into DIR. One person an image: IMAGES/alice/*.jpg
are one person, or as --identities says. Nothing is downloaded.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from pg2aug.annotation import (
    ImageEstimator,
    annotate_images,
    csv_identities,
    folder_identities,
    read_boxes,
)
from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print
from pg2aug.datasets.coco_files import ANNOTATION_FILE, REPORT_FILE, check_free, write_together
from pg2aug.datasets.conversion_report import ConversionReport
from pg2aug.datasets.image_index import SUFFIXES, ImageIndex
from pg2aug.datasets.reid.pose_csv import Finding


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('images', type=Path, metavar='IMAGES', help='folder of the images')
    parser.add_argument(
        '--pose-model', required=True, metavar='CONFIG', help="an MMPose top-down model's config"
    )
    parser.add_argument('--pose-checkpoint', required=True, metavar='CKPT', help='its weights')
    parser.add_argument('--out', required=True, type=Path, metavar='DIR', help='where to write')
    parser.add_argument(
        '--identities',
        type=Path,
        metavar='CSV',
        help='file_name,person_id of each image (default: each folder below IMAGES is a person)',
    )
    parser.add_argument(
        '--boxes',
        type=Path,
        metavar='JSON',
        help='COCO json with the box of the person in each image; of several the one of the '
        'highest score, or the largest (default: the whole image)',
    )
    parser.add_argument(
        '--category',
        metavar='NAME',
        help='name or id of the category of --boxes that is the person (default: person)',
    )
    parser.add_argument(
        '--min-score',
        type=float,
        default=0.3,
        metavar='S',
        help='least score of a labelled joint (default: 0.3)',
    )
    parser.add_argument('--device', metavar='D', help='a GPU if there is one, else cpu')
    parser.add_argument('--batch-size', type=int, default=32, metavar='B')
    parser.add_argument(
        '--workers', type=int, default=0, metavar='W', help='processes that read images'
    )
    args = parser.parse_args(argv)
    if args.batch_size < 1 or args.workers < 0:
        parser.error('--batch-size must be 1 or more, --workers 0 or more')
    if args.category is not None and args.boxes is None:
        parser.error('--category is of --boxes: give both')
    return args


def choose_device(name: str | None) -> torch.device:
    """The device of that name, or the best there is.

    Raises:
        ValueError: If a GPU is asked for and there is none.
    """
    device = torch.device(name or ('cuda' if torch.cuda.is_available() else 'cpu'))
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'--device {name}: PyTorch finds no CUDA GPU; use --device cpu')
    return device


def annotate(args: argparse.Namespace) -> ConversionReport:
    """Estimate the poses, and write them and the report."""
    check_free(args.out, [ANNOTATION_FILE, REPORT_FILE])  # before minutes of estimating
    index = ImageIndex(args.images)
    paths = [path for path in index.paths if not _is_hidden(path)]
    if not paths:
        raise ValueError(f'there is no image in {args.images} or below')
    report = ConversionReport(f'{len(paths)} images in {args.images}')
    for path in index.others:
        if not _is_hidden(path):
            reason = f'images end in {", ".join(sorted(SUFFIXES))}'
            report.add('files with other endings', Finding(path, reason))
    if args.identities is None:
        people = folder_identities(paths, report)
    else:
        people = csv_identities(args.identities, paths, report)
    boxes = None if args.boxes is None else read_boxes(args.boxes, paths, report, args.category)
    estimator = ImageEstimator(args.pose_model, args.pose_checkpoint, choose_device(args.device))
    content = annotate_images(
        args.images,
        people,
        estimator,
        report,
        boxes=boxes,
        min_score=args.min_score,
        batch_size=args.batch_size,
        workers=args.workers,
        progress=sys.stderr.isatty(),
    )
    texts = {
        ANNOTATION_FILE: json.dumps(content),
        REPORT_FILE: json.dumps(report.to_dict(), indent=1),
    }
    write_together(args.out, texts)
    return report


def _is_hidden(path: str) -> bool:
    return path.startswith('.') or '/.' in path


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Annotate, and print the report; the exit status."""
    args = parse_args(argv)
    report = annotate(args)
    print('\n'.join(report.lines()))
    print(f'written: {ANNOTATION_FILE}, {REPORT_FILE} (every finding) in {args.out}')
    return 0
