"""The judge and the generators of label_fidelity.py, trained with the project's own tools."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fidelity_worlds import Split
from mmengine.config import Config
from mmengine.runner import Runner

ROOT = Path(__file__).resolve().parents[1]
JUDGE_CONFIG = ROOT / 'benchmarks' / 'configs' / 'judge_figures-128x96.py'
VALIDATION = ('dataloader', 'evaluator', 'cfg')
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


def train_judge(split: Split, folder: Path, size: Size) -> Path:
    """Train an estimator on true images; returns its checkpoint."""
    # A small data set is shown more often, for as many steps.
    few = len(split.content()['annotations']) < FEW_IMAGES
    epochs = size.judge_epochs * (2 if few else 1)
    checkpoint = folder / f'epoch_{epochs}.pth'
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


def train_generator(
    training: str, seed: int, split: Split, work_dir: Path, size: Size, jobs: int
) -> Path:
    """Train a generator with the project's own tool, one of ``jobs``; returns its folder."""
    folder = work_dir / 'generators' / f'{training}_{seed}'
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
            'model.generator2.skip_full_resolution': False,
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
        threads = max(1, (os.cpu_count() or 1) // jobs)
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


def _option(value: Any) -> str:
    return ','.join(map(str, value)) if isinstance(value, tuple) else json.dumps(value).strip('"')
