"""Split a COCO keypoint file into the people in the rarest poses and all others.

To test an estimator on rare poses, to leave them out of a training set, or to see them more often.
Rarity is that of the pose bank (docs/pose_bank.md). All annotations of a person who is annotated
twice go together. ANN::METAINFO names the joints by an MMPose
data set config, e.g. crowdpose.json::configs/_base_/datasets/crowdpose.py.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print
from pg2aug.poses import PoseBank, Skeleton
from pg2aug.poses.read.categories import keypoint_categories
from pg2aug.poses.read.coco import keypoint_values, least_visible, read_coco_poses
from pg2aug.poses.read.keypoint_file import as_read
from pg2aug.poses.read.pose_files import PoseFile, metainfo_skeleton
from pg2aug.poses.same_person import annotations_twice
from pg2aug.utils.files import check_not_read, load_json, naming, were_interrupted, write_files


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'source', type=PoseFile.parse, metavar='ANN', help='COCO keypoint json, or ANN::METAINFO'
    )
    parser.add_argument(
        '--share', type=_share, default=0.1, help='of the judged poses that is rare (default: 0.1)'
    )
    parser.add_argument('--rarest', type=Path, metavar='JSON', help='the people in these poses')
    parser.add_argument(
        '--others',
        type=Path,
        metavar='JSON',
        help='everybody else, also those who show too little to be judged',
    )
    parser.add_argument(
        '--reference',
        type=Path,
        metavar='ANN',
        help='the data set of the same joints in which poses are rare, e.g. that of the training '
        '(default: ANN)',
    )
    parser.add_argument(
        '--category',
        metavar='NAME',
        help='name or id of the category whose people are judged, where categories differ in their '
        'joints; all others are in --others',
    )
    parser.add_argument(
        '--min-keypoints', type=int, help='fewest labelled joints (default: half of them)'
    )
    parser.add_argument(
        '--rotation-invariant', action='store_true', help='a handstand is no rarer than standing'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace existing files')
    args = parser.parse_args(argv)
    if args.rarest is None and args.others is None:
        parser.error('nothing to write: pass --rarest JSON, --others JSON, or both')
    return args


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f'expected a share between 0 and 1, got {text}')
    return value


def check_outputs(args: argparse.Namespace) -> None:
    """Make the folders of the files to be written.

    Raises:
        ValueError: If one of them exists or is an input, or both parts are one file.
    """
    paths = [path for path in (args.rarest, args.others) if path is not None]
    if len({path.resolve() for path in paths}) < len(paths):
        raise ValueError(f'{paths[0]} is named twice: every part needs a file of its own')
    check_not_read(paths, [args.source.path, *filter(None, [args.reference])])
    may_replace = args.overwrite or were_interrupted(paths)
    for path in paths:
        if path.exists() and not may_replace:
            raise ValueError(f'{path} exists: pass --overwrite to replace it')
        path.parent.mkdir(parents=True, exist_ok=True)


def rarest_annotations(args: argparse.Namespace, content: dict[str, Any]) -> tuple[set[int], int]:
    """Which annotations, by position, are in the rarest poses, and how many were judged.

    Args:
        args: The command line.
        content: Of the file to split.

    Raises:
        ValueError: If a file is no COCO keypoint file, or none of its poses can be judged.
    """
    source: PoseFile = args.source
    skeleton = metainfo_skeleton(source.metainfo) if source.metainfo else None
    names = None if skeleton is None else skeleton.keypoint_names
    # Also what says what is wrong with a file.
    reading = dict(min_visible=args.min_keypoints, category=args.category)
    skeleton = read_coco_poses([source.path], skeleton=skeleton, **reading)[2]
    if not isinstance(content, dict) or 'images' not in content:
        raise ValueError(f"{source.path} is no COCO keypoint file with images: it has no 'images'")
    reference = None
    if args.reference is not None:
        reference = read_coco_poses([args.reference], skeleton=skeleton, **reading)[:2]
    least = least_visible(skeleton.num_keypoints, args.min_keypoints)
    content = as_read(content, source.path)
    categories = content.get('categories') or []
    meant = keypoint_categories(categories, source.path, names, args.category)
    others = {c.get('id') for c in categories} - {c.get('id') for c in meant}
    annotations = content['annotations']
    values = [keypoint_values(annotation, skeleton.num_keypoints) for annotation in annotations]
    judged = [
        number
        for number, annotation in enumerate(annotations)
        if not annotation.get('iscrowd')
        and annotation.get('category_id') not in others
        and np.count_nonzero(values[number][2::3]) >= least
    ]
    triplets = np.array([values[number] for number in judged], np.float64)
    triplets = triplets.reshape(len(judged), skeleton.num_keypoints, 3)
    rarity = PoseBank.from_poses(
        triplets[..., :2].astype(np.float32),
        triplets[..., 2],
        skeleton,
        reference=reference,
        rotation_invariant=args.rotation_invariant,
    ).rarity
    # Implausible poses, which are mostly errors of annotation, have no rarity.
    plausible = np.flatnonzero(np.isfinite(rarity))
    number = max(1, round(args.share * len(plausible)))
    rarest = plausible[np.argsort(-rarity[plausible], kind='stable')[:number]]
    found = {judged[index] for index in rarest}
    posed = [{**a, 'keypoints': list(v)} for a, v in zip(annotations, values, strict=True)]
    return _with_doubles(found, posed, skeleton), len(plausible)


def _with_doubles(
    rarest: set[int], annotations: list[dict[str, Any]], skeleton: Skeleton
) -> set[int]:
    """The rarest, with all annotations of the same people: nobody is to be in both parts."""
    doubles = annotations_twice(annotations, skeleton.keypoint_names)
    first_of = dict(doubles)
    rare = {first_of.get(number, number) for number in rarest}
    return rare | {later for later, first in doubles if first in rare}


def make_part(content: dict[str, Any], annotations: list[dict[str, Any]]) -> dict[str, Any]:
    """Some annotations of a file, with the images that they are in."""
    images = {annotation['image_id'] for annotation in annotations}
    return content | {
        'images': [image for image in content['images'] if image['id'] in images],
        'annotations': annotations,
    }


def split(args: argparse.Namespace) -> None:
    """Split and report as the command line says."""
    content = load_json(args.source.path)
    rarest, judged = rarest_annotations(args, content)
    annotations = content['annotations']
    parts = {}
    for path, rare in ((args.rarest, True), (args.others, False)):
        if path is not None:
            chosen = [a for k, a in enumerate(annotations) if (k in rarest) == rare]
            parts[path] = make_part(content, chosen)
    write_files({path: json.dumps(part).encode() for path, part in parts.items()})
    print(f'{len(rarest)} rare of {judged} judged poses, of {len(annotations)} annotations')
    for path, part in parts.items():
        print(f'{path}: {len(part["annotations"])} annotations, {len(part["images"])} images')


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Split and report; the exit status."""
    args = parse_args(argv)
    check_outputs(args)
    with naming(args.source.path):
        split(args)
    return 0
