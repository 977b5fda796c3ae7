"""The tables of speed.py's report, one function for each of its parts."""

from collections.abc import Iterable, Sequence
from typing import Any

Lines = list[str]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Lines:
    """Lines of a markdown table."""
    body = [f'| {" | ".join(row)} |' for row in rows]
    return [f'| {" | ".join(titles)} |', '|---' * len(titles) + '|', *body]


def cell(value: dict[str, Any], digits: int = 2, factor: float = 1.0) -> str:
    """A median, and the range around it."""
    median, low, high = (f'{value[key] * factor:.{digits}f}' for key in ('median', 'min', 'max'))
    return f'{median} [{low}, {high}]'


def _steps(entry: dict[str, Any]) -> Lines:
    if 'step_ratio' not in entry:
        return []
    without = entry['step_seconds_without']
    rows = [
        [model, generator, cell(without[model][generator], 0, 1000), *map(cell, ratios.values())]
        for model, generators in entry['step_ratio'].items()
        for generator, ratios in generators.items()
    ]
    return [
        '',
        '### Step time of a pose training, with PG2Augment over without',
        '',
        f"Batch {entry['step_batch_size']}, {entry['step_workers']} workers; the Runner's own "
        'steps with all hooks, batches from its own loader, AppearanceCheck on. Neither side has '
        'pretrained weights, nor `Albumentation`, which needs another package.',
        '',
        *table(
            ['Pose estimator', 'Generator', 'ms without', 'prob 0.1', 'prob 0.3', 'prob 0.5'], rows
        ),
    ]


def _profile(entry: dict[str, Any]) -> Lines:
    lines: Lines = []
    for model, generators in entry.get('profile', {}).items():
        for generator, profile in generators.items():
            parts = profile['milliseconds']
            total = sum(value['median'] for value in parts.values())
            rows = [
                [name, cell(value, 1), f'{value["median"] / total:.0%}']
                for name, value in parts.items()
            ]
            worker = ', '.join(
                f'{name} {cell(value, 0)} ms'
                for name, value in profile['worker_milliseconds'].items()
            )
            lines += [
                '',
                f'### Where a step goes: {model} with {generator}, prob {entry["profile_prob"]}',
                '',
                'Each part without those inside it; a GPU is waited for after each, which makes '
                f'the sum larger than a step. Beside it, a worker takes for a batch: {worker}.',
                '',
                *table(['Part', 'ms', 'share'], rows),
            ]
    return lines


def _synthesizer(entry: dict[str, Any]) -> Lines:
    if 'synthesizer' not in entry:
        return []
    rows = [
        [
            name,
            cell(measured['plain_images_per_second'], 1),
            cell(measured['fast_images_per_second'], 1),
            cell(measured['speedup']),
            cell(measured['fraction_of_matmul_rate'], 3),
            *map(cell, measured['modes'].values()),
        ]
        for name, measured in entry['synthesizer'].items()
    ]
    rates = ', '.join(
        f'{name} {cell(rate, 2, 1e-12)}'
        for name, rate in entry['matmul_operations_per_second'].items()
    )
    modes = [f'times, {mode}' for mode in next(iter(entry['synthesizer'].values()))['modes']]
    width, height = entry['synthesizer_frame']
    return [
        '',
        '### The Synthesizer over a plain loop',
        '',
        f'{entry["synthesizer_batch_size"]} persons at once into images of {height}x{width}. The '
        'plain loop calls the same modules, eager, in float32 and contiguous layout, and sends '
        'each array to the device by itself; as torch comes, which on a GPU is TF32 in '
        'convolutions. The last column: operations of G1 and G2 a second, as a share of the '
        'fastest of the matrix products measured in the same run '
        f'(10^12 operations a second: {rates}).',
        '',
        *table(['Generator', 'plain, images/s', 'images/s', 'times', 'of matmul', *modes], rows),
    ]


def _training(entry: dict[str, Any]) -> Lines:
    if 'training' not in entry:
        return []
    rows = [
        [
            name,
            str(measured['batch_size']),
            cell(measured['fast_images_per_second'], 1),
            *(cell(measured[key]) for key in ('stage1', 'stage2', 'speedup')),
            cell(measured['waited_for_batches'], 0, 1000),
        ]
        for name, measured in entry['training'].items()
    ]
    titles = ['Config', 'batch', 'images/s', 'stage I', 'stage II', 'whole schedule', 'wait, ms']
    return [
        '',
        '### Training PG2, over a plain implementation of the same step',
        '',
        'With `--amp`, as `tools/train_pg2.py` does it, on the same batches in turn. The plain '
        'one: float32, contiguous, Adam neither fused nor grouped, and in stage II generators '
        "that run once more for the discriminator's step. The last column: what an iteration waits "
        'for its batch, which is not part of the ratio.',
        '',
        *table(titles, rows),
    ]


def _offline(entry: dict[str, Any]) -> Lines:
    if 'offline' not in entry:
        return []
    rows = [
        [
            name,
            *(cell(rate) for rate in measured['images_per_second'].values()),
            cell(measured['batch_speedup']),
            *(cell(taken) for taken in measured['seconds_by_ranks'].values()),
            cell(measured['ranks_speedup']),
        ]
        for name, measured in entry['offline'].items()
    ]
    batches = next(iter(entry['offline'].values()))['images_per_second']
    titles = [f'images/s, batch {batch}' for batch in batches]
    ranks = ['seconds, 1 process', 'seconds, 2']
    return [
        '',
        '### Offline expansion',
        '',
        f'`tools/synthesize.py`, {entry["offline_images"]} images with reading and writing. '
        'Images a second: one process, without the time that imports take. Seconds: of one and of '
        'two processes that share the images, from start to end, imports included.',
        '',
        *table(['Generator', *titles, 'batch over single', *ranks, 'two over one'], rows),
    ]


def _growth(entry: dict[str, Any]) -> Lines:
    lines: Lines = []
    for name, points in entry.get('growth', {}).items():
        rows = [
            [
                str(point['batch']),
                str(point['width']),
                f'{point["crop"][1]}x{point["crop"][0]}',
                *(
                    [point['skipped'], '', '']
                    if 'skipped' in point
                    else [
                        cell(point['relative']),
                        cell(point['seconds_per_person'], 1, 1000),
                        f'{point["peak_bytes"] / 1e6:.0f}',
                    ]
                ),
            ]
            for point in points
        ]
        titles = ['Batch', 'width', 'crop', 'time a person', 'ms a person', 'peak, MB']
        lines += ['', f'### How cost grows with the {name}', '', *table(titles, rows)]
    if lines:
        lines += [
            '',
            'Time a person: over that of one person of 64x48 at width 32, in turn. Peak: memory '
            'that a batch takes beyond the model and the batch; on a GPU all that torch allocates.',
        ]
    return lines


def _quality(entry: dict[str, Any]) -> Lines:
    if 'quality' not in entry:
        return []
    first = next(iter(entry['quality']))
    rows = []
    for variant in entry['quality'].values():
        arms = [variant[arm] for arm in ('self_pairs', 'limb_warp', 'true_low')]
        rows.append(
            [
                str(variant['base_channels']),
                f'{variant["crop"][1]}x{variant["crop"][0]}',
                cell(variant['relative']),
                cell(variant['images_per_second'], 1),
                *(f'{arm[kind]["median"]:.3f}' for kind in ('rare', 'common') for arm in arms),
            ]
        )
    titles = ['Width', 'crop', 'time', 'images/s']
    titles += [f'{kind}{of}' for kind in ('rare', 'common') for of in ('', ', warp', ', true')]
    stage1, stage2 = variant['iterations']
    return [
        '',
        '### Quality beside speed',
        '',
        '`pg2-self` on procedural people, trained and judged as in '
        f'[label fidelity](label_fidelity.md): {stage1} + {stage2} iterations, seeds '
        f'{", ".join(map(str, entry["quality_seeds"]))}. Rare and common share: what a judge finds '
        'of the joints of the synthesised, over what it finds on true images of 128x96; warp: the '
        'same of the limb warp at that crop; true: of the true images, as sharp as that crop is, '
        'which the judge, who learnt from sharp ones, is not used to. '
        f'Time: a person synthesised, over {first.replace("_", " at ")}.',
        '',
        *table(titles, rows),
    ]


PARTS = (_steps, _profile, _synthesizer, _training, _offline, _growth, _quality)
"""Each takes what was measured on a device, and gives no lines where its part was not."""
