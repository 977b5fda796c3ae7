"""Small constant tensors, sent to a device once: sending one makes the host wait for the device."""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor


def cached_tensor(
    values: Sequence[float], like: Tensor | torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Values as a tensor on a device, always the same one: not to be written to.

    Args:
        values: P numbers.
        like: The device, or a tensor on it.
        dtype: Type of the result.

    Returns:
        (P,) tensor.
    """
    device = like.device if isinstance(like, Tensor) else like
    return _sent(tuple(values), device, dtype)


def select(values: Tensor, indices: Sequence[int], dim: int = 1) -> Tensor:
    """``values[:, indices]``, or along another dimension, without sending the indices again."""
    return values.index_select(dim, cached_tensor(indices, values, torch.int64))


# None is ever dropped: a recorded CUDA graph reads a constant where it lay, and would read whatever
# took its memory. There are few: what skeletons and sizes of crops make.
@functools.cache
def _sent(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    # Who comes first may be in inference mode, and training cannot use a tensor from there.
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
