"""Where the pixels of a frame are."""

import torch
from torch import Tensor


def pixel_grid(shape: tuple[int, int], device: torch.device, top: int = 0) -> tuple[Tensor, Tensor]:
    """Column coordinates (1, width) and row coordinates (height, 1) of pixels, float32.

    Args:
        shape: (height, width).
        device: Where to make them.
        top: Row coordinate of the first row.
    """
    ys = torch.arange(top, top + shape[0], device=device, dtype=torch.float32)[:, None]
    xs = torch.arange(shape[1], device=device, dtype=torch.float32)[None, :]
    return xs, ys
