"""Where a training step with PG2Augment spends its time."""

import functools
import pkgutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from speed_setup import random_generator
from speed_step import SteppedTrainLoop, StepSize, start_training, training_config
from speed_timing import remember, spread, synchronize

PROB = 0.3
_AUGMENT, _MODELS, _MMPOSE = 'pg2aug.augment', 'pg2aug.models', 'mmpose.models'
SECTIONS = {
    'loss, way back, optimiser, hooks': 'speed_step:SteppedTrainLoop.run_iter',
    'pose model, forward': f'{_MMPOSE}.pose_estimators.base:BasePoseEstimator.forward',
    'transfer of the batch': f'{_MMPOSE}.data_preprocessors:PoseDataPreprocessor.forward',
    'plans taken, affines recovered': f'{_AUGMENT}.deferred:DeferredBatch.take',
    'images out of the batch and into it': f'{_AUGMENT}.deferred:DeferredBatch.synthesize',
    'composite and warp': f'{_AUGMENT}.synthesizer:Synthesizer.__call__',
    'plans to the device': f'{_AUGMENT}.synthesizer:Synthesizer._to_device',
    'heatmaps, masks, limb warp': f'{_MODELS}:PG2DataPreprocessor.forward',
    'G1': f'{_MODELS}:PoseIntegrationGenerator.forward',
    'G2': f'{_MODELS}:RefinementGenerator.forward',
    'limb warp alone': f'{_MODELS}.limb_warp_generator:LimbWarpGenerator.synthesize',
    'label check': f'{_AUGMENT}:AppearanceCheck.__call__',
    'hole filling': f'{_AUGMENT}.compositing:fill_holes',
}
"""What is timed, each without what is timed inside it: module and name, as it is looked up."""

WAITING = 'waiting for the workers'


class Sections:
    """Seconds by section, each without those inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Add the time within to a section; a GPU is waited for on both sides."""
        synchronize()
        start = time.perf_counter()
        self._inside.append(0.0)
        try:
            yield
        finally:
            synchronize()
            taken = time.perf_counter() - start
            self.seconds[name] += taken - self._inside.pop()
            if self._inside:
                self._inside[-1] += taken

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that is timed."""

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self.section(name):
                return function(*args, **kwargs)

        return run

    @contextmanager
    def watching(self, places: dict[str, str]) -> Iterator[None]:
        """Time functions and methods wherever they are called.

        Args:
            places: By section, 'module:name' or 'module:class.method'.
        """
        with ExitStack() as stack:
            for name, place in places.items():
                module, path = place.split(':')
                *owners, attribute = path.split('.')
                owner = pkgutil.resolve_name(f'{module}:{".".join(owners)}' if owners else module)
                function = getattr(owner, attribute)
                stack.enter_context(mock.patch.object(owner, attribute, self.wrap(name, function)))
            yield


def profile_step(
    model: str, generator: str, people: Path, size: StepSize, work_dir: Path
) -> dict[str, Any]:
    """Milliseconds of a step by section, and of what a worker does for a batch.

    A GPU is waited for at both ends of a section, which makes the whole slower than it is without:
    the shares count. Workers run beside the step; only what the step waits for them is its own.
    """
    named = random_generator(generator, work_dir / 'generators')
    cfg = training_config(model, named, PROB, people, size)
    loop = start_training(cfg, f'profile_{model}_{generator}', work_dir)
    loop.steps(1)
    rounds = []
    for _ in range(size.rounds):
        sections = Sections()
        loop.use_up()
        with sections.watching(SECTIONS):
            for _ in range(size.steps):
                loop.step()
        sections.seconds[WAITING] = loop.waited
        rounds.append(sections.seconds)
    by_section = {
        name: spread([1000 * r.get(name, 0.0) / size.steps for r in rounds])
        for name in (WAITING, *SECTIONS)
        if any(r.get(name, 0.0) for r in rounds)
    }
    return {'milliseconds': by_section, 'worker_milliseconds': time_worker(loop, size)}


def time_worker(loop: SteppedTrainLoop, size: StepSize) -> dict[str, Any]:
    """Milliseconds of a worker's pipeline for a batch: PG2Augment, and everything."""
    dataset = loop.dataloader.dataset
    rounds = []
    for round_ in range(size.rounds):
        indices = np.random.default_rng(round_).integers(len(dataset), size=size.batch_size)
        sections = Sections()
        augment = {'PG2Augment': f'{_AUGMENT}:PG2Augment.transform'}
        with sections.watching(augment), sections.section('the rest of the pipeline'):
            for index in indices:
                dataset[int(index)]
        rounds.append(sections.seconds)
    return {name: spread([1000 * r[name] for r in rounds]) for name in rounds[0]}


def run_profile(size: StepSize, people: Path, work_dir: Path) -> dict[str, Any]:
    """The part ``profile`` of speed.py: the last generator of each pose model."""
    return {
        'profile': {
            model: {
                generators[-1]: remember(
                    work_dir / 'profile' / f'{model}_{generators[-1]}.json',
                    lambda m=model, g=generators[-1]: profile_step(m, g, people, size, work_dir),
                )
            }
            for model, generators in size.generators.items()
        },
        'profile_prob': PROB,
    }
