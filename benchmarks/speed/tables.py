"""The tables of the report, one function for each of its parts."""

from typing import Any

from benchmarks.common.tables import table

Lines = list[str]


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


PARTS = (_steps, _synthesizer, _training, _offline)
"""Each takes what was measured on a device, and gives no lines where its part was not."""
