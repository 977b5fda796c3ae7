"""Copying the pixels of cells into a hole, in windows that overlap: batched, on any device."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class _Grid(NamedTuple):
    """Cells of images that have a margin of one cell. Pixels are numbered row by row."""

    rows: int
    columns: int
    cell: int

    @property
    def stride(self) -> int:
        """Pixels in a row, margins included."""
        return (self.columns + 2) * self.cell

    @property
    def size(self) -> int:
        """Pixels in an image, margins included."""
        return (self.rows + 2) * self.cell * self.stride


def copy_cells(
    images: Tensor, sure: Tensor, holes: Tensor, source: Tensor, cell: int
) -> tuple[Tensor, Tensor]:
    """Copy pixels cell by cell, windows twice as wide overlapping with bilinear weights.

    A pixel lies between the centres of four cells. Each of the four is moved from a place of its
    own, and says what the pixel should be. The mean is taken, in which near centres count more. A
    cell says nothing if it is known itself, is to be copied from a hole, or shows an unknown pixel
    there.

    Args:
        images: (N, C, H, W), H and W multiples of ``cell``; 0 where ``sure`` is 0.
        sure: (N, 1, H, W), 0 or 1.
        holes: (N, 1, h, w), 1 for the cells to copy into.
        source: (N, h * w) int64, the cell to copy from.
        cell: Side in pixels.

    Returns:
        (N, C, H, W), 0 where nothing is copied to, and the weight (N, 1, H, W) of what is.
    """
    grid = _Grid(holes.shape[-2], holes.shape[-1], cell)
    # Windows reach over the border: into a margin that is unknown.
    pixels = F.pad(torch.cat([images, sure], dim=1), (cell,) * 4).permute(0, 2, 3, 1)
    total = _sum_of_windows(pixels, _shifts(holes, source, grid), grid)
    weight = total[..., -1:]
    copied = (total[..., :-1] / weight.clamp_min(1e-6)).permute(0, 3, 1, 2).contiguous()
    return copied, weight.permute(0, 3, 1, 2).contiguous()


def _shifts(holes: Tensor, source: Tensor, grid: _Grid) -> Tensor:
    """By how many pixels the source of each cell comes after it, (N, h * w).

    Where nothing must be copied, so many that the first pixel of all comes after that place.
    """
    place = torch.arange(grid.rows * grid.columns, device=holes.device)
    down = source // grid.columns - place // grid.columns
    across = source % grid.columns - place % grid.columns
    shifts = grid.cell * (down * grid.stride + across)
    usable = (holes.flatten(1) > 0) & (holes.flatten(1).gather(1, source) < 1)
    return torch.where(usable, shifts, -len(holes) * grid.size)


def _sum_of_windows(pixels: Tensor, shifts: Tensor, grid: _Grid) -> Tensor:
    """What the four nearest cells of each pixel show there, weighted: (N, H, W, C).

    Args:
        pixels: (N, H + 2 * cell, W + 2 * cell, C).
        shifts: (N, h * w).
        grid: The cells.
    """
    rows, columns, cell = grid
    count, channels = len(pixels), pixels.shape[-1]
    # A run of as many pixels as a cell is wide, from every pixel on: what is read as one piece.
    runs = pixels.flatten().unfold(0, cell * channels, channels)
    first = torch.arange(count, device=pixels.device)[:, None, None, None] * grid.size
    start = first + _between_centres(grid, pixels.device)
    share = (torch.arange(cell, device=pixels.device) + (1 - cell % 2) / 2) / cell
    total = pixels.new_zeros(*start.shape, cell * channels)
    for y, y_weight in _nearest(rows, share):
        for x, x_weight in _nearest(columns, share):
            near = shifts.index_select(1, (y[:, None] * columns + x).flatten())
            # What must not be copied is read from the first row, in the margin.
            index = start + near.view(count, rows + 1, 1, columns + 1)
            weight = y_weight[:, None, None] * x_weight.repeat_interleave(channels)
            total.addcmul_(F.embedding(index.clamp_min_(0), runs), weight)
    total = total.view(count, (rows + 1) * cell, -1, channels)
    # The squares between centres begin half a cell before the image.
    beyond = cell - cell // 2
    return total[:, beyond:][:, : rows * cell, beyond:][:, :, : columns * cell]


def _between_centres(grid: _Grid, device: torch.device) -> Tensor:
    """Where the pixels between the centres of four cells begin, row by row of pixels.

    Centres beyond the border count: these are (rows + 1) x (columns + 1) squares.

    Returns:
        (rows + 1, cell, columns + 1), numbers of pixels.
    """
    cell = grid.cell
    y = torch.arange((grid.rows + 1) * cell, device=device).view(-1, cell, 1) + cell // 2
    x = torch.arange(grid.columns + 1, device=device) * cell
    return y * grid.stride + x + cell // 2


def _nearest(cells: int, share: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Along an axis, the cells on both sides of all squares, and their weights at its pixels."""
    low = torch.arange(-1, cells, device=share.device)
    return [(low.clamp_min(0), 1 - share), ((low + 1).clamp_max(cells - 1), share)]
