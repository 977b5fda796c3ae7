"""Where the pixels of a frame are."""

import torch
from torch import Tensor


def pixel_grid(shape: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Column coordinates (1, width) and row coordinates (height, 1) of pixels, float32."""
    ys = torch.arange(shape[0], device=device, dtype=torch.float32)[:, None]
    xs = torch.arange(shape[1], device=device, dtype=torch.float32)[None, :]
    return xs, ys
