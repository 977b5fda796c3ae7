"""How the cost of a synthesised person grows with the batch, the width and the resolution."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from speed_setup import generator_config, make_batch
from speed_timing import Seconds, alternate, ratio, remember, spread, timed

from pg2aug.augment import AppearanceCheck, Synthesizer
from pg2aug.registry import MODELS

CONFIG = 'pg2-self_coco-128x96'
BATCHES = (1, 4, 16, 64, 256)
WIDTHS = (32, 64, 128)
CROPS = ((48, 64), (64, 128), (96, 128), (192, 256), (256, 256))
MAX_SECONDS = 20.0
_REFERENCE_CROP, _REFERENCE_WIDTH = (48, 64), 32


@dataclass(frozen=True)
class GrowthSize:
    """How large the measurement is: persons at once where it is not they that grow, and rounds."""

    batch_size: int
    rounds: int


@dataclass(frozen=True)
class Point:
    """Persons at once, width of the networks, and (width, height) of crops and images."""

    batch: int
    width: int
    crop: tuple[int, int]

    @property
    def work(self) -> float:
        """What time is expected to grow with."""
        return self.batch * self.width**2 * self.crop[0] * self.crop[1]


def series(batch: int) -> dict[str, list[Point]]:
    """The three ways to grow from a point; the last two at a given batch."""
    start = Point(batch, 32, (96, 128))
    return {
        'batch': [replace(start, batch=b) for b in BATCHES],
        'width': [replace(start, width=w) for w in WIDTHS],
        'resolution': [replace(start, crop=c) for c in CROPS],
    }


def synthesis(point: Point, people: Path, device: str) -> Any:
    """A call that synthesises a point's batch."""
    cfg = generator_config(CONFIG)
    smaller = dict(num_blocks=4) if point.crop == (48, 64) else {}
    cfg.merge_from_dict(
        {
            'model.size': point.crop,
            'model.generator1': dict(base_channels=point.width, **smaller),
            'model.generator2.base_channels': point.width,
        }
    )
    model = MODELS.build(dict(cfg.model, stage1_iters=0, _scope_='pg2aug'))
    synthesizer = Synthesizer(
        model.eval().requires_grad_(False), AppearanceCheck(), max_batch=point.batch, device=device
    )
    batch = make_batch(people, point.batch, point.crop, point.crop)
    return lambda: synthesizer(batch.images, batch.plans, batch.matrices)


def measure_point(point: Point, people: Path, rounds: int, device: str) -> dict[str, Any]:
    """Seconds a person over those of one person of 64x48, in turn, and the memory taken.

    The memory is what the first call takes beyond the model and the batch; on a GPU all that torch
    allocated there.
    """
    call = synthesis(point, people, device)
    before = _start_peak(device)
    first = timed(call)
    peak = _peak(device) - before
    reference = synthesis(Point(1, _REFERENCE_WIDTH, _REFERENCE_CROP), people, device)
    calls = {'point': lambda: timed(call), 'reference': lambda: timed(reference)}
    seconds: Seconds = alternate(calls, rounds)
    seconds['point'] = [s / point.batch for s in seconds['point']]
    return {
        'relative': ratio(seconds, 'point', 'reference'),
        'seconds_per_person': spread(seconds['point']),
        'peak_bytes': peak,
        'first_call_seconds': first,
    }


def _start_peak(device: str) -> int:
    """Forget the peak so far; returns the bytes that are not to count."""
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        return 0
    Path('/proc/self/clear_refs').write_text('5')
    return _peak(device)


def _peak(device: str) -> int:
    if device == 'cuda':
        return torch.cuda.max_memory_allocated()
    lines = Path('/proc/self/status').read_text().splitlines()
    status = dict(line.split(':', 1) for line in lines)
    return int(status['VmHWM'].split()[0]) * 1024


def measure_series(
    points: list[Point], people: Path, rounds: int, folder: Path, device: str
) -> list[dict[str, Any]]:
    """A process a point, so that each has a peak of its own; slow points are left out."""
    context = multiprocessing.get_context('spawn')
    measured: list[dict[str, Any]] = []
    seconds_of_work = 0.0
    for point in points:
        entry: dict[str, Any] = asdict(point)
        if seconds_of_work * point.work > MAX_SECONDS:
            measured.append(entry | {'skipped': f'expected above {MAX_SECONDS:.0f} s'})
            continue

        def measure(point: Point = point) -> dict[str, Any]:
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                return pool.submit(measure_point, point, people, rounds, device).result()

        name = f'{point.batch}_{point.width}_{point.crop[0]}x{point.crop[1]}'
        entry |= remember(folder / f'{name}.json', measure)
        measured.append(entry)
        seconds_of_work = entry['seconds_per_person']['median'] * point.batch / point.work
    return measured


def run_growth(size: GrowthSize, people: Path, work_dir: Path, device: str) -> dict[str, Any]:
    """The part ``growth`` of speed.py."""
    return {
        'growth': {
            name: measure_series(points, people, size.rounds, work_dir / 'growth', device)
            for name, points in series(size.batch_size).items()
        }
    }
