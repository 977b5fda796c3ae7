"""The paper's Table 1 on procedural people: six systems, trained and tested by the project's tools.

Usage: python -m benchmarks.paper_table [--size cpu|gpu] [--seeds 0 1 2]

Trains G1-CE-L1, G1-HME-L1, G1-L1, G1+D and the full model for every seed (G1-poseMaskLoss is stage
I of the full model), then stage II of the first seed's full model with other lambdas, tests them on
people whom they have not seen, and writes docs/results/paper_table.{json,md,png}. Every step is
skipped where its result is in the work directory, and a training goes on where it was interrupted:
an interrupted run is simply started again.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from benchmarks.common.files import RESULTS, ROOT, check_settings
from benchmarks.paper_table.report import report
from benchmarks.paper_table.systems import SIZES, SYSTEMS, TRAININGS, make_splits, test, train

LAMBDAS = (10.0, 250.0)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', choices=SIZES, default='cpu')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=2, help='trainings at a time')
    parser.add_argument('--train-only', action='store_true', help='test and report another time')
    parser.add_argument('--work-dir', type=Path)
    parser.add_argument('--out', type=Path, default=RESULTS)
    args = parser.parse_args()
    args.work_dir = (args.work_dir or ROOT / 'work_dirs' / f'paper_table_{args.size}').resolve()
    return args


def main() -> None:
    """Train what is missing, test what is not tested yet, write the report."""
    args = parse_args()
    size, work_dir = SIZES[args.size], args.work_dir
    work_dir.mkdir(parents=True, exist_ok=True)
    check_settings(work_dir, asdict(size))
    make_splits(work_dir / 'people', size)
    checkpoints: dict[tuple[str, int, float | None], Path] = {}
    # Lambda acts on what stage I of the same seed has left.
    all_systems = [(training, seed, None) for seed in args.seeds for training in TRAININGS]
    sweep = [('pg2', args.seeds[0], weight) for weight in LAMBDAS]
    for jobs in (all_systems, sweep):
        with ThreadPoolExecutor(args.jobs) as pool:
            paths = pool.map(lambda job: train(job[0], job[1], size, work_dir, job[2]), jobs)
            checkpoints.update(zip(jobs, paths, strict=True))
    if args.train_only:
        return
    tested = work_dir / 'tested'
    for seed in args.seeds:
        for name, system in SYSTEMS.items():
            checkpoint = checkpoints[system.training, seed, None]
            test(system, checkpoint, size.test_pairs, tested / f'{name}_{seed}')
    for job in sweep:
        out = tested / f'pg2_{job[1]}_lambda{job[2]:g}'
        test(SYSTEMS['pg2'], checkpoints[job], size.test_pairs, out)
    report(args, LAMBDAS)


if __name__ == '__main__':
    main()
