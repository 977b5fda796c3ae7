"""Large batches, and large frames, in parts that a device works on well."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# Pixels of all fields of a step together: what fits into a processor's cache, or keeps a GPU busy.
_PIXELS_AT_ONCE = {'cpu': 2**18}
_PIXELS_AT_ONCE_ELSEWHERE = 2**25


def in_chunks(
    function: Callable[..., Tensor], samples: Sequence[Tensor], shape: tuple[int, int], fields: int
) -> Tensor:
    """Apply a function to some samples at a time.

    Args:
        function: Takes tensors of n samples, and returns one of n results.
        samples: Tensors of N samples each.
        shape: (height, width) of a field.
        fields: How many of them a sample takes while it is worked on.

    Returns:
        A tensor of N results.
    """
    size = max(1, _at_once(samples[0].device) // max(1, fields * shape[0] * shape[1]))
    if len(samples[0]) <= size:
        return function(*samples)
    parts = zip(*(torch.split(values, size) for values in samples), strict=True)
    return torch.cat([function(*part) for part in parts])


def bands(shape: tuple[int, int], device: torch.device, fields: int) -> list[tuple[int, int]]:
    """Rows of a frame (height, width) to work on at a time, from and to, as :func:`in_chunks`."""
    rows = max(1, _at_once(device) // max(1, fields * shape[1]))
    return [(top, min(top + rows, shape[0])) for top in range(0, shape[0], rows)]


def _at_once(device: torch.device) -> int:
    return _PIXELS_AT_ONCE.get(device.type, _PIXELS_AT_ONCE_ELSEWHERE)
