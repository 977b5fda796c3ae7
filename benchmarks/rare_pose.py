"""Does PG2Augment make a pose estimator better at rare poses?

Usage: python benchmarks/rare_pose.py [--size cpu] [--parts ...] [--regimes ...] [--arms ...]

Trains and tests MMPose estimators on procedural people. Every run's result is appended to a file as
it comes; runs that are in it are not run again, so that an interrupted experiment is simply started
again.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rare_arms import ARMS
from rare_runs import SHARE, SIZES, Setting, Size, run
from rare_worlds import ROOT

REGIMES = {'external_bank': 0.0, 'few_rare': 0.025}
DECIDING = {
    'external_bank': ('rotation_oversampling', 'pg2_rotation', 'limb_warp_rotation',
                      'render_rotation', 'baseline', 'rotation', 'oversampling'),
    'few_rare': ('rotation_oversampling', 'pg2_rotation_oversampling',
                 'limb_warp_rotation_oversampling', 'render_rotation', 'baseline', 'rotation',
                 'pg2_rotation'),
}  # fmt: skip
WITHOUT_ROTATION = (
    *('pg2', 'pg2_uniform', 'pg2_rare'),
    *('pg2_unchecked', 'pg2_own_check', 'pg2_offline'),
)
OTHERS = {
    'external_bank': (*WITHOUT_ROTATION, 'render'),
    'few_rare': ('oversampling', *WITHOUT_ROTATION),
}


@dataclass(frozen=True)
class Sweep:
    """Runs that differ from those of a regime in one thing.

    Attributes:
        key: What is varied, of :class:`rare_runs.Setting`.
        regime: Where.
        values: Beside the usual one.
        arms: Those that are run with each value.
        seeds: Of each: such as have the usual run, too, from the same start.
    """

    key: str
    regime: str
    values: tuple[float, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 2)


BOTH = 'rotation_oversampling', 'pg2_rotation'
FEW_BOTH = 'rotation_oversampling', 'pg2_rotation_oversampling'
SWEEPS = (
    Sweep('share', 'external_bank', (0.05, 0.15, 0.3, 0.6), ('pg2_rotation',)),
    # Whether common poses keep more where less is synthesised and oversampled, as is recommended.
    Sweep('share', 'few_rare', (0.3,), FEW_BOTH, seeds=(2, 3, 4)),
    Sweep('images', 'external_bank', (200, 2000, 6000), BOTH),
    Sweep('iterations', 'external_bank', (0, 500, 3000), ('baseline', *BOTH)),
    # The regime's own share is a point, too.
    Sweep('rare_share', 'few_rare', (0.0, 0.005, 0.08), FEW_BOTH, seeds=(2, 3)),
)
SEEDS = {'deciding': 5, 'others': 3}
PARTS = *SEEDS, 'sweeps'


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


def default_runs(size: str) -> Path:
    """Where the results of a size are, if nobody says otherwise."""
    return ROOT / 'work_dirs' / f'rare_pose_{size}' / 'runs.jsonl'


def settings(size: Size) -> dict[str, list[Setting]]:
    """The runs of each part, in the order in which they are wanted."""

    def usual(regime: str, arms: Sequence[str], seeds: Iterable[int]) -> list[Setting]:
        rare_share = REGIMES[regime]
        return [
            Setting(regime, arm, seed, size.images, rare_share, SHARE, size.iterations)
            for seed in seeds
            for arm in arms
        ]

    parts = {'deciding': DECIDING, 'others': OTHERS}
    found = {
        part: [s for regime in REGIMES for s in usual(regime, arms[regime], range(SEEDS[part]))]
        for part, arms in parts.items()
    }
    found['sweeps'] = [
        replace(setting, **{sweep.key: value})
        for sweep in SWEEPS
        for value in sweep.values
        for setting in usual(sweep.regime, sweep.arms, sweep.seeds)
        # Before any training all arms are one.
        if sweep.key != 'iterations' or value or setting.arm == 'baseline'
    ]
    return found


def done(path: Path) -> set[Setting]:
    """The runs whose results are there."""
    if not path.exists():
        return set()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    names = list(Setting.__dataclass_fields__)
    return {Setting(*(line[name] for name in names)) for line in lines}


def main() -> None:
    """Run what is missing."""
    args = parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    there = done(args.runs)
    of_parts = settings(SIZES[args.size])
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
    pool = ProcessPoolExecutor(args.jobs, get_context('spawn'), max_tasks_per_child=1)
    with pool:
        waiting: dict[Any, Setting] = {
            pool.submit(run, setting, SIZES[args.size], args.work_dir): setting
            for setting in missing
        }
        while waiting:
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                setting = waiting.pop(future)
                result = future.result()
                with args.runs.open('a') as file:
                    file.write(json.dumps(result) + '\n')
                shown = {k: result[k] for k in ('rare', 'common', 'rarest', 'accepted', 'seconds')}
                print(asdict(setting), shown, flush=True)


if __name__ == '__main__':
    main()
