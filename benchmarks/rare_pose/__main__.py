"""Does PG2Augment make a pose estimator better at rare poses?

Usage: python -m benchmarks.rare_pose [--size cpu] [--parts ...] [--regimes ...] [--arms ...]

Trains and tests MMPose estimators on procedural people. Every run's result is appended to a file as
it comes; runs that are in it are not run again, so that an interrupted experiment is simply started
again.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from benchmarks.common.files import add_run
from benchmarks.rare_pose.arms import ARMS
from benchmarks.rare_pose.plan import PARTS, REGIMES, default_runs, done, settings
from benchmarks.rare_pose.runs import SIZES, run


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', choices=SIZES, default='cpu')
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS))
    parser.add_argument('--regimes', nargs='+', choices=REGIMES, default=list(REGIMES))
    parser.add_argument('--arms', nargs='+', choices=ARMS, default=list(ARMS))
    parser.add_argument('--seeds', type=int, nargs='+', help='all, if not given')
    parser.add_argument(
        '--again', action='store_true', help='run once more what is there, too: how much is chance'
    )
    parser.add_argument('--jobs', type=int, default=2, help='runs at a time')
    parser.add_argument('--work-dir', type=Path)
    parser.add_argument('--runs', type=Path, help='file of results, one line each')
    args = parser.parse_args()
    args.runs = args.runs or (
        args.work_dir / 'runs.jsonl' if args.work_dir else default_runs(args.size)
    )
    args.work_dir = (args.work_dir or default_runs(args.size).parent).resolve()
    return args


def main() -> None:
    """Run what is missing."""
    args = parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    there, of_parts = done(args.runs), settings(SIZES[args.size])
    missing = [
        setting
        for part in args.parts
        for setting in of_parts[part]
        if setting.regime in args.regimes
        and setting.arm in args.arms
        and (args.seeds is None or setting.seed in args.seeds)
        and (args.again or setting not in there)
    ]
    print(f'{len(missing)} runs to do')
    with ProcessPoolExecutor(args.jobs, get_context('spawn'), max_tasks_per_child=1) as pool:
        waiting = {pool.submit(run, s, SIZES[args.size], args.work_dir): s for s in missing}
        for future in as_completed(waiting):
            result = future.result()
            add_run(args.runs, result)
            shown = {k: result[k] for k in ('rare', 'common', 'rarest', 'accepted', 'seconds')}
            print(asdict(waiting[future]), shown, flush=True)


if __name__ == '__main__':
    main()
