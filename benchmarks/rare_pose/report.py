"""Tables and curves of rare poses, from the file of runs.

Usage: python -m benchmarks.rare_pose.report [--size cpu] [--runs FILE] [--out DIR] [--work-dir DIR]
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.files import RESULTS, Runs, read_runs, write_report
from benchmarks.common.statistics import mean_interval, paired_difference
from benchmarks.rare_pose.arms import ARMS, TITLES
from benchmarks.rare_pose.figures import bars, curves, predictions
from benchmarks.rare_pose.markdown import rare_markdown
from benchmarks.rare_pose.plan import REGIMES, default_runs
from benchmarks.rare_pose.runs import SHARE, SIZES, Setting, Size, world_of

SUBSETS, METRICS = ('rare', 'common', 'rarest'), ('ap', 'pck')
SWEPT = ('share', 'images', 'rare_share', 'iterations')
BAR = 'rotation_oversampling'
"""The arm to beat: what a user can do without synthesis."""

BOUND = 'render_rotation'
"""What perfect synthesis in the poses that people have annotated would do."""

WITHOUT = {'pg2_rotation': 'rotation'}
"""What an arm is where its share is 0."""

SHOWN = ('rotation_oversampling', 'limb_warp_rotation', 'pg2_rotation', 'render_rotation')
"""Arms whose predictions are shown."""

PAIRS = (
    ('pg2', 'limb_warp'),
    ('pg2_rotation', 'limb_warp_rotation'),
    ('pg2_rotation_oversampling', 'limb_warp_rotation_oversampling'),
    ('pg2', 'pg2_offline'),
    ('pg2', 'pg2_unchecked'),
    ('pg2', 'pg2_own_check'),
    ('pg2', 'pg2_rare'),
    ('pg2_rare', 'pg2_uniform'),
    ('pg2', 'baseline'),
    ('pg2_rotation', 'baseline'),
    ('pg2_rotation_oversampling', 'baseline'),
    ('render_rotation', 'baseline'),
    ('pg2_rotation', 'render_rotation'),
    ('pg2_rotation_oversampling', 'render_rotation'),
)
"""Other arms that are compared seed by seed."""


def report(runs: Runs, size: str, regimes: dict[str, float]) -> dict[str, Any]:
    """All that is reported.

    Args:
        runs: As :func:`.files.read_runs` gives them.
        size: Of the experiment, in :data:`.runs.SIZES`.
        regimes: Share of rare images of each regime.

    Returns:
        ``regimes.<regime>.arms.<arm>.<subset>.<metric>`` with ``mean``, ``ci95`` and ``seeds``;
        ``regimes.<regime>.paired.<arm>_vs_<arm>``; ``regimes.<regime>.closed.<arm>.<metric>``, the
        share of the distance from the bar to the true render, on rare poses;
        ``size``, what does not vary, and ``commits``, the code that made the runs;
        ``sweeps.<what>.<regime>.<value>``, with arms as before, each over the seeds that all values
        have, and where it does not depend on the share ``against`` the usual augmentation;
        ``again.<run>``, ``start`` and scores of each run of what was run more than once.
        Scores are percentages. Means are over the first run of each seed; what is compared has the
        same seed, and started from the same estimator.
    """
    usual = dict(share=SHARE, images=SIZES[size].images, iterations=SIZES[size].iterations)
    found: dict[str, Any] = {
        'size': {'name': size, **usual, **_described(SIZES[size])},
        'commits': sorted({run['commit'] for run in runs}),
        'regimes': {},
        'sweeps': defaultdict(dict),
        'again': _again(runs),
    }
    for regime, rare_share in regimes.items():
        of_regime = [run for run in runs if run['regime'] == regime]
        own = usual | {'rare_share': rare_share}
        main = [run for run in of_regime if all(run[key] == own[key] for key in SWEPT)]
        if main:
            found['regimes'][regime] = regime_report(main)
        for key in SWEPT:
            others = {name: value for name, value in own.items() if name != key}
            swept = [r for r in of_regime if all(r[name] == v for name, v in others.items())]
            if key == 'share':
                swept += [
                    run | {'arm': arm, 'share': 0.0}
                    for arm, without in WITHOUT.items()
                    for run in main
                    if run['arm'] == without
                ]
            swept = _comparable(swept, key)
            if swept:
                # It is the same at every share.
                untouched = _by_arm(main).get('baseline', []) if key == 'share' else []
                found['sweeps'][key][regime] = {
                    f'{value:g}': _point([run for run in swept if run[key] == value], untouched)
                    for value in sorted({run[key] for run in swept})
                }
    return found


def _again(runs: Runs) -> dict[str, Any]:
    """The runs of those settings that were run more than once."""
    by_name = defaultdict(list)
    for run in runs:
        by_name[Setting(*(run[name] for name in Setting.__dataclass_fields__)).name].append(run)
    return {
        name: [
            {'start': run['start']}
            | {s: {m: round(100 * run[s][m], 3) for m in METRICS} for s in SUBSETS}
            for run in same
        ]
        for name, same in by_name.items()
        if len(same) > 1
    }


def _comparable(swept: Runs, key: str) -> Runs:
    """Runs of arms for which something was varied: from one start, seeds that all values have."""
    found = []
    for of_arm in _by_arm(swept).values():
        # Whichever start has most of the values.
        starts = dict.fromkeys(run['start'] for run in of_arm)
        start = max(starts, key=lambda s: len({r[key] for r in of_arm if r['start'] == s}))
        own = [run for run in of_arm if run['start'] == start]
        of_values = [{r['seed'] for r in own if r[key] == v} for v in {r[key] for r in own}]
        seeds = set.intersection(*of_values)
        found += [run for run in own if len(of_values) > 1 and run['seed'] in seeds]
    return found


def _point(runs: Runs, untouched: Runs) -> dict[str, Any]:
    """The arms at a point of a sweep, and ``against`` what the sweep does not touch."""
    arms = _arms(runs)
    for arm, of_arm in _by_arm(runs).items():
        if _matched(of_arm, untouched):
            arms[arm]['against'] = _paired(of_arm, untouched)
    return arms


def _described(size: Size) -> dict[str, Any]:
    return {
        'image': list(size.image),
        'crop': list(size.generator.crop),
        'pretraining': list(size.pretraining),
    }


def regime_report(runs: Runs) -> dict[str, Any]:
    """Arms, families and paired comparisons of runs that differ in arm and seed alone."""
    by_arm = _by_arm(runs)
    pairs = [(arm, BAR) for arm in by_arm if arm != BAR] + list(PAIRS)
    return {
        'arms': _arms(runs),
        'closed': _closed(by_arm),
        'families': {
            arm: {
                family: float(np.mean([100 * run['families'][family]['pck'] for run in of_arm]))
                for family in of_arm[0]['families']
            }
            for arm, of_arm in _firsts(runs).items()
        },
        'paired': {
            f'{a}_vs_{b}': _paired(by_arm[a], by_arm[b])
            for a, b in pairs
            if a in by_arm and b in by_arm and _matched(by_arm[a], by_arm[b])
        },
    }


def _closed(by_arm: dict[str, Runs]) -> dict[str, dict[str, float]]:
    """How far synthesis gets from bar to bound on rare poses, over seeds that all three have.

    Not where it gets no further than the bar: parts of that distance do not tell how far back.
    """
    if BAR not in by_arm or BOUND not in by_arm:
        return {}
    found: dict[str, dict[str, float]] = {}
    for arm, runs in by_arm.items():
        trios = _matched(runs, by_arm[BAR], by_arm[BOUND])
        if (arm in ARMS and ARMS[arm].generator is None) or not trios:
            continue
        found[arm] = {}
        for metric in METRICS:
            own, bar, bound = (
                sum(run['rare'][metric] for run in of) for of in zip(*trios, strict=True)
            )
            if bar < min(own, bound):
                found[arm][metric] = (own - bar) / (bound - bar)
    return found


def _matched(*arms: Runs) -> list[tuple[dict[str, Any], ...]]:
    """Runs of some arms with the same seed and from the same start, the first ones of each seed."""
    of_keys = [{(r['seed'], r['start']): r for r in reversed(runs)} for runs in arms]
    starts = [(r['seed'], r['start']) for r in reversed(arms[0])]
    of_seeds = {key[0]: key for key in starts if all(key in of_key for of_key in of_keys)}
    return [tuple(of_key[key] for of_key in of_keys) for _, key in sorted(of_seeds.items())]


def _by_arm(runs: Runs) -> dict[str, Runs]:
    by_arm = {arm: [run for run in runs if run['arm'] == arm] for arm in TITLES}
    return {
        arm: sorted(of_arm, key=lambda run: run['seed']) for arm, of_arm in by_arm.items() if of_arm
    }


def _firsts(runs: Runs) -> dict[str, Runs]:
    """Of each arm the first run of each seed."""
    return {
        arm: list({run['seed']: run for run in reversed(of_arm)}.values())[::-1]
        for arm, of_arm in _by_arm(runs).items()
    }


def _arms(runs: Runs) -> dict[str, Any]:
    return {
        arm: {
            subset: {
                metric: mean_interval(100 * run[subset][metric] for run in of_arm)
                for metric in METRICS
            }
            for subset in SUBSETS
        }
        | {
            'accepted': _mean(run['accepted'] for run in of_arm),
            'minutes': float(np.median([run['seconds']['training'] / 60 for run in of_arm])),
        }
        for arm, of_arm in _firsts(runs).items()
    }


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def _paired(first: Runs, second: Runs) -> dict[str, Any]:
    """Differences of two arms, seed by seed, with a paired t test."""
    both = _matched(first, second)
    return {
        subset: {
            metric: paired_difference(
                [100 * (a[subset][metric] - b[subset][metric]) for a, b in both]
            )
            for metric in METRICS
        }
        for subset in SUBSETS
    }


def main() -> None:
    """Write the json, the md and the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', choices=SIZES, default='cpu')
    parser.add_argument(
        '--runs', type=Path, help='of benchmarks.rare_pose (default: that of the size)'
    )
    parser.add_argument('--out', type=Path, default=RESULTS)
    parser.add_argument(
        '--work-dir', type=Path, help='of the runs, to show predictions on rare test images, too'
    )
    args = parser.parse_args()
    runs = args.runs or default_runs(args.size)
    if not runs.exists():
        raise SystemExit(
            f'{runs} is not there: run benchmarks.rare_pose, or name its file with --runs'
        )
    found = report(read_runs(runs), args.size, REGIMES)
    name = 'rare_pose' if args.size == 'cpu' else f'rare_pose_{args.size}'
    write_report(args.out / name, found, rare_markdown(found))
    bars(found, args.out / f'{name}.png')
    if found['sweeps']:
        curves(found, args.out / f'{name}_sweeps.png')
    if args.work_dir is not None:
        size = SIZES[args.size]
        shown = [
            Setting('external_bank', arm, 0, size.images, 0.0, SHARE, size.iterations)
            for arm in SHOWN
        ]
        folders = {s.arm: args.work_dir / 'runs' / s.name for s in shown}
        test = world_of(shown[0], size, args.work_dir).test()
        predictions(folders, test, args.out / f'{name}_predictions.png')


if __name__ == '__main__':
    main()
