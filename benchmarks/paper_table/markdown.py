"""The report in words and tables."""

from typing import Any

from benchmarks.common.tables import table
from benchmarks.paper_table.systems import SYSTEMS

PAPER = {
    'g1-ce-l1': (0.219, 2.568, 0.771, 2.455),
    'g1-hme-l1': (0.294, 3.171, 0.802, 2.508),
    'g1-l1': (0.304, 3.006, 0.809, 2.455),
    'g1-mask': (0.340, 3.326, 0.817, 2.682),
    'g1-d': (0.283, 3.490, 0.803, 3.310),
    'pg2': (0.253, 3.460, 0.792, 3.435),
}
"""Table 1 of the paper, Market-1501: SSIM, IS, mask-SSIM, mask-IS."""

HEADINGS = {'mask-SSIM-inside': 'inside', 'L1 inside': 'L1'}


def paper_markdown(report: dict[str, Any], metrics: tuple[str, ...]) -> str:
    """The whole report, with a column for each of the metrics."""
    lines = [*_introduction(report), '', *_systems(report, metrics), '', *_orderings(report)]
    return '\n'.join([*lines, '', *_lambdas(report, metrics)]) + '\n'


def _introduction(report: dict[str, Any]) -> list[str]:
    size = report['size']
    width, height = size['crop']
    protocol, note = report['protocols']['IS']
    return [
        "# The paper's Table 1 on procedural people",
        '',
        f'`{report["command"]}`, {report["device"]}, torch {report["versions"]["torch"]}; '
        f'{len(report["seeds"])} seeds: mean and standard deviation. Crops of {height}x{width} '
        f'(height x width), width of the networks {size["base_channels"]}, batch '
        f'{size["batch_size"]}, {size["stage1_iters"]} + {size["stage2_iters"]} iterations; '
        f'{size["people"]} people to train on, {report["num_pairs"]} pairs of '
        f'{size["test_people"]} other people to test.',
        '',
        'SSIM, mask-SSIM: the protocols of the PG2 authors; inside: mean over the mask only '
        f'([metrics](../metrics.md)). IS, mask-IS: {note or protocol}. L1: mean '
        'absolute difference in grey levels on the body. Detail: strength of the edges on the body '
        'over that of the target images; artefacts count like details. In brackets the '
        "paper's own numbers for Market-1501: another data set, to compare the order with, not the "
        'values.',
    ]


def _systems(report: dict[str, Any], metrics: tuple[str, ...]) -> list[str]:
    rows = []
    for name, scores in report['without_a_model'].items():
        cells = [f'{scores[metric]:.3f}' if metric in scores else '' for metric in metrics]
        rows.append([f'no model: {name}', *cells])
    for name, summary in report['systems'].items():
        cells = [_cell(summary[metric]) for metric in metrics]
        cells[:4] = [
            f'{cell} ({value:.3f})' for cell, value in zip(cells[:4], PAPER[name], strict=True)
        ]
        rows.append([SYSTEMS[name].title, *cells])
    return table(['System', *_titles(metrics)], rows)


def _orderings(report: dict[str, Any]) -> list[str]:
    rows = []
    for entry in report['orderings']:
        if 'mean' in entry:
            between = entry['interval'] and ' [{:+.4f}, {:+.4f}]'.format(*entry['interval'])
            gain = f'{entry["mean"]:+.4f}{between or ""}'
            rows.append([entry['claim'], entry['metric'], gain, entry['holds']])
    return [
        "## Do the paper's orderings hold here?",
        '',
        'Gains with the same seed, mean and 95% interval over the seeds; of L1 how much less it '
        'is.',
        '',
        *table(['Claim', 'measure', 'gain', 'holds'], rows),
    ]


def _lambdas(report: dict[str, Any], metrics: tuple[str, ...]) -> list[str]:
    shown = tuple(metric for metric in metrics if not metric.endswith('IS'))
    rows = [
        [name, *(_cell(summary[metric]) for metric in shown)]
        for name, summary in report['lambda'].items()
    ]
    return [
        '## Lambda',
        '',
        'Weight of the L1 against the adversarial loss (footnote 2 of the paper) in stage II of '
        'the full model, from the same stage I, with the first seed.',
        '',
        *table(['lambda', *_titles(shown)], rows),
    ]


def _titles(metrics: tuple[str, ...]) -> list[str]:
    return [HEADINGS.get(metric, metric) for metric in metrics]


def _cell(value: dict[str, Any] | None) -> str:
    if value is None:
        return 'not computed'
    spread = '' if value['std'] is None else f' ± {value["std"]:.3f}'
    return f'{value["mean"]:.3f}{spread}'
