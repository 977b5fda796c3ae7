"""The project's own tools, run as a user runs them, and what it takes to train a generator."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common.files import ROOT

LOGGED = 3000
"""Characters of a tool's output that an error shows."""


def run_tool(name: str, *arguments: object, log: Path | None = None, threads: int = 1) -> None:
    """Run one of the project's tools.

    Args:
        name: Its file in ``tools/``.
        arguments: Of its command line.
        log: File that its output is appended to.
        threads: Of each library, unless the environment says otherwise.

    Raises:
        RuntimeError: If it fails, with the end of its output.
    """
    command = [sys.executable, str(ROOT / 'tools' / name), *map(str, arguments)]
    environment = {'OMP_NUM_THREADS': str(threads), **os.environ}
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('a+') if log else tempfile.TemporaryFile('w+') as output:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f'{" ".join(command)} failed:\n{output.read()[-LOGGED:]}')


@dataclass(frozen=True)
class GeneratorSize:
    """How large a generator is, and for how long it learns.

    Attributes:
        crop: (width, height) of the crops that persons are synthesised in.
        base_channels: Width of the networks.
        num_blocks: Of G1; G2 has two fewer.
        batch_size: Samples of an iteration.
        stage1_iters: Iterations of the first stage.
        stage2_iters: Iterations of the second stage.
    """

    crop: tuple[int, int]
    base_channels: int
    num_blocks: int
    batch_size: int
    stage1_iters: int
    stage2_iters: int


def generator_options(size: GeneratorSize, seed: int, data: dict[str, Any]) -> dict[str, Any]:
    """Settings over a figures config of ``configs/pg2``.

    Args:
        size: Of the generator.
        seed: Of its training.
        data: Options of the MMPose data set that it learns from and is shown on.
    """
    options = {
        'stage1_iters': size.stage1_iters,
        'stage2_iters': size.stage2_iters,
        'randomness.seed': seed,
        'model.size': size.crop,
        'model.generator1.base_channels': size.base_channels,
        'model.generator1.num_blocks': size.num_blocks,
        'model.generator2.base_channels': size.base_channels,
        'model.generator2.num_blocks': size.num_blocks - 2,
        'train_dataloader.batch_size': size.batch_size,
    }
    for dataset in ('train_dataloader.dataset', 'custom_hooks.0.dataset'):
        options[f'{dataset}.size'] = size.crop
        options |= {f'{dataset}.dataset.{key}': value for key, value in data.items()}
    return options


def train_generator(config: Path, folder: Path, options: dict[str, Any], threads: int = 1) -> None:
    """Train a generator with ``tools/train_pg2.py``, or go on where that was interrupted.

    Args:
        config: Of ``configs/pg2``.
        folder: Work directory of the training.
        options: Settings over the config.
        threads: Of each library.
    """
    given = [f'{key}={_option(value)}' for key, value in options.items()]
    arguments = [config, '--amp', '--resume', '--work-dir', folder, '--cfg-options', *given]
    run_tool('train_pg2.py', *arguments, log=folder / 'train.log', threads=threads)


def _option(value: Any) -> str:
    return ','.join(map(str, value)) if isinstance(value, tuple) else str(value)
