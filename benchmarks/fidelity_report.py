"""Tables and sheets of label_fidelity.py."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import cv2
import mmpose
import numpy as np
import torch
from fidelity_arms import ARMS
from scipy import stats
from sheets import write_sheet

from pg2aug.visualization.skeletons import contact_sheet

RECOMMENDED = 'self_pairs'
KINDS = ('rare', 'common')
OWN = (
    ", and with the user's own estimator, which learnt from the generators' training images, 3% of "
    'them in rare poses'
)
ONE_MAN = (
    'One man, four cameras, one room: the judge and the generators learnt from the same frames of '
    'him, and his joints are estimates of OpenPose. The numbers say whether real pixels can be put '
    'where a label says; they say nothing of other people, clothes or places. (Frames: demo data '
    'of Pose2Sim, BSD-3-Clause.)'
)


def write_report(args: Any, size: dict[str, Any], target: Path) -> None:
    """Write ``target`` as .json, .md and .png from the results in the work directory."""
    folder = args.work_dir / 'results'
    loaded = {
        name: [np.load(folder / str(seed) / f'{name}.npz') for seed in args.seeds]
        for name in args.arms
    }
    arms = {
        name: {kind: _summary(runs, args.seeds, kind) for kind in KINDS}
        for name, runs in loaded.items()
    }
    runs_of_one = next(iter(loaded.values()))
    report = {
        'command': _command(args),
        'device': torch.cuda.get_device_name() if torch.cuda.is_available() else _cpu(),
        'versions': {'torch': torch.__version__, 'mmpose': mmpose.__version__},
        'size': size,
        'seeds': args.seeds,
        'trials': {kind: _count(runs_of_one, kind) for kind in KINDS},
        'left_out': sum(int(run['asked']) - len(run['rare']) for run in runs_of_one),
        'recommended': RECOMMENDED,
        'judge': _judge(runs_of_one),
        'arms': arms,
        'pose_model_check': _checks(loaded, folder / str(args.seeds[0]) / 'own.npz'),
        'families': {name: _families(runs) for name, runs in loaded.items()},
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix('.json').write_text(json.dumps(report, indent=1) + '\n')
    target.with_suffix('.md').write_text(fidelity_markdown(report))
    _write_sheet(folder / str(args.seeds[0]), args.arms, target.with_suffix('.png'))
    print(target.with_suffix('.md').read_text())


def _command(args: Any) -> str:
    seeds, arms = ' '.join(map(str, args.seeds)), ' '.join(args.arms)
    command = f'python benchmarks/label_fidelity.py --size {args.size} --data {args.data}'
    chosen = '' if set(args.arms) == set(ARMS) else f' --arms {arms}'
    return f'{command} --seeds {seeds} --per-person {args.per_person}{chosen}'


def _summary(runs: list[Any], seeds: list[int], kind: str) -> dict[str, Any]:
    names = ('pck_share', 'moved_share', 'pck', 'body_error', 'accepted')
    values: dict[str, list[float]] = {name: [] for name in names}
    for run in runs:
        chosen = run['rare'] == (kind == 'rare')
        labelled = run['visible'][chosen].sum()
        found, true = run['hits'][chosen].sum(), run['true_hits'][chosen].sum()
        values['pck_share'].append(found / true)
        moved = run['moved'][chosen]
        moved_true = run['true_hits'][chosen][moved].sum()
        values['moved_share'].append(run['hits'][chosen][moved].sum() / max(moved_true, 1))
        values['pck'].append(found / labelled)
        values['body_error'].append(run['error'][chosen].mean())
        values['accepted'].append(run['accepted'][chosen].mean())
    return {name: _interval(numbers, seeds) for name, numbers in values.items()}


def _interval(numbers: list[float], seeds: list[int]) -> dict[str, Any]:
    mean = float(np.mean(numbers))
    half = 0.0
    if len(numbers) > 1:
        spread = float(np.std(numbers, ddof=1)) / np.sqrt(len(numbers))
        half = float(stats.t.ppf(0.975, len(numbers) - 1)) * spread
    by_seed = {str(seed): round(float(n), 4) for seed, n in zip(seeds, numbers, strict=True)}
    return {
        'mean': round(mean, 4),
        'ci95': [round(mean - half, 4), round(mean + half, 4)],
        'seeds': by_seed,
    }


def _count(runs: list[Any], kind: str) -> int:
    return sum(int((run['rare'] == (kind == 'rare')).sum()) for run in runs)


def _judge(runs: list[Any]) -> dict[str, float]:
    """What the judge finds on true images."""
    shares = {}
    for kind in KINDS:
        chosen = [run['rare'] == (kind == 'rare') for run in runs]
        true = sum(run['true_hits'][c].sum() for run, c in zip(runs, chosen, strict=True))
        labelled = sum(run['visible'][c].sum() for run, c in zip(runs, chosen, strict=True))
        shares[kind] = round(float(true / labelled), 4)
    return shares


def _checks(loaded: dict[str, list[Any]], own: Path) -> dict[str, Any]:
    """Share of persons that PoseModelCheck accepts, by judge, on true images and on each arm's."""
    runs = next(iter(loaded.values()))
    checks = {'judge': {'true images': _accepted(runs, 'true_confirmed')}}
    for name, arm_runs in loaded.items():
        checks['judge'][name] = _accepted(arm_runs, 'confirmed')
    if own.exists():
        verdicts = np.load(own)
        checks['own'] = {name: _accepted([verdicts], name) for name in checks['judge']}
    return checks


def _accepted(runs: list[Any], key: str) -> dict[str, float]:
    shares = {}
    for kind in KINDS:
        verdicts = [run[key][run['rare'] == (kind == 'rare')] for run in runs]
        shares[kind] = round(float(np.concatenate(verdicts).mean()), 4)
    return shares


def _families(runs: list[Any]) -> dict[str, float]:
    """PCK share by pose family, over all seeds."""
    shares = {}
    for family in sorted(set(runs[0]['family'])):
        chosen = [run['family'] == family for run in runs]
        found = sum(run['hits'][c].sum() for run, c in zip(runs, chosen, strict=True))
        true = sum(run['true_hits'][c].sum() for run, c in zip(runs, chosen, strict=True))
        shares[str(family)] = round(float(found / true), 4)
    return shares


def _verdict(arms: dict[str, Any], recommended: str) -> list[str]:
    """The targets, and whether they are met."""
    if recommended not in arms:
        return []
    share = arms[recommended]['rare']['pck_share']['mean']
    lines = [
        f'- Rare share of at least 0.95: {"met" if share >= 0.95 else "missed"} ({share:.3f}).'
    ]
    if 'true_low' in arms:
        ceiling = arms['true_low']['rare']['pck_share']['mean']
        lines.append(
            f'- The true images, as sharp as the crops are, have a rare share of {ceiling:.3f}: a '
            f'judge who learnt from sharp images has {share / ceiling:.2f} times that on the '
            'synthesised.'
        )
    if 'limb_warp' in arms:
        pairs = [
            (arms[recommended][kind]['pck_share']['seeds'], arms['limb_warp'][kind]['pck_share'])
            for kind in KINDS
        ]
        below = [
            f'{kind}, seed {seed}'
            for kind, (own, warp) in zip(KINDS, pairs, strict=True)
            for seed, value in own.items()
            if value < warp['seeds'][seed]
        ]
        lines.append(
            f'- Never below the limb warp: {"missed: " + "; ".join(below) if below else "met"}.'
        )
    return ['', 'The recommended arm against its targets:', '', *lines]


def fidelity_markdown(report: dict[str, Any]) -> str:
    """The report in words and tables."""
    judge, count = report['judge'], len(report['seeds'])
    lines = [
        '# Label fidelity',
        '',
        f'`{report["command"]}`, {report["device"]}, {count} seed{"s" * (count > 1)}: mean and 95% '
        f'interval over seeds. {report["trials"]["rare"]} rare and '
        f'{report["trials"]["common"]} common targets; '
        f'{report["left_out"]} were left out for all arms: nothing can be made of them. Crops of '
        f'{report["size"]["crop"][0]}x{report["size"]["crop"][1]}, '
        f'{report["size"]["stage1_iters"]} + {report["size"]["stage2_iters"]} iterations of '
        f'{report["size"]["batch_size"]}.',
        '',
        f'The judge finds {judge["rare"]:.1%} of the joints (PCK@0.1) on the true images of the '
        f'rare poses and {judge["common"]:.1%} on those of the common ones. Share: what it finds '
        'on synthesised people over that. Moved: the same over the joints that the pose moves by '
        'more than a fifth of its diagonal, which a copy of the source cannot have right; of all '
        'joints it has many, for the pose is fitted to where the person stands. Body '
        'error: mean absolute difference from the true '
        'image on the body, in grey levels. Accepted: by AppearanceCheck, which the shares do not '
        'use: every person counts.',
        '',
        '| Arm | rare share | rare, moved | common share | common, moved '
        '| body error, rare / common | accepted, rare / common |',
        '|---|---|---|---|---|---|---|',
    ]
    for name, kinds in report['arms'].items():
        names = ('pck_share', 'moved_share')
        shares = ' | '.join(_cell(kinds[kind][share]) for kind in KINDS for share in names)
        error = ' / '.join(f'{kinds[kind]["body_error"]["mean"]:.1f}' for kind in KINDS)
        accepted = ' / '.join(f'{kinds[kind]["accepted"]["mean"]:.0%}' for kind in KINDS)
        mark = ' (recommended)' if name == report['recommended'] else ''
        lines.append(f'| {ARMS[name].title}{mark} | {shares} | {error} | {accepted} |')
    lines += _verdict(report['arms'], report['recommended'])
    if '--data balance4view' in report['command']:
        lines += ['', ONE_MAN]
    lines += _check_table(report['pose_model_check'])
    families = sorted({family for shares in report['families'].values() for family in shares})
    lines += ['', 'Share by pose family:', '', f'| Arm | {" | ".join(families)} |']
    lines.append('|---' * (len(families) + 1) + '|')
    for name, shares in report['families'].items():
        numbers = ' | '.join(f'{shares[family]:.2f}' for family in families)
        lines.append(f'| {ARMS[name].title} | {numbers} |')
    return '\n'.join(lines) + '\n'


def _check_table(checks: dict[str, Any]) -> list[str]:
    titles = {'judge': 'the judge', 'own': "the user's own estimator"}
    lines = [
        '',
        'Persons whom PoseModelCheck accepts (`max_distance=0.1, min_oks=0.3`, 70% of the joints) '
        f'with the judge{OWN if "own" in checks else ""}. What is refused of the true images '
        'should not be; what is accepted of the copies should not be.',
        '',
        '| | ' + ' | '.join(f'{titles[judge]}, rare / common' for judge in checks) + ' |',
        '|---' * (len(checks) + 1) + '|',
    ]
    for name in next(iter(checks.values())):
        shares = ' | '.join(
            f'{checks[judge][name]["rare"]:.0%} / {checks[judge][name]["common"]:.0%}'
            for judge in checks
        )
        title = ARMS[name].title if name in ARMS else name
        lines.append(f'| {title} | {shares} |')
    return lines


def _cell(interval: dict[str, Any]) -> str:
    low, high = interval['ci95']
    return f'{interval["mean"]:.3f} [{low:.3f}, {high:.3f}]'


def _write_sheet(folder: Path, arms: list[str], path: Path) -> None:
    """Rows of source, true image and every arm: rare targets above, common ones below."""
    trials = np.load(folder / 'trials.npz')
    shown = trials['shown']
    made = [np.load(folder / f'{arm}.npz')['images'][shown] for arm in arms]
    columns = [trials['source'], trials['true_images'][shown], *made]
    rows = [[_shrink(column[i]) for column in columns] for i in range(len(columns[0]))]
    titles = ['source', 'true image', *(ARMS[name].title for name in arms)]
    write_sheet(path, contact_sheet(rows, titles))


def _shrink(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (96, 128), interpolation=cv2.INTER_CUBIC)


def _cpu() -> str:
    return f'{os.cpu_count()} CPU cores ({platform.machine()})'
