"""How things are timed: two things in turn, in the same run, and the spread of their ratio."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

Seconds = dict[str, list[float]]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, least, most, and the values themselves, to four significant digits."""
    if not values:
        raise ValueError('there is nothing to take the median of')
    runs = [float(f'{value:.4g}') for value in values]
    return {
        'median': float(f'{statistics.median(values):.4g}'),
        'min': min(runs),
        'max': max(runs),
        'runs': runs,
    }


def ratio(seconds: Mapping[str, Sequence[float]], over: str, under: str) -> dict[str, Any]:
    """Spread of one time over another, each pair taken in the same round."""
    return spread([a / b for a, b in zip(seconds[over], seconds[under], strict=True)])


def alternate(calls: Mapping[str, Callable[[], float]], rounds: int) -> Seconds:
    """Take turns, every other round in the opposite order.

    Args:
        calls: What is timed; each call returns the seconds that it took.
        rounds: How often; one more goes before them and does not count.
    """
    seconds: Seconds = {name: [] for name in calls}
    for round_ in range(-1, rounds):
        for name in list(calls)[:: 1 if round_ % 2 else -1]:
            taken = calls[name]()
            if round_ >= 0:
                seconds[name].append(taken)
    return seconds


def remember(path: Path, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a file holds that an earlier run wrote; else measure it now, and write it."""
    if not path.exists():
        print(f'{path.parent.name}: {path.stem}', flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix('.partial')
        partial.write_text(json.dumps(measure(), indent=1) + '\n')
        partial.replace(path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def synchronize() -> None:
    """Wait until a GPU, if there is one, has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def timed(call: Callable[[], Any]) -> float:
    """Seconds of a call, to the end of what it starts on a GPU."""
    synchronize()
    start = time.perf_counter()
    call()
    synchronize()
    return time.perf_counter() - start


def matmul_rates(device: str, rounds: int, size: int) -> dict[str, dict[str, Any]]:
    """Operations a second of products of square matrices, by dtype."""
    dtypes = [torch.float32, torch.bfloat16]
    dtypes += [torch.float16] if device == 'cuda' else []
    calls = {}
    for dtype in dtypes:
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        calls[str(dtype).removeprefix('torch.')] = lambda a=a, b=b: timed(lambda: a @ b)
    seconds = alternate(calls, rounds)
    return {name: spread([2 * size**3 / s for s in taken]) for name, taken in seconds.items()}
