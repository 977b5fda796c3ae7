"""The report in words and tables."""

from typing import Any

from benchmarks.common.tables import table
from benchmarks.speed.tables import PARTS, Lines, cell

TARGET_RATIO, TARGET_SPEEDUP, TARGET_TRAINING = 1.10, {'cpu': 1.5, 'gpu': 3.0}, {'gpu': 2.5}
TITLES = {'cpu': 'On a CPU', 'gpu': 'On a GPU'}


def speed_markdown(report: dict[str, Any]) -> str:
    """The whole report; parts that were not measured are left out."""
    lines = ['# Speed', '', *_introduction(), '', *_counts(report['counts'])]
    for size, title in TITLES.items():
        if size not in report:
            lines += ['', f'## {title}', '', 'Not measured yet.']
            continue
        entry = report[size]
        lines += ['', f'## {title}', '', *_device(entry), *_verdicts(size, entry)]
        for part in PARTS:
            lines += part(entry)
    return '\n'.join(lines) + '\n'


def _introduction() -> Lines:
    return [
        'Medians of several rounds, in brackets the least and the most. What is compared took '
        'turns in the same run, so that a busy machine slows both; every round gives one ratio. '
        'The people are procedural, the weights random: neither changes the time. Names of '
        'generators are those of `configs/pg2/`; `limb-warp` has no network and shows what all the '
        'rest of synthesis costs.'
    ]


def _counts(counts: dict[str, Any]) -> Lines:
    poses = counts['pose_models']
    added = [name for name in poses if name.startswith(('hrnet', 'rtmpose'))]
    rows = []
    for name, networks in counts['generators'].items():
        g1, g2 = networks['G1'], networks['G2']
        forward = g1['forward'] + g2['forward']
        shares = [f'+{0.3 * forward / poses[pose]["train"]:.0%}' for pose in added]
        sizes = [f'{(g1[k] + g2[k]) / 1e6:.0f}' for k in ('parameter_bytes', 'activation_bytes')]
        numbers = [f'{g["forward"] / 1e9:.1f}' for g in (g1, g2)]
        rows.append([name, *numbers, *sizes, *shares])
    models = [
        [
            name,
            *(f'{c[key] / 1e9:.2f}' for key in ('forward', 'train')),
            *(f'{c[key] / 1e6:.0f}' for key in ('parameter_bytes', 'activation_bytes')),
        ]
        for name, c in poses.items()
    ]
    titles = ['Generator', 'G1', 'G2', 'weights, MB', 'written, MB']
    return [
        '## Counted',
        '',
        'Multiply-adds of one image in 10^9, by `torch.utils.flop_counter` (convolutions and '
        'matrix products), and bytes in float32: of the weights, and written by all operations of '
        'a forward pass but views. The last columns: what synthesis at prob 0.3 adds to a training '
        'step by that count. A step is forward and back; the counter takes the way back of grouped '
        'convolutions, of which RTMPose has many, for more than it is. Half of a recommended '
        "generator's resolution or width costs about a quarter.",
        '',
        *table([*titles, *(f'adds to {name}' for name in added)], rows),
        '',
        *table(['Pose estimator', 'forward', 'step', 'weights, MB', 'written, MB'], models),
    ]


def _device(entry: dict[str, Any]) -> Lines:
    how = {(c['command'], *c['load']) for c in entry['commands'].values()}
    commands = [
        f'- `{command}`; {before:g} processes wanted to run at its start, {after:g} at its end.'
        for command, before, after in sorted(how)
    ]
    head = f'{entry["device"]}, {entry["threads"]} threads, torch {entry["versions"]["torch"]}.'
    return [head, '', *commands]


def _verdicts(size: str, entry: dict[str, Any]) -> Lines:
    lines = []
    hrnet = entry.get('step_ratio', {}).get('hrnet-w32_256x192', {})
    if size == 'gpu' and 'pg2-self_coco-128x96' in hrnet:
        value = hrnet['pg2-self_coco-128x96']['0.3']
        lines.append(('step time at prob 0.3, HRNet-w32', value, TARGET_RATIO, False))
    if 'synthesizer_speedup' in entry:
        value = entry['synthesizer_speedup']
        lines.append(('Synthesizer over the plain loop', value, TARGET_SPEEDUP[size], True))
    if 'training_speedup' in entry and size in TARGET_TRAINING:
        value = entry['training_speedup']
        lines.append(('PG2 training over the plain one', value, TARGET_TRAINING[size], True))
    if not lines:
        return []
    return ['', 'Targets:', '', *(f'- {verdict(*line)}' for line in lines)]


def verdict(what: str, value: dict[str, Any], target: float, at_least: bool) -> str:
    """Whether a median reaches a target."""
    met = value['median'] >= target if at_least else value['median'] <= target
    wanted = f'at {"least" if at_least else "most"} {target:g}'
    return f'{what}, {wanted}: {"met" if met else "missed"}, {cell(value)}.'
