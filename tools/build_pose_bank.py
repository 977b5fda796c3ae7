"""Build a pose bank from COCO keypoint files.

Usage: python tools/build_pose_bank.py ANN [ANN ...] --out bank.npz
"""

import argparse
import sys
from pathlib import Path

from pg2aug.poses import PoseBank, Skeleton


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('annotations', nargs='+', metavar='ANN', help='COCO keypoint json')
    parser.add_argument('--out', required=True, type=Path, help='the bank to write, .npz')
    parser.add_argument('--alpha', type=float, default=2.0, help='weights are rarity ** alpha')
    parser.add_argument(
        '--neighbours', type=int, help='k of the k-NN distance (default: 1/20 of the reference)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the random reference set')
    parser.add_argument(
        '--min-keypoints', type=int, help='fewest labelled joints (default: half of them)'
    )
    parser.add_argument(
        '--metainfo',
        help="MMPose data set config, e.g. 'configs/_base_/datasets/crowdpose.py': takes the "
        "joints to be that data set's, whatever names and links the files give",
    )
    parser.add_argument('--overwrite', action='store_true', help='replace an existing bank')
    return parser.parse_args(argv)


def read_skeleton(metainfo: str | None) -> Skeleton | None:
    """Read an MMPose data set config; None without one."""
    if metainfo is None:
        return None
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    return Skeleton.from_metainfo(parse_pose_metainfo({'from_file': metainfo}))


def main(argv: list[str] | None = None) -> int:
    """Build, report and write the bank; the exit status."""
    args = parse_args(argv)
    if args.out.exists() and not args.overwrite:
        print(f'{args.out} exists: pass --overwrite to replace it', file=sys.stderr)
        return 1
    try:
        bank = PoseBank.from_annotations(
            args.annotations,
            min_visible=args.min_keypoints,
            skeleton=read_skeleton(args.metainfo),
            alpha=args.alpha,
            neighbours=args.neighbours,
            seed=args.seed,
        )
        bank.save(args.out)
    except (ValueError, FileNotFoundError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'{bank.summary()}\nwritten: {args.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
