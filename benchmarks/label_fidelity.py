"""Do synthesised people stand as their labels say? A judge who knows all poses tells.

Usage: python benchmarks/label_fidelity.py [--size cpu|gpu] [--data figures|balance4view]

A pose estimator (the judge) learns from true images with all poses well covered. It then looks at
people synthesised in rare and in common target poses, and at the true images of the same people in
the same poses. What it finds on the synthesised as a share of what it finds on the true images says
how far labels and pixels agree; copies of the source must score near zero. Every step is skipped
where its result is in the work directory, so that an interrupted run is simply started again.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fidelity_arms import (
    ARMS,
    Trial,
    body_error,
    judge_images,
    load_generator,
    make_trial,
    moved_joints,
    synthesize,
)
from fidelity_report import write_report
from fidelity_worlds import Split, World, balance4view_world, figures_world
from mmengine.config import Config
from mmengine.runner import Runner

ROOT = Path(__file__).resolve().parents[1]
METAINFO = dict(from_file='configs/_base_/datasets/coco.py')
JUDGE_CONFIG = ROOT / 'benchmarks' / 'configs' / 'judge_figures-128x96.py'
VALIDATION = ('dataloader', 'evaluator', 'cfg')
SHEET_TRIALS = 8
FEW_IMAGES = 1000


@dataclass(frozen=True)
class Size:
    """How large a run is: crops, generators, people, and iterations of both stages."""

    crop: tuple[int, int]
    base_channels: int
    num_blocks: int
    batch_size: int
    stage1_iters: int
    stage2_iters: int
    people: int
    judge_people: int
    judge_epochs: int


SIZES = {
    'cpu': Size((48, 64), 32, 4, 16, 750, 50, 40, 300, 30),
    'gpu': Size((96, 128), 64, 5, 32, 10000, 4000, 200, 2000, 30),
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', choices=SIZES, default='cpu')
    parser.add_argument('--data', choices=('figures', 'balance4view'), default='figures')
    parser.add_argument(
        '--data-root', type=Path, default=ROOT.parent / 'shared' / 'data' / 'balance4view'
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--per-person', type=int, default=4, help='targets of each kind')
    parser.add_argument('--arms', nargs='+', choices=ARMS, default=list(ARMS))
    parser.add_argument('--jobs', type=int, default=2, help='trainings at a time')
    parser.add_argument('--work-dir', type=Path)
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'results')
    args = parser.parse_args()
    default = ROOT / 'work_dirs' / f'label_fidelity_{args.data}_{args.size}'
    args.work_dir = (args.work_dir or default).resolve()
    return args


def train_judge(split: Split, work_dir: Path, size: Size) -> Path:
    """Train the judge on true images; returns its checkpoint."""
    # A small data set is shown more often, for as many steps.
    few = len(split.content()['annotations']) < FEW_IMAGES
    epochs = size.judge_epochs * (4 if few else 1)
    checkpoint = work_dir / 'judge' / f'epoch_{epochs}.pth'
    if not checkpoint.exists():
        cfg = Config.fromfile(JUDGE_CONFIG)
        cfg.merge_from_dict(
            {
                **split.options('train_dataloader.dataset'),
                'work_dir': str(checkpoint.parent),
                'train_cfg.max_epochs': epochs,
                'param_scheduler.0.T_max': epochs,
                'default_hooks.checkpoint.interval': epochs,
            }
        )
        # What it is worth shows on the true images of the trials.
        for mode in ('val', 'test'):
            for key in VALIDATION:
                cfg[f'{mode}_{key}'] = None
        cfg.train_cfg.pop('val_interval')
        Runner.from_cfg(cfg).train()
    return checkpoint


def load_judge(checkpoint: Path, device: str) -> Any:
    """The judge, in evaluation mode."""
    from mmpose.apis import init_model

    return init_model(str(JUDGE_CONFIG), str(checkpoint), device=device)


def train_generator(training: str, seed: int, split: Split, work_dir: Path, args: Any) -> Path:
    """Train a generator with the project's own tool; returns its folder."""
    folder = work_dir / 'generators' / f'{training}_{seed}'
    size = SIZES[args.size]
    total = size.stage1_iters + size.stage2_iters
    if not (folder / f'iter_{total}.pth').exists():
        dataset = 'train_dataloader.dataset'
        options = {
            'stage1_iters': size.stage1_iters,
            'stage2_iters': size.stage2_iters,
            'randomness.seed': seed,
            'model.size': size.crop,
            'model.generator1.base_channels': size.base_channels,
            'model.generator2.base_channels': size.base_channels,
            'model.generator1.num_blocks': size.num_blocks,
            'model.generator2.num_blocks': size.num_blocks - 2,
            'train_dataloader.batch_size': size.batch_size,
            f'{dataset}.size': size.crop,
            **split.options(f'{dataset}.dataset'),
            'custom_hooks.0.dataset.size': size.crop,
            **split.options('custom_hooks.0.dataset.dataset'),
        }
        config = ROOT / 'configs' / 'pg2' / f'{training}_figures-64x48.py'
        command = [sys.executable, str(ROOT / 'tools' / 'train_pg2.py'), str(config), '--amp']
        command += ['--work-dir', str(folder), '--resume', '--cfg-options']
        command += [f'{key}={_option(value)}' for key, value in options.items()]
        threads = max(1, (os.cpu_count() or 1) // args.jobs)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / 'output.log').open('a') as log:
            subprocess.run(
                command,
                check=True,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={'OMP_NUM_THREADS': str(threads), **os.environ},
            )
    return folder


def run_seed(seed: int, world: World, judge: Any, args: Any, device: str) -> None:
    """Judge all arms of a seed; one file of results each."""
    size, skeleton = SIZES[args.size], world.skeleton
    results = args.work_dir / 'results' / str(seed)
    missing = [name for name in args.arms if not (results / f'{name}.npz').exists()]
    if not missing:
        return
    results.mkdir(parents=True, exist_ok=True)
    made = [
        make_trial(source, target, skeleton, size.crop, (96, 128))
        for source, target in world.trials(seed, args.per_person)
    ]
    trials = [trial for trial in made if trial is not None]
    visible = np.stack([trial.plan.target_visible for trial in trials])
    keypoints = np.stack([trial.keypoints for trial in trials])
    true_images = np.stack([trial.true_image for trial in trials])
    true_keypoints = np.stack([trial.true_keypoints for trial in trials])
    common = dict(
        rare=np.array([trial.rare for trial in trials]),
        family=np.array([trial.family for trial in trials]),
        visible=visible,
        true_hits=judge_images(judge, true_images, true_keypoints, visible, device),
        moved=moved_joints(trials),
        asked=len(made),
    )
    shown = sheet_trials(trials)
    conditions = np.stack([trials[i].plan.condition for i in shown])
    _save(results / 'sheet.npz', source=conditions, true=true_images[shown])
    for name in missing:
        arm = ARMS[name]
        folder = args.work_dir / 'generators' / f'{arm.training}_{seed}'
        generator = load_generator(arm, folder if arm.training else None, METAINFO, size.crop)
        images, accepted = synthesize(arm, generator, trials, device)
        _save(
            results / f'{name}.npz',
            hits=judge_images(judge, images, keypoints, visible, device),
            accepted=accepted,
            error=body_error(trials, images, skeleton),
            sheet=images[shown],
            **common,
        )


def check_settings(args: Any) -> None:
    """Keep what decides the results beside them; refuse to mix results of other settings."""
    path = args.work_dir / 'settings.json'
    settings = json.loads(json.dumps({**asdict(SIZES[args.size]), 'per_person': args.per_person}))
    if not path.exists():
        path.write_text(json.dumps(settings, indent=1) + '\n')
    elif (found := json.loads(path.read_text())) != settings:
        raise SystemExit(
            f'{args.work_dir} holds results of other settings, {found} instead of {settings}: '
            'choose another --work-dir'
        )


def _save(path: Path, **arrays: Any) -> None:
    partial = path.with_name(f'.{path.name}')
    np.savez_compressed(partial, **arrays)
    os.replace(partial, path)


def sheet_trials(trials: list[Trial]) -> list[int]:
    """Rare trials and common ones, evenly spread over the people."""
    chosen = []
    for kind in (True, False):
        indices = [i for i, trial in enumerate(trials) if trial.rare == kind]
        chosen += [indices[i] for i in np.linspace(0, len(indices) - 1, SHEET_TRIALS).astype(int)]
    return chosen


def _option(value: Any) -> str:
    return ','.join(map(str, value)) if isinstance(value, tuple) else json.dumps(value).strip('"')


def main() -> None:
    """Train what is missing, judge what is not judged yet, write the report."""
    args = parse_args()
    size = SIZES[args.size]
    args.work_dir.mkdir(parents=True, exist_ok=True)
    check_settings(args)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if args.data == 'figures':
        data = args.work_dir / 'figures'
        world = figures_world(data, args.seeds, size.judge_people, size.people)
    else:
        world = balance4view_world(args.data_root.resolve(), args.seeds)
    trainings = sorted({ARMS[name].training for name in args.arms} - {None})
    jobs = [(training, seed) for seed in args.seeds for training in trainings]
    with ThreadPoolExecutor(args.jobs) as pool:
        started = [
            pool.submit(train_generator, training, seed, world.train[seed], args.work_dir, args)
            for training, seed in jobs
        ]
        checkpoint = train_judge(world.judge, args.work_dir, size)
        for future in started:
            future.result()
    judge = load_judge(checkpoint, device)
    for seed in args.seeds:
        run_seed(seed, world, judge, args, device)
    name = 'label_fidelity' if args.data == 'figures' else f'label_fidelity_{args.data}'
    write_report(args, asdict(size), args.out / name)


if __name__ == '__main__':
    main()
