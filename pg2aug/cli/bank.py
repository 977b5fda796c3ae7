"""Build a pose bank from keypoint files: yours, other data sets', other skeletons', or 3-D ones.

ANN is a COCO keypoint json, images or no images, or an .npz/.npy of 3-D keypoints. PATH::METAINFO
names its joints by an MMPose data set config, e.g. mpii.json::configs/_base_/datasets/mpii.py.
"""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pg2aug.augment.eligibility import suitable_targets
from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print
from pg2aug.poses import PoseBank, Skeleton
from pg2aug.poses.bank.novel import add_novel_poses
from pg2aug.poses.read.conversion import nose_substitute
from pg2aug.poses.read.pose_files import FilePoses, PoseFile, metainfo_skeleton, read_poses
from pg2aug.poses.read.projection import WORLDS
from pg2aug.utils.files import check_not_read
from pg2aug.visualization.bank import plot_bank

_MIN_VISIBLE = 8
"""What PG2Augment and `pg2aug expand` need of a target pose by default."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('annotations', nargs='+', metavar='ANN', type=PoseFile.parse)
    parser.add_argument('--out', required=True, type=Path, help='the bank to write, .npz')
    parser.add_argument('--overwrite', action='store_true', help='replace an existing bank')
    parser.add_argument('--seed', type=int, default=0, help='of all that is random')
    parser.add_argument('--plot', type=Path, metavar='DIR', help='write pictures of the bank')
    joints = parser.add_argument_group('joints')
    joints.add_argument(
        '--metainfo',
        help="MMPose data set config with the bank's joints, e.g. 'configs/_base_/datasets/coco.py'"
        " (default: the reference's joints, or those of the first ANN)",
    )
    joints.add_argument(
        '--map',
        nargs='+',
        action='extend',
        default=[],
        type=_parse_substitute,
        metavar='JOINT=JOINT[+JOINT]',
        help='what stands for a joint of the bank in files that lack it, e.g. '
        'left_ankle=left_foot, or the middle of two: nose=upper_neck+head_top; of several for a '
        'joint, the first that a file has',
    )
    joints.add_argument(
        '--category',
        metavar='NAME',
        help='name or id of the category to read in each ANN, where they differ in their joints',
    )
    joints.add_argument(
        '--min-keypoints', type=int, help='fewest labelled joints (default: half of them)'
    )
    _add_rarity_arguments(parser.add_argument_group('rarity'))
    _add_view_arguments(parser.add_argument_group('3-D keypoints'))
    novel = parser.add_argument_group('new poses')
    novel.add_argument('--num-novel', type=int, default=0, metavar='N', help='poses to make up')
    novel.add_argument(
        '--max-turn', type=float, default=12.0, metavar='DEG', help='noise of their joint angles'
    )
    return parser.parse_args(argv)


def _add_rarity_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--reference',
        type=PoseFile.parse,
        metavar='ANN',
        help='the data set you augment: rare is what it lacks (default: what the bank has least)',
    )
    group.add_argument('--alpha', type=float, default=2.0, help='weights are rarity ** alpha')
    group.add_argument(
        '--density', choices=('knn', 'gmm'), default='knn', help='nearest neighbours or mixture'
    )
    group.add_argument(
        '--neighbours', type=int, help='k of the k-NN distance (default: 1/20 of the reference)'
    )
    group.add_argument(
        '--rotation-invariant',
        action='store_true',
        help='a handstand is no rarer than standing: for trainings with 180 degree rotations',
    )
    group.add_argument(
        '--mirror-invariant',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='a pose is as rare as its mirror image',
    )


def _add_view_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--world', choices=WORLDS, default='z-up', help='axes of the arrays')
    group.add_argument('--cameras', type=int, default=4, help='views of each pose')
    group.add_argument(
        '--elevation',
        type=float,
        nargs=2,
        default=(-10, 45),
        metavar=('LOW', 'HIGH'),
        help='of the cameras, degrees above the horizon (default: -10 45)',
    )
    group.add_argument(
        '--distance',
        type=float,
        nargs=2,
        default=(2.5, 8),
        metavar=('NEAR', 'FAR'),
        help='of the cameras, in body sizes (default: 2.5 8)',
    )


def _parse_substitute(text: str) -> tuple[str, tuple[str, ...]]:
    joint, separator, parts = text.partition('=')
    if not joint or not separator or not parts:
        raise argparse.ArgumentTypeError(f'expected JOINT=JOINT or JOINT=JOINT+JOINT, got {text!r}')
    return joint, tuple(parts.split('+'))


def _targets(poses: FilePoses) -> list[str]:
    """For each file, how many of its poses a person can be put into, and what to do about few."""
    skeleton = poses.skeleton
    needed = min(_MIN_VISIBLE, skeleton.num_keypoints)
    few = f', with min_visible={needed} or less' if needed < _MIN_VISIBLE else ''
    suitable = suitable_targets(poses.flags > 0, skeleton, needed)
    lines = []
    parts = np.split(suitable, np.cumsum(poses.sizes)[:-1])
    for part, joints in zip(parts, poses.joints, strict=True):
        line = f'{part.sum()} of {len(part)} poses can be targets of a person{few}'
        if part.sum() < len(part) / 2:
            head = ', '.join(skeleton.keypoint_names[k] for k in skeleton.head)
            found = nose_substitute(joints, skeleton.keypoint_names)
            remedy = f', e.g. --map {found[0]}={"+".join(found[1])}' if found else ''
            line += (
                f', which need {needed} joints, shoulders, hips and one of the head ({head}): '
                f'where joints are missing, name what stands for them by --map{remedy}'
            )
        lines.append(line)
    return lines


def build(args: argparse.Namespace) -> tuple[PoseBank, dict[str, Any]]:
    """Read, weigh and add new poses as the arguments say; the bank, and what `plot_bank` needs."""
    reading = dict(
        min_visible=args.min_keypoints,
        substitutes=args.map,
        category=args.category,
        world=args.world,
        cameras=args.cameras,
        elevation=tuple(args.elevation),
        distance=tuple(args.distance),
        seed=args.seed,
    )
    skeleton: Skeleton | None = metainfo_skeleton(args.metainfo) if args.metainfo else None
    reference = None
    if args.reference is not None:
        own = read_poses([args.reference], skeleton, **reading)
        skeleton, reference = own.skeleton, (own.keypoints, own.flags)
        print(f'reference {own.report[0]}; {len(own.keypoints)} poses')
    poses = read_poses(args.annotations, skeleton, **reading)
    print('\n'.join(f'{a}\n  {b}' for a, b in zip(poses.report, _targets(poses), strict=True)))
    bank = PoseBank.from_poses(
        poses.keypoints,
        poses.flags,
        poses.skeleton,
        reference=reference,
        alpha=args.alpha,
        neighbours=args.neighbours,
        density=args.density,
        rotation_invariant=args.rotation_invariant,
        mirror_invariant=args.mirror_invariant,
        seed=args.seed,
        counts=poses.counts,
    )
    new = None
    if args.num_novel:
        bank, new = add_novel_poses(
            bank,
            args.num_novel,
            max_turn=args.max_turn,
            min_visible=args.min_keypoints,
            seed=args.seed,
        )
    parents = None if new is None else new.parents
    return bank, dict(reference=reference, parents=parents, seed=args.seed)


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Build, report and write the bank; the exit status."""
    args = parse_args(argv)
    if args.out.suffix != '.npz':
        raise ValueError(f'--out must end in .npz, got {args.out}')
    if args.out.exists() and not args.overwrite:
        raise FileExistsError(f'{args.out} exists: pass --overwrite to replace it')
    read = [*args.annotations, *filter(None, [args.reference])]
    paths = [file.path for file in read] + [file.metainfo for file in read]
    check_not_read([args.out], [path for path in (*paths, args.metainfo) if path])
    if args.plot is not None and find_spec('matplotlib') is None:
        raise ImportError('--plot needs matplotlib: pip install matplotlib')
    bank, shown = build(args)
    bank.save(args.out)
    print(f'{bank.summary()}\nwritten: {args.out}')
    if args.plot is not None:
        files = plot_bank(bank, args.plot, **shown)
        print(f'pictures: {", ".join(map(str, files))}')
    return 0
