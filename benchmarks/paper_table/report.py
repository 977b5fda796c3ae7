"""Tables, orderings and the sheet."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config

from benchmarks.common.files import write_report
from benchmarks.common.machine import device_name, versions
from benchmarks.common.sheets import write_sheet
from benchmarks.common.statistics import half_interval
from benchmarks.paper_table.markdown import paper_markdown
from benchmarks.paper_table.measures import ON_BODY, TestPairs
from benchmarks.paper_table.systems import SIZES, SYSTEMS
from pg2aug.visualization.skeletons import contact_sheet

ROWS, SCALE = 10, 2
METRICS = ('SSIM', 'IS', 'mask-SSIM', 'mask-IS', 'mask-SSIM-inside')
COLUMNS = (*METRICS, *ON_BODY)
ERRORS = ('L1 inside',)
"""Measures that are better where they are less."""

ORDERINGS = (
    *(
        (claim, better, worse, metric)
        for claim, better, worse in (
            ('heatmap concatenation > HME', 'g1-l1', 'g1-hme-l1'),
            ('HME > CE', 'g1-hme-l1', 'g1-ce-l1'),
        )
        for metric in ('SSIM', 'mask-SSIM', 'mask-SSIM-inside', 'L1 inside')
    ),
    ('mask loss > L1', 'g1-mask', 'g1-l1', 'mask-SSIM'),
    ('mask loss > L1', 'g1-mask', 'g1-l1', 'L1 inside'),
    ('one stage sharper than without D', 'g1-d', 'g1-mask', 'detail'),
    ('two stages sharper than without D', 'pg2', 'g1-mask', 'detail'),
    ('blur wins SSIM: without D > one stage', 'g1-mask', 'g1-d', 'SSIM'),
    ('blur wins SSIM: without D > two stages', 'g1-mask', 'pg2', 'SSIM'),
)
"""What the paper finds: a claim, the better system, the worse one, and what is compared."""


def report(args: Any, lambdas: Sequence[float]) -> None:
    """Write paper_table.json, .md and .png from what the tests have left in the work directory."""
    first, tested = args.seeds[0], args.work_dir / 'tested'
    trained = args.work_dir / 'trained' / f'pg2_{first}' / 'pg2_figures-64x48.py'
    pairs = TestPairs.load(trained, SIZES[args.size].test_pairs)
    systems = {
        name: [_read(tested / f'{name}_{seed}', pairs) for seed in args.seeds] for name in SYSTEMS
    }
    sweep = {weight: [_read(tested / f'pg2_{first}_lambda{weight:g}', pairs)] for weight in lambdas}
    sweep[float(Config.fromfile(trained).model.l1_weight)] = systems['pg2'][:1]
    seeds = ' '.join(map(str, args.seeds))
    found = {
        'command': f'python -m benchmarks.paper_table --size {args.size} --seeds {seeds}',
        'device': device_name(),
        'versions': versions(),
        'size': asdict(SIZES[args.size]),
        'seeds': args.seeds,
        'num_pairs': systems['pg2'][0]['num_pairs'],
        'protocols': systems['pg2'][0]['protocols'],
        'without_a_model': pairs.without_a_model(),
        'systems': {name: _summary(runs) for name, runs in systems.items()},
        'orderings': [_ordering(systems, *ordering) for ordering in ORDERINGS],
        'lambda': {f'{weight:g}': _summary(sweep[weight]) for weight in sorted(sweep)},
    }
    path = args.out / 'paper_table'
    write_report(path, found, paper_markdown(found, COLUMNS))
    _write_sheet(tested, first, path.with_suffix('.png'))
    print(path.with_suffix('.md').read_text())


def _read(folder: Path, pairs: TestPairs) -> dict[str, Any]:
    results = json.loads((folder / 'results.json').read_text())
    metrics = results['metrics']
    return {
        'num_pairs': results['num_pairs'],
        'protocols': {name: [metrics[name]['protocol'], metrics[name]['note']] for name in METRICS},
        **pairs.on_body(pairs.read(folder / 'synthesised')),
        **{name: metrics[name]['value'] for name in METRICS},
    }


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: _spread([run[name] for run in runs]) for name in (*METRICS, *ON_BODY)}


def _spread(values: list[float | None]) -> dict[str, Any] | None:
    if None in values:
        return None
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {'mean': float(np.mean(values)), 'std': spread, 'runs': values}


def _ordering(
    systems: dict[str, list[dict[str, Any]]], claim: str, better: str, worse: str, metric: str
) -> dict[str, Any]:
    """By how much a system is better with the same seed, and a t interval over the seeds."""
    result = {'claim': claim, 'better': better, 'worse': worse, 'metric': metric}
    if systems[better][0][metric] is None:
        return {**result, 'holds': 'not computed'}
    sign = -1 if metric in ERRORS else 1
    runs = zip(systems[better], systems[worse], strict=True)
    gains = [sign * (a[metric] - b[metric]) for a, b in runs]
    result |= {'gains': gains, 'mean': float(np.mean(gains)), 'interval': None}
    half = half_interval(gains)
    if half is None:
        return {**result, 'holds': 'one seed'}
    interval = [result['mean'] - half, result['mean'] + half]
    holds = 'yes' if interval[0] > 0 else 'no' if interval[1] < 0 else 'undecided'
    return {**result, 'interval': interval, 'holds': holds}


def _write_sheet(tested: Path, seed: int, path: Path) -> None:
    """Condition, target pose, target and the six outputs, as in the paper's Figure 4."""
    folders = {name: tested / f'{name}_{seed}' for name in SYSTEMS}
    first = next(iter(folders.values()))
    names = sorted(image.name for image in (first / 'target').iterdir())
    chosen = [names[i] for i in np.linspace(0, len(names) - 1, ROWS).astype(int)]
    columns = [first / 'condition', first / 'pose', first / 'target']
    columns += [folder / 'synthesised' for folder in folders.values()]
    rows = [[_enlarged(folder / name) for folder in columns] for name in chosen]
    titles = ['condition', 'target pose', 'target', *(s.title for s in SYSTEMS.values())]
    write_sheet(path, contact_sheet(rows, titles))


def _enlarged(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    return cv2.resize(image, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
