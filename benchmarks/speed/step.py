"""Step time of MMPose training with PG2Augment over the same training without it."""

import gc
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, Runner

from benchmarks.speed.setup import ANN_FILE, IMAGES, pose_config, random_generator
from benchmarks.speed.timing import alternate, ratio, remember, spread, timed

PROBS = (0.1, 0.3, 0.5)
WITHOUT = 'without'


@LOOPS.register_module()
class SteppedTrainLoop(EpochBasedTrainLoop):
    """MMEngine's loop, of which :meth:`Runner.train` does all but the steps: they are called for.

    Batches come from the workers without end, so that no epoch has to begin.
    """

    def run(self) -> torch.nn.Module:
        """Prepare for steps."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self.batches = iter(self.dataloader)
        self.waited = 0.0
        return self.runner.model

    def step(self) -> None:
        """One iteration: a batch, the hooks and the model's step."""
        start = time.perf_counter()
        batch = next(self.batches)
        self.waited += time.perf_counter() - start
        self.run_iter(self._iter, batch)

    def use_up(self) -> None:
        """Train on what the workers prepared while others had their turn."""
        for _ in range(self.dataloader.num_workers * (self.dataloader.prefetch_factor or 0)):
            self.step()
        self.waited = 0.0

    def steps(self, number: int) -> float:
        """Seconds of a step, the mean of some."""
        self.use_up()
        return timed(lambda: [self.step() for _ in range(number)]) / number


@dataclass(frozen=True)
class StepSize:
    """How large the measurement is.

    Attributes:
        generators: By pose model, names of configs/pg2 and LIMB_WARP.
        batch_size: Of the pose model.
        workers: Of its data loader.
        steps: Timed at a time.
        rounds: Times that all take turns.
    """

    generators: dict[str, tuple[str, ...]]
    batch_size: int
    workers: int
    steps: int
    rounds: int


def training_config(
    model: str, generator: dict[str, Any] | None, prob: float, people: Path, size: StepSize
) -> Config:
    """A pose training, with PG2Augment and PG2Hook where there is a generator."""
    cfg = pose_config(model)
    dataset = cfg.train_dataloader.dataset
    dataset.data_root, dataset.ann_file = str(people), ANN_FILE
    dataset.data_prefix = dict(img=IMAGES)
    if generator is not None:
        bank = str(people / ANN_FILE)
        augment = dict(type='PG2Augment', generator=generator, pose_bank=bank, prob=prob)
        dataset.pipeline = [dataset.pipeline[0], augment, *dataset.pipeline[1:]]
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='PG2Hook')]
    cfg.train_dataloader.batch_size = size.batch_size
    cfg.train_dataloader.num_workers = size.workers
    cfg.train_dataloader.persistent_workers = size.workers > 0
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.train_cfg = dict(type='SteppedTrainLoop', max_epochs=cfg.train_cfg.max_epochs)
    for mode in ('val', 'test'):
        for key in ('dataloader', 'evaluator', 'cfg'):
            cfg[f'{mode}_{key}'] = None
    return cfg


def start_training(cfg: Config, name: str, work_dir: Path) -> SteppedTrainLoop:
    """Build the Runner of a config and set it going, up to its first step."""
    cfg.work_dir, cfg.log_level = str(work_dir / 'runners' / name), 'WARNING'
    cfg.experiment_name = f'speed_{name}_{time.time_ns()}'
    cfg.randomness = dict(seed=0)
    logging.disable(logging.INFO)
    try:
        runner = Runner.from_cfg(cfg)
        runner.train()
    finally:
        logging.disable(logging.NOTSET)
    return runner.train_loop


def measure_steps(
    model: str, generator: str, people: Path, size: StepSize, work_dir: Path
) -> dict[str, Any]:
    """Spread of the step's time over that without PG2Augment, by prob."""
    # Runners refer to themselves: the workers of the last ones end here, not at their last use.
    gc.collect()
    named = random_generator(generator, work_dir / 'generators')
    configs = {WITHOUT: training_config(model, None, 0, people, size)}
    for prob in PROBS:
        configs[str(prob)] = training_config(model, named, prob, people, size)
    loops = {
        prob: start_training(cfg, f'{model}_{generator}_{prob}', work_dir)
        for prob, cfg in configs.items()
    }
    calls = {prob: (lambda loop=loop: loop.steps(size.steps)) for prob, loop in loops.items()}
    seconds = alternate(calls, size.rounds)
    ratios = {prob: ratio(seconds, prob, WITHOUT) for prob in map(str, PROBS)}
    return {'ratios': ratios, 'seconds_without': spread(seconds[WITHOUT])}


def run_steps(size: StepSize, people: Path, work_dir: Path) -> dict[str, Any]:
    """The part ``step``."""
    measured: dict[str, Any] = {
        model: {
            generator: remember(
                work_dir / 'step' / f'{model}_{generator}.json',
                lambda m=model, g=generator: measure_steps(m, g, people, size, work_dir),
            )
            for generator in generators
        }
        for model, generators in size.generators.items()
    }
    return {
        'step_ratio': {
            model: {name: m['ratios'] for name, m in generators.items()}
            for model, generators in measured.items()
        },
        'step_seconds_without': {
            model: {name: m['seconds_without'] for name, m in generators.items()}
            for model, generators in measured.items()
        },
        'step_batch_size': size.batch_size,
        'step_workers': size.workers,
    }
