"""Filling what a removed person leaves: pure, batched, on any device."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pg2aug.models.chunks import in_chunks
from pg2aug.models.holes.cell_copy import copy_cells
from pg2aug.models.holes.patch_search import complete_cells
from pg2aug.models.holes.push_pull import push_pull

MAX_CELLS = 32
"""Cells on the longer side of a frame; patches of 3x3 cells are compared with each other."""

_MAX_CORRECTION = 0.45
_FIELDS = 2


def fill_holes(images: Tensor, known: Tensor) -> Tensor:
    """Fill unknown pixels with texture from elsewhere in the same image.

    Patch-based completion from coarse to fine (Wexler et al., Space-Time Completion of Video,
    2007), on cells of 1/32 of the frame, few enough for an exact search among all of them. In turn
    every cell of the hole takes the most similar known patch, and every cell the mean of the
    patches that cover it. Displacements are preferred or not for the whole frame alike, so that
    neighbours are moved together (He & Sun, Statistics of Patch Offsets, 2012), and levelly, for
    things lie on a ground. The pixels are then copied in overlapping windows, and a smooth
    correction makes them meet what is known.

    The result scales with the image: any range of values will do. It is deterministic, but a
    last-bit difference (another batch size or device) may choose another patch.

    Args:
        images: (N, C, H, W); values of unknown pixels are not read.
        known: (N, 1, H, W) in [0, 1], how much of each pixel is known. Only what is known wholly
            is copied or fitted to: a person's soft edge would colour the hole.

    Returns:
        (N, C, H, W) float32, equal to ``images`` where ``known`` is 1, and in between a blend of
        image and fill. 0 where a sample has no wholly known pixel.
    """
    with torch.autocast(images.device.type, enabled=False):
        shape = images.shape[-2], images.shape[-1]
        return in_chunks(_fill, (images, known.float()), shape, _FIELDS)


def _fill(images: Tensor, known: Tensor) -> Tensor:
    images, sure = torch.where(known > 0, images.float(), 0.0), (known >= 1).float()
    count = sure.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    mean = (images * sure).sum(dim=(2, 3), keepdim=True) / count
    centred = (images - mean) * sure
    scale = (centred.square().sum(dim=(1, 2, 3), keepdim=True) / count).sqrt().clamp_min(1e-6)
    filled = _fill_centred(centred, sure, scale).add_(mean)
    return torch.lerp(filled, images, known)


def _fill_centred(images: Tensor, sure: Tensor, scale: Tensor) -> Tensor:
    """Fill images (N, C, H, W) of mean 0 and deviation (N, 1, 1, 1).

    ``sure`` is 0 or 1, and images are 0 where it is 0.
    """
    height, width = images.shape[-2:]
    cell = -(-max(height, width) // MAX_CELLS)
    pad = (0, -width % (2 * cell), 0, -height % (2 * cell))
    if any(pad):
        images, sure = F.pad(images, pad), F.pad(sure, pad)
    weight = F.avg_pool2d(sure, cell)
    sums = [F.avg_pool2d(values, cell) for values in (images, *_roughness(images, sure))]
    cells, source = complete_cells(torch.cat(sums, 1) / (weight * scale).clamp_min(1e-6), weight)
    smooth = F.interpolate(
        cells[:, : images.shape[1]] * scale,
        images.shape[-2:],
        mode='bilinear',
        align_corners=False,
    )
    copied, covered = copy_cells(images, sure, (weight < 1).float(), source, cell)
    base = torch.where(covered > 1e-2, copied, smooth)
    # A large misfit is a wrong patch: spread over the hole, it would be a cloud of its colour.
    most = _MAX_CORRECTION * scale
    misfit = (images - base).clamp(-most, most)
    filled = base.add_(push_pull(misfit, sure * covered.clamp_min(0.02)))
    filled = filled.clamp(images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True))
    return filled[..., :height, :width]


def _roughness(images: Tensor, sure: Tensor) -> tuple[Tensor, Tensor]:
    """Twice the mean absolute difference to the right and to the lower neighbour: (N, 1, H, W)."""
    across = (images[..., 1:] - images[..., :-1]).abs_().mean(1, keepdim=True).mul_(2)
    down = (images[..., 1:, :] - images[..., :-1, :]).abs_().mean(1, keepdim=True).mul_(2)
    across.mul_(sure[..., 1:]).mul_(sure[..., :-1])
    down.mul_(sure[..., 1:, :]).mul_(sure[..., :-1, :])
    return F.pad(across, (0, 1)), F.pad(down, (0, 0, 0, 1))
