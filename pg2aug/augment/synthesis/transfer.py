"""Arrays of many samples to a device, in one copy that nobody waits for."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_ALIGNMENT = 64


def send(
    samples: Sequence[Mapping[str, NDArray[Any]]], device: str | torch.device
) -> dict[str, Tensor]:
    """Stack the arrays of some samples and send them, all together, to a device.

    To a GPU they go from pinned memory, so that neither the host waits for the copy nor, what takes
    longer, for everything that the device still has to do.

    Args:
        samples: N samples, at least one, of the same arrays: names, shapes and types.
        device: Where to.

    Returns:
        By name (N, ...) tensors, which share one block of memory.
    """
    device = torch.device(device)
    first = samples[0]
    places, total = {}, 0
    for name, array in first.items():
        size = len(samples) * array.nbytes
        places[name] = total, total + size
        total += -(-size // _ALIGNMENT) * _ALIGNMENT
    staging = torch.empty(total, dtype=torch.uint8, pin_memory=device.type == 'cuda')
    host = staging.numpy()
    for name, (start, end) in places.items():
        shape = len(samples), *first[name].shape
        out = host[start:end].view(first[name].dtype).reshape(shape)
        np.stack([sample[name] for sample in samples], out=out)
    sent = staging.to(device, non_blocking=True)
    tensors = {}
    for name, (start, end) in places.items():
        dtype = torch.from_numpy(np.empty(0, first[name].dtype)).dtype
        shape = len(samples), *first[name].shape
        # A view of nothing cannot change its type.
        part = sent[start:end].view(dtype) if math.prod(shape) else sent.new_empty(0, dtype=dtype)
        tensors[name] = part.view(shape)
    return tensors
