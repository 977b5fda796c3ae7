"""User study of the PG2 paper: which images do people take for real?

pg2aug study REAL_DIR FAKE_DIR --out study/
  writes study/index.html, a page that works without server or network; give that file to raters.
pg2aug study --score answers/*.json
  reads the files that they download at its end: R2G, real images rated generated, and G2R,
  generated images rated real.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print
from pg2aug.evaluation.user_study import KEY_FILE, PAGE_FILE, build_study
from pg2aug.evaluation.user_study_answers import read_study_id
from pg2aug.evaluation.user_study_score import format_score, score_answers, write_score
from pg2aug.utils.files import check_not_read

_BUILD_OPTIONS = ('num_images', 'seed', 'exposure')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('real_dir', nargs='?', type=Path, metavar='REAL_DIR')
    parser.add_argument('fake_dir', nargs='?', type=Path, metavar='FAKE_DIR')
    parser.add_argument('--out', type=Path, help='folder of the study, or json file of the score')
    build = parser.add_argument_group('building')
    build.add_argument('--num-images', type=int, metavar='N', help='of each kind (default: 55)')
    build.add_argument('--seed', type=int, help='of the draw of images (default: 0)')
    build.add_argument('--exposure', type=float, metavar='SECONDS', help='of an image (default: 1)')
    score = parser.add_argument_group('scoring')
    score.add_argument('--score', nargs='+', type=Path, metavar='ANSWERS', help='json files')
    score.add_argument(
        '--study', type=Path, metavar='DIR', help='accept answers of this study only (its folder)'
    )
    args = parser.parse_args(argv)
    given = [f'--{n.replace("_", "-")}' for n in _BUILD_OPTIONS if getattr(args, n) is not None]
    if args.score is not None and (args.real_dir is not None or given):
        parser.error(f'--score takes no {", ".join(given) or "folders of images"}')
    if args.score is None and (args.fake_dir is None or args.out is None):
        parser.error('name REAL_DIR, FAKE_DIR and --out, or --score ANSWERS')
    if args.score is None and args.study is not None:
        parser.error('--study goes with --score')
    return args


def build(args: argparse.Namespace) -> None:
    """Write the page and say what to do with it."""
    options = {n: getattr(args, n) for n in _BUILD_OPTIONS if getattr(args, n) is not None}
    key = build_study(args.real_dir, args.fake_dir, args.out, **options)
    page = args.out / PAGE_FILE
    number, protocol = key['protocol']['num_images'], key['protocol']
    print(
        f'study {key["study_id"]}: {number} real and {number} generated images of '
        f'{key["size"][0]}x{key["size"][1]}, {protocol["exposure_ms"] / 1000:g} s each, the first '
        f'{protocol["num_practice"]} for practice\n'
        f'give to raters: {page} ({page.stat().st_size / 1e6:.1f} MB)\n'
        f'keep: {args.out / KEY_FILE}, which says where each image comes from'
    )


def score(args: argparse.Namespace) -> None:
    """Print the score, and on stderr the files that are left out."""
    key = [] if args.study is None else [args.study / KEY_FILE]
    check_not_read([*filter(None, [args.out])], [*args.score, *key])
    wanted = None if args.study is None else read_study_id(args.study / KEY_FILE)
    result = score_answers(args.score, wanted)
    for left_out in result['left_out']:
        print(f'left out: {left_out}', file=sys.stderr)
    print(format_score(result))
    if args.out is not None:
        write_score(args.out, result)
        print(f'written: {args.out}')


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Build or score; the exit status."""
    args = parse_args(argv)
    build(args) if args.score is None else score(args)
    return 0
