"""What can be seen of PG2Augment on real images at hand: one man before four cameras.

Usage: python -m benchmarks.rare_real [--data DIR] [--regimes ...] [--arms ...] [--seeds ...]

An estimator learns from the frames in which the man stands, and is tested on those in which he
leans over and balances, above all before one camera whose poses nobody knows. Every run's result is
appended to a file as it comes; runs that are in it are not run again. The report is written anew
after each.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from benchmarks.common.files import RESULTS, ROOT, add_run, read_runs
from benchmarks.rare_pose.plan import default_runs, done
from benchmarks.rare_pose.runs import Setting, pretrained, run_in
from benchmarks.rare_real.report import ARMS, SIZE, report, settings, view_of
from benchmarks.rare_real.world import BANKS, RealWorld


def world(setting: Setting, data: Path, work_dir: Path) -> RealWorld:
    """The frames that a run learns from, and its poses."""
    view = view_of(setting.seed)
    folder = work_dir / 'worlds' / f'{setting.regime}_{view}'
    return RealWorld(folder, view, SIZE.images, 0.0, True, SIZE.image, data, view, setting.regime)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, default=ROOT / 'data')
    parser.add_argument('--regimes', nargs='+', choices=BANKS, default=list(BANKS))
    parser.add_argument('--arms', nargs='+', default=list(ARMS['motion_bank']))
    parser.add_argument('--seeds', type=int, nargs='+', default=list(range(8)))
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'rare_real')
    parser.add_argument('--out', type=Path, default=RESULTS)
    parser.add_argument('--start', type=Path, help="the estimator's checkpoint (default: made)")
    return parser.parse_args()


def main() -> None:
    """Run what is missing."""
    args = parse_args()
    if not (args.data / 'balance4view').is_dir():
        raise SystemExit(f'{args.data} has no balance4view: name its folder with --data')
    work_dir = args.work_dir.resolve()
    work_dir.mkdir(parents=True, exist_ok=True)
    path = work_dir / 'runs.jsonl'
    there = done(path)
    # The one that the experiment on procedural people starts from.
    start = args.start or pretrained(SIZE, default_runs('cpu').parent)
    for setting in settings():
        wanted = (setting.regime in args.regimes, setting.arm in args.arms,
                  setting.seed in args.seeds)  # fmt: skip
        if setting in there or not all(wanted):
            continue
        result = run_in(world(setting, args.data, work_dir), setting, SIZE, work_dir, start)
        add_run(path, result)
        print(asdict(setting), result, flush=True)
        report(read_runs(path), args.out)
    if there:
        # Where nothing was missing, the tables are made again all the same.
        report(read_runs(path), args.out)


if __name__ == '__main__':
    main()
