"""The judge and the generators, trained with the project's own tools."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from benchmarks.common import tools
from benchmarks.common.files import CONFIGS, PG2_CONFIGS
from benchmarks.label_fidelity.worlds import Split

JUDGE_CONFIG = CONFIGS / 'judge_figures-128x96.py'
VALIDATION = ('dataloader', 'evaluator', 'cfg')
FEW_IMAGES = 1000


@dataclass(frozen=True)
class Size(tools.GeneratorSize):
    """How large a run is: the generators, the people, and the judge's training."""

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
                **{f'train_dataloader.dataset.{k}': v for k, v in split.options().items()},
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
        config = next(PG2_CONFIGS.rglob(f'{training}_figures-64x48.py'))
        options = tools.generator_options(size, seed, split.options())
        options['model.generator2.skip_full_resolution'] = False
        threads = max(1, (os.cpu_count() or 1) // jobs)
        tools.train_generator(config, folder, options, threads)
    return folder
