"""Tables and curves of rare_pose.py, from its file of runs.

Usage: python benchmarks/rare_report.py [--runs FILE] [--out FOLDER] [--work-dir FOLDER]
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rare_arms import ARMS
from rare_figures import bars, curves, predictions
from rare_markdown import rare_markdown
from rare_runs import SHARE, SIZES, Setting, Size, world_of
from rare_worlds import ROOT
from scipy import stats

RESULTS = ROOT / 'docs' / 'results'
SUBSETS, METRICS = ('rare', 'common', 'rarest'), ('ap', 'pck')
SWEPT = ('share', 'images', 'rare_share', 'iterations')
BAR = 'rotation_oversampling'
"""The arm to beat: the strongest thing that needs no synthesis."""

BOUND = 'render_rotation'
"""What no synthesis can beat."""

SHOWN = ('rotation_oversampling', 'limb_warp_rotation', 'pg2_rotation', 'render_rotation')
"""Arms whose predictions are shown."""

PAIRS = (
    ('pg2', 'limb_warp'),
    ('pg2_rotation', 'limb_warp_rotation'),
    ('pg2_rotation_oversampling', 'limb_warp_rotation_oversampling'),
    ('pg2', 'pg2_offline'),
    ('pg2', 'baseline'),
    ('pg2_rotation', 'baseline'),
    ('pg2_rotation_oversampling', 'baseline'),
)
"""Other arms that are compared seed by seed."""

Runs = list[dict[str, Any]]


def read_runs(path: Path) -> Runs:
    """The runs of a file, one line each; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def report(runs: Runs, size: str, regimes: dict[str, float]) -> dict[str, Any]:
    """All that is reported.

    Args:
        runs: As :func:`read_runs` gives them.
        size: Of the experiment, in :data:`rare_runs.SIZES`.
        regimes: Share of rare images of each regime.

    Returns:
        ``regimes.<regime>.arms.<arm>.<subset>.<metric>`` with ``mean``, ``ci95`` and ``seeds``;
        ``regimes.<regime>.paired.<arm>_vs_<arm>``; ``regimes.<regime>.closed.<arm>.<metric>``, the
        share of the distance from the bar to the true render, on rare poses;
        ``size``, what does not vary, and ``commits``, the code that made the runs;
        ``sweeps.<what>.<regime>.<value>``, with arms as before, each over the seeds that all values
        have; ``again.<run>``, the scores of a run that was run more than once, of which only the
        first stands in the rest. Scores are percentages.
    """
    usual = dict(share=SHARE, images=SIZES[size].images, iterations=SIZES[size].iterations)
    runs, again = _first_and_again(runs)
    found: dict[str, Any] = {
        'size': {'name': size, **usual, **_described(SIZES[size])},
        'commits': sorted({run['commit'] for run in runs}),
        'regimes': {},
        'sweeps': defaultdict(dict),
        'again': again,
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
            swept = _comparable(swept, key)
            if swept:
                found['sweeps'][key][regime] = {
                    f'{value:g}': _arms([run for run in swept if run[key] == value])
                    for value in sorted({run[key] for run in swept})
                }
    return found


def _first_and_again(runs: Runs) -> tuple[Runs, dict[str, Any]]:
    """The first run of each setting, and the scores of all runs of those with several."""
    by_name = defaultdict(list)
    for run in runs:
        by_name[Setting(*(run[name] for name in Setting.__dataclass_fields__)).name].append(run)
    again = {
        name: {
            subset: {
                metric: [round(100 * run[subset][metric], 3) for run in same] for metric in METRICS
            }
            for subset in SUBSETS
        }
        for name, same in by_name.items()
        if len(same) > 1
    }
    return [same[0] for same in by_name.values()], again


def _comparable(swept: Runs, key: str) -> Runs:
    """Runs of arms for which something was varied, with the seeds that every value of it has."""
    found = []
    for of_arm in _by_arm(swept).values():
        of_values = [{r['seed'] for r in of_arm if r[key] == v} for v in {r[key] for r in of_arm}]
        seeds = set.intersection(*of_values)
        found += [run for run in of_arm if len(of_values) > 1 and run['seed'] in seeds]
    return found


def _described(size: Size) -> dict[str, Any]:
    return {
        'image': list(size.image),
        'crop': list(size.crop),
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
            for arm, of_arm in by_arm.items()
        },
        'paired': {
            f'{a}_vs_{b}': _paired(by_arm[a], by_arm[b])
            for a, b in pairs
            if a in by_arm and b in by_arm
        },
    }


def _closed(by_arm: dict[str, Runs]) -> dict[str, dict[str, float]]:
    """How far each arm is from bar to bound on rare poses, over seeds that all three have."""
    if BAR not in by_arm or BOUND not in by_arm:
        return {}
    of_seeds = {arm: {run['seed']: run['rare'] for run in runs} for arm, runs in by_arm.items()}
    found: dict[str, dict[str, float]] = {}
    for arm, scores in of_seeds.items():
        trio = scores, of_seeds[BAR], of_seeds[BOUND]
        seeds = set.intersection(*(set(of_seed) for of_seed in trio))
        if arm in (BAR, BOUND) or not seeds:
            continue
        found[arm] = {}
        for metric in METRICS:
            own, bar, bound = (sum(of[seed][metric] for seed in seeds) for of in trio)
            if bound > bar:
                found[arm][metric] = (own - bar) / (bound - bar)
    return found


def _by_arm(runs: Runs) -> dict[str, Runs]:
    by_arm = {arm: [run for run in runs if run['arm'] == arm] for arm in ARMS}
    return {
        arm: sorted(of_arm, key=lambda run: run['seed']) for arm, of_arm in by_arm.items() if of_arm
    }


def _arms(runs: Runs) -> dict[str, Any]:
    return {
        arm: {
            subset: {
                metric: spread(100 * run[subset][metric] for run in of_arm) for metric in METRICS
            }
            for subset in SUBSETS
        }
        | {
            'accepted': _mean(run['accepted'] for run in of_arm),
            'minutes': _mean(run['seconds']['training'] / 60 for run in of_arm),
        }
        for arm, of_arm in _by_arm(runs).items()
    }


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def spread(values: Iterable[float]) -> dict[str, Any]:
    """Mean, its 95% interval (None of a single value), and the values of seeds."""
    seeds = [round(value, 3) for value in values]
    return {'mean': float(np.mean(seeds)), 'ci95': _interval(seeds), 'seeds': seeds}


def _interval(values: list[float]) -> list[float] | None:
    """95% t interval of the mean; None of a single value."""
    if len(values) < 2:
        return None
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return [float(np.mean(values)) - half, float(np.mean(values)) + half]


def _paired(first: Runs, second: Runs) -> dict[str, Any]:
    """Differences of two arms, seed by seed, with a paired t test."""
    partners = {run['seed']: run for run in second}
    both = [(run, partners[run['seed']]) for run in first if run['seed'] in partners]
    return {
        subset: {metric: _difference(both, subset, metric) for metric in METRICS}
        for subset in SUBSETS
    }


def _difference(both: list[tuple[Any, Any]], subset: str, metric: str) -> dict[str, Any]:
    gains = [100 * (a[subset][metric] - b[subset][metric]) for a, b in both]
    p_value = float(stats.ttest_1samp(gains, 0).pvalue) if len(gains) > 1 else None
    return spread(gains) | {'p': p_value}


def main() -> None:
    """Write rare_pose.json, .md and the figures."""
    from rare_pose import REGIMES

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', choices=SIZES, default='cpu')
    parser.add_argument('--runs', type=Path, default=RESULTS / 'rare_pose_runs.jsonl')
    parser.add_argument('--out', type=Path, default=RESULTS)
    parser.add_argument(
        '--work-dir', type=Path, help="rare_pose.py's, to show predictions on rare test images, too"
    )
    args = parser.parse_args()
    found = report(read_runs(args.runs), args.size, REGIMES)
    text = json.dumps(found, indent=1, allow_nan=False) + '\n'
    (args.out / 'rare_pose.json').write_text(text)
    (args.out / 'rare_pose.md').write_text(rare_markdown(found))
    bars(found, args.out / 'rare_pose.png')
    if found['sweeps']:
        curves(found, args.out / 'rare_pose_sweeps.png')
    if args.work_dir is not None:
        size = SIZES[args.size]
        shown = [
            Setting('external_bank', arm, 0, size.images, 0.0, SHARE, size.iterations)
            for arm in SHOWN
        ]
        folders = {s.arm: args.work_dir / 'runs' / s.name for s in shown}
        test = world_of(shown[0], size, args.work_dir).test()
        predictions(folders, test, args.out / 'rare_pose_predictions.png')


if __name__ == '__main__':
    main()
