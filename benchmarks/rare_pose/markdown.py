"""The report in words and tables."""

from collections.abc import Callable
from typing import Any

from benchmarks.common.tables import mean_cell, table
from benchmarks.rare_pose.arms import TITLES

HEADINGS = (
    ('rare', 'pck'),
    ('rare', 'ap'),
    ('rarest', 'pck'),
    ('common', 'pck'),
    ('common', 'ap'),
)
SWEPT_SCORES = (('rare', 'pck'), ('rare', 'ap'), ('common', 'pck'), ('common', 'ap'))

REGIMES = {
    'external_bank': 'No rare pose in the training set; a bank of 2,000 poses of other people, of '
    'whom there are no images, half of them of the same rare families as in the test: as good a '
    'bank as one may hope for.',
    'few_rare': '2.5% of the training images show rare poses; the bank is made of the training '
    'set, with 3,000 new poses made of its rare ones. The true render shows annotated poses alone, '
    'not the new ones, and is no upper bound.',
}

SUMMARY = (
    ('usual augmentation', 'baseline', 'baseline'),
    ('rotation, oversampling', 'rotation_oversampling', 'rotation_oversampling'),
    ('limb warp, no learning', 'limb_warp_rotation', 'limb_warp_rotation_oversampling'),
    ('**PG2Augment**', 'pg2_rotation', 'pg2_rotation_oversampling'),
    ('true render', 'render_rotation', 'render_rotation'),
)
"""Rows of the summary: the arms that are compared, as each regime has them."""

SUMMARY_SCORES = (('rare', 'pck'), ('rare', 'ap'), ('common', 'pck'))


def rare_markdown(report: dict[str, Any]) -> str:
    """The whole report."""
    lines = ['# Rare poses', '', *_setup(report['size'], report['commits']), '']
    if set(REGIMES) <= set(report['regimes']):
        lines += ['## Summary', '', *_summary(report['regimes']), '']
    for regime, found in report['regimes'].items():
        lines += [f'## {regime}', '', REGIMES[regime], '', *regime_tables(found), '']
    for key, of_key in report['sweeps'].items():
        for regime, values in of_key.items():
            lines += [f'## {key}, {regime}', '', *_sweep(key, values), '']
    if report['again']:
        lines += ['## The same runs again', '', *_again(report['again']), '']
    return '\n'.join(lines)


def _setup(size: dict[str, Any], commits: list[str]) -> list[str]:
    command = f'`python -m benchmarks.rare_pose --size {size["name"]}`'
    images, iterations = size['pretraining']
    return [
        f'{command} ran, `python -m benchmarks.rare_pose.report` wrote this (of the committed '
        f'runs: `--runs docs/results/rare_pose_runs.jsonl`); code: {", ".join(commits)}.',
        '',
        f'Procedural people, images of {size["image"][0]}x{size["image"][1]}, persons synthesised '
        f'in crops of {size["crop"][0]}x{size["crop"][1]}. Every estimator starts from one that '
        f'has learnt common poses of other people ({images:,} images, {iterations:,} iterations) '
        f'and is trained for {size["iterations"]:,} iterations on {size["images"]} images; a '
        f'share of {size["share"]:g} of its samples is synthesised, rendered or oversampled, '
        'where the arm has such; an arm that has two of them oversamples that share, and '
        'synthesises that share of the rest. It is tested on people whom none has seen: rare and '
        'common families of poses, and the rarest tenth by the pose bank, whatever its family. AP '
        'is that of COCO, PCK is PCK@0.1 of the box; percentages, mean over seeds ± half of the '
        '95% interval; p-values of paired t tests. What is compared has the same seed and started '
        'from the same pretrained estimator, which was pretrained more than once; the means of '
        'arms are over all seeds, whatever these started from. All are tested '
        'on the same people: intervals tell the chance of a training, not that of other people. '
        '"Of the way": how far an arm comes from rotation with oversampling to the true render, '
        'in rare PCK and AP, over the seeds that all three have; "-" where it comes no further. '
        'CPU minutes: the median, of the training alone.',
    ]


def _summary(regimes: dict[str, Any]) -> list[str]:
    """The deciding arms of both regimes side by side, without those that have not been run."""
    scores = _scores(SUMMARY_SCORES)
    heading = [
        f'{regime}: {scores[0]}' if i == 0 else scores[i]
        for regime in REGIMES
        for i in range(len(scores))
    ]
    rows = []
    for title, *arms in SUMMARY:
        found = [
            regimes[regime]['arms'].get(arm) for regime, arm in zip(REGIMES, arms, strict=True)
        ]
        if None in found:
            continue
        cells = [
            mean_cell(of_arm[subset][metric])
            for of_arm in found
            for subset, metric in SUMMARY_SCORES
        ]
        minutes = ', '.join(f'{of_arm["minutes"]:.0f}' for of_arm in found)
        rows.append([title, *cells, minutes])
    return table(['Arm', *heading, 'CPU minutes'], rows)


def _again(again: dict[str, Any]) -> list[str]:
    """The scores of what was run more than once."""
    rows = [
        [name, run['start'], *(f'{run[s][m]:.1f}' for s, m in HEADINGS)]
        for name, same in again.items()
        for run in same
    ]
    return [
        'How much is chance: the same settings and seeds, mostly from an estimator that was '
        'pretrained anew by the same command, and by another version of the code.',
        '',
        *table(['Run', 'start', *_scores(HEADINGS)], rows),
    ]


def regime_tables(found: dict[str, Any]) -> list[str]:
    """Lines of the tables of a regime: arms, differences, families."""
    tables = _arms(found), _paired(found['paired']), _families(found['families'])
    return [*tables[0], '', *tables[1], '', *tables[2]]


def _arms(regime: dict[str, Any]) -> list[str]:
    way = ['of the way to the render'] if regime['closed'] else []
    rows = []
    for arm, scores in regime['arms'].items():
        cells = [str(len(scores['rare']['pck']['seeds']))]
        cells += [mean_cell(scores[subset][metric]) for subset, metric in HEADINGS]
        if way:
            closed = regime['closed'].get(arm, {})
            shares = [f'{100 * closed[m]:.0f}%' if m in closed else '-' for m in ('pck', 'ap')]
            cells.append(', '.join(shares) if arm in regime['closed'] else '')
        accepted = scores['accepted']
        cells += ['' if accepted is None else f'{100 * accepted:.0f}%', f'{scores["minutes"]:.1f}']
        rows.append([TITLES[arm], *cells])
    return table(['Arm', 'seeds', *_scores(HEADINGS), *way, 'accepted', 'CPU minutes'], rows)


def _paired(pairs: dict[str, Any]) -> list[str]:
    rows = []
    for name, scores in pairs.items():
        cells = [str(len(scores['rare']['pck']['seeds']))]
        for subset, metric in HEADINGS:
            value = scores[subset][metric]
            p = '' if value['p'] is None else f' (p={value["p"]:.3f})'
            cells.append(f'{value["mean"]:+.1f}{p}')
        rows.append([name, *cells])
    return table(['Difference, by seed', 'seeds', *_scores(HEADINGS)], rows)


def _families(families: dict[str, Any]) -> list[str]:
    names = sorted(next(iter(families.values())))
    rows = [[TITLES[arm], *(f'{scores[n]:.1f}' for n in names)] for arm, scores in families.items()]
    return table(['PCK by family', *names], rows)


def _sweep(key: str, values: dict[str, Any]) -> list[str]:
    rows = []
    for arm in dict.fromkeys(arm for of_value in values.values() for arm in of_value):
        of_arm = [of_value.get(arm, {}) for of_value in values.values()]
        rows.append(_points(TITLES[arm], of_arm, mean_cell))
        gains = [point.get('against', {}) for point in of_arm]
        if any(gains):
            title = 'what that adds to the usual'
            rows.append(_points(title, gains, lambda value: f'{value["mean"]:+.1f}'))
    return table([f'{key}: {", ".join(_scores(SWEPT_SCORES))}', 'seeds', *values], rows)


def _points(
    title: str, points: list[dict[str, Any]], shown: Callable[[dict[str, Any]], str]
) -> list[str]:
    """A row of a sweep; points that have not been run are empty."""
    seeds = next(len(point['rare']['pck']['seeds']) for point in points if point)
    cells = [
        ', '.join(shown(point[subset][metric]) for subset, metric in SWEPT_SCORES) if point else ''
        for point in points
    ]
    return [title, str(seeds), *cells]


def _scores(headings: tuple[tuple[str, str], ...]) -> list[str]:
    return [f'{subset} {metric.upper()}' for subset, metric in headings]
