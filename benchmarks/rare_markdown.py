"""The report of rare_pose.py in words and tables."""

from typing import Any

from rare_arms import ARMS

HEADINGS = (
    ('rare', 'pck'),
    ('rare', 'ap'),
    ('rarest', 'pck'),
    ('common', 'pck'),
    ('common', 'ap'),
)
SWEPT_SCORES = (('rare', 'pck'), ('rare', 'ap'), ('common', 'pck'))

REGIMES = {
    'external_bank': 'No rare pose in the training set; a bank of poses of other people, of whom '
    'there are no images.',
    'few_rare': '2.5% of the training images show rare poses; the bank is made of the training '
    'set.',
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
    command = f'`python benchmarks/rare_pose.py --size {size["name"]}`'
    images, iterations = size['pretraining']
    return [
        f'{command} ran, `python benchmarks/rare_report.py` wrote this; '
        f'code: {", ".join(commits)}.',
        '',
        f'Procedural people, images of {size["image"][0]}x{size["image"][1]}, persons synthesised '
        f'in crops of {size["crop"][0]}x{size["crop"][1]}. Every estimator starts from one that '
        f'has learnt common poses of other people ({images:,} images, {iterations:,} iterations) '
        f'and is trained for {size["iterations"]:,} iterations on {size["images"]} images; a '
        f'share of {size["share"]:g} of its samples is synthesised, rendered or oversampled, '
        'where the arm has such. It is tested on people whom none has seen: rare and common '
        'families of poses, and the rarest tenth by the pose bank, whatever its family. AP is '
        'that of COCO, PCK is PCK@0.1 of the box; percentages, mean over seeds ± half of the 95% '
        'interval; p-values of paired t tests. "Of the way": how far an arm comes from the '
        'strongest one without synthesis (rotation, oversampling) to the true render, in rare '
        'PCK, over the seeds that all three have.',
    ]


def _summary(regimes: dict[str, Any]) -> list[str]:
    """The deciding arms of both regimes side by side, without those that have not been run."""
    scores = [f'{subset} {metric.upper()}' for subset, metric in SUMMARY_SCORES]
    heading = [
        f'{regime}: {scores[0]}' if i == 0 else scores[i]
        for regime in REGIMES
        for i in range(len(scores))
    ]
    lines = _head('Arm', [*heading, 'CPU minutes'])
    for title, *arms in SUMMARY:
        found = [
            regimes[regime]['arms'].get(arm) for regime, arm in zip(REGIMES, arms, strict=True)
        ]
        if None in found:
            continue
        cells = [
            _cell(of_arm[subset][metric]) for of_arm in found for subset, metric in SUMMARY_SCORES
        ]
        minutes = ', '.join(f'{of_arm["minutes"]:.0f}' for of_arm in found)
        lines.append(f'| {title} | {" | ".join(cells)} | {minutes} |')
    return lines


def _again(again: dict[str, Any]) -> list[str]:
    """The scores of runs that were run more than once."""
    lines = [
        'How much is chance: the same settings and seeds, from an estimator that was pretrained '
        'anew by the same command. Only the first is in the tables above.',
        '',
        *_head('Run', [f'{subset} {metric.upper()}' for subset, metric in HEADINGS]),
    ]
    for name, scores in again.items():
        cells = [', '.join(f'{v:.1f}' for v in scores[s][m]) for s, m in HEADINGS]
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return lines


def regime_tables(found: dict[str, Any]) -> list[str]:
    """Lines of the tables of a regime: arms, differences, families."""
    tables = _arms(found), _paired(found['paired']), _families(found['families'])
    return [*tables[0], '', *tables[1], '', *tables[2]]


def _head(first: str, columns: list[str]) -> list[str]:
    return [f'| {first} | {" | ".join(columns)} |', '|---' * (len(columns) + 1) + '|']


def _arms(regime: dict[str, Any]) -> list[str]:
    columns = [f'{subset} {metric.upper()}' for subset, metric in HEADINGS]
    lines = _head('Arm', ['seeds', *columns, 'of the way to the render', 'accepted', 'CPU minutes'])
    for arm, scores in regime['arms'].items():
        cells = [str(len(scores['rare']['pck']['seeds']))]
        cells += [_cell(scores[subset][metric]) for subset, metric in HEADINGS]
        closed = regime['closed'].get(arm, {}).get('pck')
        cells.append('' if closed is None else f'{100 * closed:.0f}%')
        accepted = scores['accepted']
        cells += ['' if accepted is None else f'{100 * accepted:.0f}%', f'{scores["minutes"]:.1f}']
        lines.append(f'| {ARMS[arm].title} | {" | ".join(cells)} |')
    return lines


def _cell(value: dict[str, Any]) -> str:
    low_high = value['ci95']
    half = '' if low_high is None else f' ± {(low_high[1] - low_high[0]) / 2:.1f}'
    return f'{value["mean"]:.1f}{half}'


def _paired(pairs: dict[str, Any]) -> list[str]:
    lines = _head('Difference, by seed', [f'{s} {m.upper()}' for s, m in HEADINGS])
    for name, scores in pairs.items():
        cells = []
        for subset, metric in HEADINGS:
            value = scores[subset][metric]
            p = '' if value['p'] is None else f' (p={value["p"]:.3f})'
            cells.append(f'{value["mean"]:+.1f}{p}')
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return lines


def _families(families: dict[str, Any]) -> list[str]:
    names = sorted(next(iter(families.values())))
    lines = _head('PCK by family', names)
    for arm, scores in families.items():
        lines.append(f'| {ARMS[arm].title} | {" | ".join(f"{scores[n]:.1f}" for n in names)} |')
    return lines


def _sweep(key: str, values: dict[str, Any]) -> list[str]:
    lines = _head(f'{key}: rare PCK, rare AP, common PCK', ['seeds', *values])
    for arm in dict.fromkeys(arm for of_value in values.values() for arm in of_value):
        seeds = next(of[arm]['rare']['pck']['seeds'] for of in values.values() if arm in of)
        cells = [str(len(seeds))]
        cells += [
            ', '.join(_cell(value[arm][subset][metric]) for subset, metric in SWEPT_SCORES)
            if arm in value
            else ''
            for value in values.values()
        ]
        lines.append(f'| {ARMS[arm].title} | {" | ".join(cells)} |')
    return lines
