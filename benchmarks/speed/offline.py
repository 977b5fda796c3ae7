"""Images a second of tools/synthesize.py, from reading the images to the written folder."""

import contextlib
import io
import runpy
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common.files import METAINFO, ROOT
from benchmarks.speed.setup import ANN_FILE, IMAGES, LIMB_WARP, crop_size, random_generator
from benchmarks.speed.timing import alternate, ratio, remember, spread, timed

BATCH_SIZES = (1, 16)
RANKS = (1, 2)
BATCH_OF_RANKS = 4
"""Small, for processes share out groups of eight batches."""


@dataclass(frozen=True)
class OfflineSize:
    """How large the measurement is.

    Attributes:
        generators: Names of configs/pg2, and LIMB_WARP.
        images: To be made.
        rounds: Times that all take turns.
    """

    generators: tuple[str, ...]
    images: int
    rounds: int


def arguments(generator: str, people: Path, size: OfflineSize, work_dir: Path) -> list[str]:
    """Of the tool, but for the batch size and the folder."""
    named = random_generator(generator, work_dir / 'generators')
    if generator == LIMB_WARP:
        made = ['--limb-warp', METAINFO['from_file'], '--size', *map(str, crop_size(generator))]
    else:
        made = ['--config', named['config'], '--checkpoint', named['checkpoint']]
    annotations = str(people / ANN_FILE)
    data = ['--ann-file', annotations, '--img-root', str(people / IMAGES)]
    plain = ['--no-check', '--no-report']
    return [*made, *data, '--pose-bank', annotations, '--num', str(size.images), *plain]


def measure_offline(
    generator: str, people: Path, size: OfflineSize, work_dir: Path
) -> dict[str, Any]:
    """Images a second by batch size, and what batches bring over single images."""
    main = runpy.run_path(str(ROOT / 'tools' / 'synthesize.py'))['main']
    common = arguments(generator, people, size, work_dir)

    def synthesize(batch_size: int) -> None:
        with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(io.StringIO()):
            options = [*common, '--batch-size', str(batch_size), '--out', out]
            if main(options):
                raise RuntimeError(f'tools/synthesize.py {" ".join(options)} failed')

    calls = {str(n): (lambda n=n: timed(lambda: synthesize(n))) for n in BATCH_SIZES}
    seconds = alternate(calls, size.rounds)
    single, batched = seconds
    ranks = alternate(
        {str(n): (lambda n=n: timed(lambda: by_processes(common, n))) for n in RANKS}, size.rounds
    )
    rates = {batch: spread([size.images / s for s in taken]) for batch, taken in seconds.items()}
    return {
        'images_per_second': rates,
        'batch_speedup': ratio(seconds, single, batched),
        'seconds_by_ranks': {count: spread(taken) for count, taken in ranks.items()},
        'ranks_speedup': ratio(ranks, *ranks),
    }


def by_processes(common: list[str], count: int) -> None:
    """Make the images in new processes that share them."""
    with tempfile.TemporaryDirectory() as out:
        torchrun = ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={count}']
        tool = [str(ROOT / 'tools' / 'synthesize.py'), '--launcher', 'pytorch', *common]
        options = ['--batch-size', str(BATCH_OF_RANKS), '--out', out]
        command = [sys.executable, *torchrun, '--', *tool, *options]
        subprocess.run(command, check=True, capture_output=True)


def run_offline(size: OfflineSize, people: Path, work_dir: Path) -> dict[str, Any]:
    """The part ``offline``.

    By batch size in one process, in which everything is imported already; by ranks with all that
    starting them takes.
    """
    measured = {
        name: remember(
            work_dir / 'offline' / f'{name}.json',
            lambda n=name: measure_offline(n, people, size, work_dir),
        )
        for name in size.generators
    }
    return {'offline': measured, 'offline_images': size.images}
