"""Tables, orderings and the sheet of paper_table.py."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import mmpose
import numpy as np
import torch
from paper_systems import SIZES, SYSTEMS
from scipy import stats
from sheets import write_sheet
from skimage.measure import blur_effect

from pg2aug.visualization import contact_sheet

ROWS, SCALE = 10, 2
METRICS = ('SSIM', 'IS', 'mask-SSIM', 'mask-IS', 'mask-SSIM-inside', 'OKS')
PAPER = {
    'g1-ce-l1': (0.219, 2.568, 0.771, 2.455),
    'g1-hme-l1': (0.294, 3.171, 0.802, 2.508),
    'g1-l1': (0.304, 3.006, 0.809, 2.455),
    'g1-mask': (0.340, 3.326, 0.817, 2.682),
    'g1-d': (0.283, 3.490, 0.803, 3.310),
    'pg2': (0.253, 3.460, 0.792, 3.435),
}
"""Table 1 of the paper, Market-1501: SSIM, IS, mask-SSIM, mask-IS."""

ORDERINGS = (
    ('heatmap concatenation > HME', 'g1-l1', 'g1-hme-l1', 'SSIM'),
    ('HME > CE', 'g1-hme-l1', 'g1-ce-l1', 'SSIM'),
    ('heatmap concatenation > HME', 'g1-l1', 'g1-hme-l1', 'mask-SSIM'),
    ('HME > CE', 'g1-hme-l1', 'g1-ce-l1', 'mask-SSIM'),
    ('heatmap concatenation > HME', 'g1-l1', 'g1-hme-l1', 'OKS'),
    ('HME > CE', 'g1-hme-l1', 'g1-ce-l1', 'OKS'),
    ('mask loss > L1', 'g1-mask', 'g1-l1', 'mask-SSIM'),
    ('one stage sharper than without D', 'g1-d', 'g1-mask', 'sharpness'),
    ('two stages sharper than without D', 'pg2', 'g1-mask', 'sharpness'),
    ('blur wins SSIM: without D > one stage', 'g1-mask', 'g1-d', 'SSIM'),
    ('blur wins SSIM: without D > two stages', 'g1-mask', 'pg2', 'SSIM'),
)


def write_report(args: Any, lambdas: Sequence[float]) -> None:
    """Write paper_table.json, .md and .png from what the tests have left in the work directory."""
    tested = args.work_dir / 'tested'
    systems = {name: [_read(tested / f'{name}_{seed}') for seed in args.seeds] for name in SYSTEMS}
    sweep = {
        f'{weight:g}': [_read(tested / f'pg2_{args.seeds[0]}_lambda{weight:g}')]
        for weight in lambdas
    }
    sweep['50'] = systems['pg2'][:1]
    target = _sharpness(next((tested / f'pg2_{args.seeds[0]}').glob('target')))
    judge = ' --judge CKPT' if args.judge else ''
    seeds = ' '.join(map(str, args.seeds))
    report = {
        'command': f'python benchmarks/paper_table.py --size {args.size} --seeds {seeds}{judge}',
        'device': torch.cuda.get_device_name() if torch.cuda.is_available() else _cpu(),
        'versions': {'torch': torch.__version__, 'mmpose': mmpose.__version__},
        'size': asdict(SIZES[args.size]),
        'seeds': args.seeds,
        'num_pairs': systems['pg2'][0]['num_pairs'],
        'protocols': systems['pg2'][0]['protocols'],
        'sharpness_of_targets': target,
        'systems': {name: _summary(runs) for name, runs in systems.items()},
        'orderings': [_ordering(systems, *ordering) for ordering in ORDERINGS],
        'lambda': {
            name: _summary(sweep[name]) for name in sorted(sweep, key=lambda name: float(name))
        },
    }
    path = args.out / 'paper_table'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix('.json').write_text(json.dumps(report, indent=1) + '\n')
    path.with_suffix('.md').write_text(_markdown(report))
    _write_sheet(tested, args.seeds[0], path.with_suffix('.png'))
    print(path.with_suffix('.md').read_text())


def _read(folder: Path) -> dict[str, Any]:
    results = json.loads((folder / 'results.json').read_text())
    metrics = results['metrics']
    return {
        'num_pairs': results['num_pairs'],
        'protocols': {n: [metrics[n]['protocol'], metrics[n]['note']] for n in METRICS},
        'sharpness': _sharpness(folder / 'synthesised'),
        **{name: metrics[name]['value'] for name in METRICS},
    }


def _sharpness(folder: Path) -> float:
    """One minus scikit-image's blur effect (Crete et al. 2007), mean over the images."""
    images = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.iterdir()))
    return float(np.mean([1 - blur_effect(image) for image in images]))


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    names = (*METRICS, 'sharpness')
    return {name: _spread([run[name] for run in runs]) for name in names}


def _spread(values: list[float | None]) -> dict[str, Any] | None:
    if None in values:
        return None
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {'mean': float(np.mean(values)), 'std': spread, 'runs': values}


def _ordering(
    systems: dict[str, list[dict[str, Any]]], claim: str, better: str, worse: str, metric: str
) -> dict[str, Any]:
    """Whether a system is better with every seed, and by how much (t interval over seeds)."""
    pairs = zip(systems[better], systems[worse], strict=True)
    gains = [a[metric] - b[metric] for a, b in pairs]
    result = {'claim': claim, 'better': better, 'worse': worse, 'metric': metric, 'gains': gains}
    mean, num = float(np.mean(gains)), len(gains)
    half = stats.t.ppf(0.975, num - 1) * stats.sem(gains) if num > 1 else np.inf
    holds = 'yes' if mean > half else 'no' if mean < -half else 'undecided'
    return {**result, 'mean': mean, 'interval': [mean - half, mean + half], 'holds': holds}


def _markdown(report: dict[str, Any]) -> str:
    size, runs = report['size'], len(report['seeds'])
    width, height = size['crop']
    lines = [
        "# The paper's Table 1 on procedural people",
        '',
        f'`{report["command"]}`, {report["device"]}, torch {report["versions"]["torch"]}; {runs} '
        'seeds: mean and standard deviation. '
        f'Crops of {height}x{width} (height x width), width of the networks '
        f'{size["base_channels"]}, batch {size["batch_size"]}, {size["stage1_iters"]} + '
        f'{size["stage2_iters"]} iterations; {size["people"]} people to train on and '
        f'{report["num_pairs"]} pairs of {size["test_people"]} other people to test.',
        '',
        'SSIM, mask-SSIM: the protocols of the PG2 authors; inside: mean over the mask only '
        '([metrics](../metrics.md)). IS, mask-IS: '
        f'{report["protocols"]["IS"][1] or report["protocols"]["IS"][0]}. OKS: of the poses that '
        'an estimator trained on true images finds, with those that were asked for. Sharpness: one '
        'minus the blur effect of scikit-image; of the target images '
        f"{report['sharpness_of_targets']:.3f}. In brackets the paper's own numbers, Market-1501: "
        'another data set, to compare the order with, not the values.',
        '',
        '| System | SSIM | IS | mask-SSIM | mask-IS | inside | OKS | sharpness |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for name, summary in report['systems'].items():
        cells = [_cell(summary[metric]) for metric in (*METRICS, 'sharpness')]
        for i, value in enumerate(PAPER[name]):
            cells[i] += f' ({value:.3f})'
        lines.append(f'| {SYSTEMS[name].title} | {" | ".join(cells)} |')
    lines += [
        '',
        "## Do the paper's orderings hold here?",
        '',
        'Differences with the same seed, mean and 95% interval over the seeds.',
        '',
        '| Claim | metric | difference | holds |',
        '|---|---|---|---|',
    ]
    for entry in report['orderings']:
        low, high = entry['interval']
        difference = f'{entry["mean"]:+.4f} [{low:+.4f}, {high:+.4f}]'
        lines.append(f'| {entry["claim"]} | {entry["metric"]} | {difference} | {entry["holds"]} |')
    lines += [
        '',
        '## Lambda',
        '',
        'Weight of the L1 against the adversarial loss (footnote 2 of the paper) in stage II of '
        'the full model, from the same stage I, with the first seed.',
        '',
        '| lambda | SSIM | mask-SSIM | OKS | sharpness |',
        '|---|---|---|---|---|',
    ]
    for name, summary in report['lambda'].items():
        cells = [_cell(summary[m]) for m in ('SSIM', 'mask-SSIM', 'OKS', 'sharpness')]
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def _cell(value: dict[str, Any] | None) -> str:
    if value is None:
        return 'not computed'
    spread = '' if value['std'] is None else f' ± {value["std"]:.3f}'
    return f'{value["mean"]:.3f}{spread}'


def _write_sheet(tested: Path, seed: int, path: Path) -> None:
    """Condition, target pose, target and the six outputs, as in the paper's Figure 4."""
    folders = {name: tested / f'{name}_{seed}' for name in SYSTEMS}
    first = next(iter(folders.values()))
    names = sorted(image.name for image in (first / 'target').iterdir())
    chosen = [names[i] for i in np.linspace(0, len(names) - 1, ROWS).astype(int)]
    columns = [first / 'condition', first / 'pose', first / 'target']
    columns += [folder / 'synthesised' for folder in folders.values()]
    rows = [[_enlarged(folder / name) for folder in columns] for name in chosen]
    titles = ['condition', 'target pose', 'target', *(system.title for system in SYSTEMS.values())]
    write_sheet(path, contact_sheet(rows, titles))


def _enlarged(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    return cv2.resize(image, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)


def _cpu() -> str:
    return f'{os.cpu_count()} CPU cores ({platform.machine()})'
