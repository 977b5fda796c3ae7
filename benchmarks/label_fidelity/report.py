"""Tables and sheets."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common.files import write_report
from benchmarks.common.machine import device_name, versions
from benchmarks.common.sheets import write_sheet
from benchmarks.common.statistics import half_interval
from benchmarks.common.tables import table
from benchmarks.label_fidelity.arms import ARMS
from pg2aug.visualization.skeletons import contact_sheet

RECOMMENDED = 'self_pairs'
KINDS = ('rare', 'common')
ONE_MAN = (
    'One man, four cameras, one room: the judge and the generators learnt from the same frames of '
    'him, and his joints are estimates of OpenPose. The numbers say whether real pixels can be put '
    'where a label says; they say nothing of other people, clothes or places. (Frames: demo data '
    'of Pose2Sim, BSD-3-Clause.)'
)


def report(args: Any, size: dict[str, Any], target: Path) -> None:
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
    found = {
        'command': _command(args),
        'device': device_name(),
        'versions': versions(),
        'size': size,
        'seeds': args.seeds,
        'trials': {kind: _count(runs_of_one, kind) for kind in KINDS},
        'left_out': sum(int(run['asked']) - len(run['rare']) for run in runs_of_one),
        'recommended': RECOMMENDED,
        'judge': _judge(runs_of_one),
        'arms': arms,
        'pose_model_check': _checks(loaded),
        'families': {name: _families(runs) for name, runs in loaded.items()},
    }
    write_report(target, found, fidelity_markdown(found))
    _write_sheet(folder / str(args.seeds[0]), args.arms, target.with_suffix('.png'))
    print(target.with_suffix('.md').read_text())


def _command(args: Any) -> str:
    seeds, arms = ' '.join(map(str, args.seeds)), ' '.join(args.arms)
    command = f'python -m benchmarks.label_fidelity --size {args.size} --data {args.data}'
    chosen = '' if set(args.arms) == set(ARMS) else f' --arms {arms}'
    return f'{command} --seeds {seeds} --per-person {args.per_person}{chosen}'


def _summary(runs: list[Any], seeds: list[int], kind: str) -> dict[str, Any]:
    names = ('pck_share', 'moved_share', 'pck', 'body_error', 'accepted')
    values: dict[str, list[float]] = {name: [] for name in names}
    for run in runs:
        chosen = run['rare'] == (kind == 'rare')
        labelled = run['visible'][chosen].sum()
        found, true = run['hits'][chosen].sum(), run['true_hits'][chosen].sum()
        values['pck_share'].append(found / max(true, 1))
        moved = run['moved'][chosen]
        moved_true = run['true_hits'][chosen][moved].sum()
        values['moved_share'].append(run['hits'][chosen][moved].sum() / max(moved_true, 1))
        values['pck'].append(found / labelled)
        values['body_error'].append(run['error'][chosen].mean())
        values['accepted'].append(run['accepted'][chosen].mean())
    return {name: _interval(numbers, seeds) for name, numbers in values.items()}


def _interval(numbers: list[float], seeds: list[int]) -> dict[str, Any]:
    mean = float(np.mean(numbers))
    half = half_interval(numbers) or 0.0
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


def _checks(loaded: dict[str, list[Any]]) -> dict[str, Any]:
    """Share of persons that PoseModelCheck with the judge accepts, true ones and each arm's."""
    true = _accepted(next(iter(loaded.values())), 'true_confirmed')
    made = {name: _accepted(runs, 'confirmed') for name, runs in loaded.items()}
    return {'judge': {'true images': true, **made}}


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
        shares[str(family)] = round(float(found / max(true, 1)), 4)
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
    ]
    rows = []
    for name, kinds in report['arms'].items():
        names = ('pck_share', 'moved_share')
        shares = [_cell(kinds[kind][share]) for kind in KINDS for share in names]
        error = ' / '.join(f'{kinds[kind]["body_error"]["mean"]:.1f}' for kind in KINDS)
        accepted = ' / '.join(f'{kinds[kind]["accepted"]["mean"]:.0%}' for kind in KINDS)
        mark = ' (recommended)' if name == report['recommended'] else ''
        rows.append([f'{ARMS[name].title}{mark}', *shares, error, accepted])
    titles = ['Arm', 'rare share', 'rare, moved', 'common share', 'common, moved']
    lines += table([*titles, 'body error, rare / common', 'accepted, rare / common'], rows)
    lines += _verdict(report['arms'], report['recommended'])
    if '--data balance4view' in report['command']:
        lines += ['', ONE_MAN]
    lines += _check_table(report['pose_model_check']['judge'])
    families = sorted({family for shares in report['families'].values() for family in shares})
    rows = [
        [ARMS[name].title, *(f'{shares[family]:.2f}' for family in families)]
        for name, shares in report['families'].items()
    ]
    lines += ['', 'Share by pose family:', '', *table(['Arm', *families], rows)]
    return '\n'.join(lines) + '\n'


def _check_table(accepted: dict[str, Any]) -> list[str]:
    rows = [
        [
            ARMS[name].title if name in ARMS else name,
            ' / '.join(f'{shares[kind]:.0%}' for kind in KINDS),
        ]
        for name, shares in accepted.items()
    ]
    return [
        '',
        'Persons whom PoseModelCheck accepts (`max_distance=0.1, min_oks=0.3`, 70% of the joints) '
        'with the judge. What is refused of the true images should not be; what is accepted of the '
        'copies should not be.',
        '',
        *table(['', 'the judge, rare / common'], rows),
    ]


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
