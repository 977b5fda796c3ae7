"""PG2 training: the project's step over a plain eager float32 implementation of the same step."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from benchmarks.speed.plain import PlainTraining, plain_copy
from benchmarks.speed.setup import ANN_FILE, IMAGES, generator_config
from benchmarks.speed.timing import ratio, remember, spread, synchronize, timed
from pg2aug.engine.training import apply_amp, build_runner

STAGES = ('stage1', 'stage2')
WARM_UP = 2


@HOOKS.register_module()
class AlternateHook(Hook):
    """Follow each iteration of a PG2 training with the plain one on the same batch; time both."""

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Copy the model."""
        self.plain = PlainTraining(plain_copy(runner.model, get_device()))
        self.seconds = {stage: {'plain': [], 'fast': []} for stage in STAGES}
        self.waited: list[float] = []
        self.ended = time.perf_counter()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Begin to time the project's own step."""
        self.waited.append(time.perf_counter() - self.ended)
        synchronize()
        self.began = time.perf_counter()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Time the plain step."""
        synchronize()
        fast = time.perf_counter() - self.began
        stage = STAGES[runner.iter >= runner.model.stage1_iters]
        plain = timed(lambda: self.plain.step(data_batch, stage))
        self.seconds[stage]['fast'].append(fast)
        self.seconds[stage]['plain'].append(plain)
        self.ended = time.perf_counter()


@dataclass(frozen=True)
class TrainingSize:
    """How large the measurement is.

    Attributes:
        generators: Names of configs/pg2; the first is the recommended one.
        batch_size: Of the training; that of the config if None.
        rounds: Iterations of each stage that are timed.
        workers: Of the data loader.
    """

    generators: tuple[str, ...]
    rounds: int
    workers: int
    batch_size: int | None = None


def training_config(generator: str, people: Path, size: TrainingSize, work_dir: Path) -> Config:
    """A config of configs/pg2 in mixed precision, on the people at hand, for a few iterations."""
    cfg = generator_config(generator)
    dataset = cfg.train_dataloader.dataset.dataset
    dataset.data_root, dataset.ann_file = str(people), ANN_FILE
    dataset.data_prefix = dict(img=IMAGES)
    loader = cfg.train_dataloader
    loader.num_workers, loader.persistent_workers = size.workers, size.workers > 0
    loader.batch_size = size.batch_size or loader.batch_size
    cfg.stage1_iters = cfg.stage2_iters = WARM_UP + size.rounds
    cfg.default_hooks.checkpoint = None
    cfg.custom_hooks = [dict(type='AlternateHook')]
    cfg.work_dir, cfg.log_level = str(work_dir / 'runners' / generator), 'WARNING'
    cfg.experiment_name = f'speed_training_{time.time_ns()}'
    apply_amp(cfg, 'bfloat16')
    return cfg


def measure_training(
    generator: str, people: Path, size: TrainingSize, work_dir: Path
) -> dict[str, Any]:
    """Both implementations on the same batches, and the speed-up of the config's whole schedule."""
    cfg = generator_config(generator)
    schedule = {'stage1': cfg.stage1_iters, 'stage2': cfg.stage2_iters}
    cfg = training_config(generator, people, size, work_dir)
    batch_size = cfg.train_dataloader.batch_size
    logging.disable(logging.INFO)
    try:
        runner = build_runner(cfg)
        runner.train()
    finally:
        logging.disable(logging.NOTSET)
    hook = next(hook for hook in runner.hooks if isinstance(hook, AlternateHook))
    seconds = {
        stage: {name: taken[WARM_UP:] for name, taken in both.items()}
        for stage, both in hook.seconds.items()
    }
    whole = whole_schedule(seconds, schedule)
    return {
        'speedup': ratio(whole, 'plain', 'fast'),
        **{stage: ratio(seconds[stage], 'plain', 'fast') for stage in STAGES},
        'fast_images_per_second': spread([batch_size / s for s in whole['fast']]),
        'waited_for_batches': spread(hook.waited[WARM_UP:]),
        'batch_size': batch_size,
        'schedule': schedule,
    }


def whole_schedule(
    seconds: dict[str, dict[str, list[float]]], schedule: dict[str, int]
) -> dict[str, list[float]]:
    """Mean seconds of an iteration, both stages weighted as a schedule has them."""
    total = sum(schedule.values())
    return {
        name: [
            (schedule['stage1'] * first + schedule['stage2'] * second) / total
            for first, second in zip(seconds['stage1'][name], seconds['stage2'][name], strict=True)
        ]
        for name in ('plain', 'fast')
    }


def run_training(size: TrainingSize, people: Path, work_dir: Path) -> dict[str, Any]:
    """The part ``training``."""
    measured = {
        name: remember(
            work_dir / 'training' / f'{name}.json',
            lambda n=name: measure_training(n, people, size, work_dir),
        )
        for name in size.generators
    }
    return {
        'training_speedup': measured[size.generators[0]]['speedup'],
        'training': measured,
    }
