"""Large batches in parts that a device works on well."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# Pixels of all fields of a step together: what fits into a processor's cache, or keeps a GPU busy.
_PIXELS_AT_ONCE = {'cpu': 2**18}
_PIXELS_AT_ONCE_ELSEWHERE = 2**25


def in_parts(
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
    pixels = _PIXELS_AT_ONCE.get(samples[0].device.type, _PIXELS_AT_ONCE_ELSEWHERE)
    size = max(1, pixels // max(1, fields * shape[0] * shape[1]))
    if len(samples[0]) <= size:
        return function(*samples)
    parts = zip(*(torch.split(values, size) for values in samples), strict=True)
    return torch.cat([function(*part) for part in parts])
