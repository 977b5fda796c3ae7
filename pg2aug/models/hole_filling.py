"""Filling what a removed person leaves: pure, batched, on any device."""

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_CELLS = 32
"""Cells on the longer side of a frame; patches of 3x3 cells are compared with each other."""

_UNKNOWN_COST = 0.2
_UNEVEN_COST = 0.13
_VERTICAL_COST = 0.16
_FORBIDDEN_COST = 1e4
_MAX_CORRECTION = 0.45
_TRUST = 0.3
_ITERATIONS = 3, 2


def fill_holes(images: Tensor, known: Tensor) -> Tensor:
    """Fill unknown pixels with texture from elsewhere in the same image.

    Patch-based completion from coarse to fine (Wexler et al., Space-Time Completion of Video,
    2007), on cells of 1/32 of the frame, few enough for an exact search among all of them, one
    matrix product for a batch. In turn every cell of the hole takes the most similar known patch,
    and every cell the mean of the patches that cover it. Displacements are preferred or not for
    the whole frame alike, so that neighbours are moved together (He & Sun, Statistics of Patch
    Offsets, 2012), and levelly, for things lie on a ground. The pixels are then copied in
    overlapping windows, and a smooth correction makes them meet what is known.

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
        images, sure = torch.where(known > 0, images.float(), 0.0), (known >= 1).float()
        count = sure.sum(dim=(2, 3), keepdim=True).clamp_min(1)
        mean = (images * sure).sum(dim=(2, 3), keepdim=True) / count
        centred = (images - mean) * sure
        scale = (centred.square().sum(dim=(1, 2, 3), keepdim=True) / count).sqrt().clamp_min(1e-6)
        filled = _fill_centred(centred / scale, sure) * scale + mean
        return torch.lerp(filled, images, known.float())


def push_pull(images: Tensor, known: Tensor) -> Tensor:
    """Fill unknown pixels smoothly from their surroundings.

    Known pixels are averaged into ever coarser levels; unknown ones take the value of the finest
    level at which anything near them is known (Gortler et al., The Lumigraph, 1996).

    Args:
        images: (N, C, H, W); values of unknown pixels are not read.
        known: (N, 1, H, W) in [0, 1], how much of each pixel is known.

    Returns:
        (N, C, H, W) float32, equal to ``images`` where ``known`` is 1.
    """
    images = torch.where(known > 0, images.float(), 0.0)
    if min(images.shape[-2:]) <= 1:
        total = known.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
        mean = (images * known).sum(dim=(2, 3), keepdim=True) / total
        return torch.lerp(mean.expand_as(images), images, known)
    size = (images.shape[-2] + 1) // 2, (images.shape[-1] + 1) // 2
    weight = F.adaptive_avg_pool2d(known, size)
    coarse = F.adaptive_avg_pool2d(images * known, size) / weight.clamp_min(1e-6)
    coarse = push_pull(coarse, (4 * weight).clamp_max(1))
    smooth = F.interpolate(coarse, images.shape[-2:], mode='bilinear', align_corners=False)
    return torch.lerp(smooth, images, known)


def _fill_centred(images: Tensor, sure: Tensor) -> Tensor:
    """Fill images of mean 0 and deviation 1; ``sure`` is 0 or 1, and images are 0 where it is 0."""
    height, width = images.shape[-2:]
    cell = -(-max(height, width) // MAX_CELLS)
    pad = (0, -width % (2 * cell), 0, -height % (2 * cell))
    images, sure = F.pad(images, pad), F.pad(sure, pad)
    features, weight = _average(torch.cat([images, _roughness(images, sure)], 1), sure, cell)
    cells, source = _complete(features, weight)
    smooth = F.interpolate(
        cells[:, : images.shape[1]], images.shape[-2:], mode='bilinear', align_corners=False
    )
    copied, covered = _copy(images, sure, (weight < 1).float(), source, cell)
    base = torch.lerp(smooth, copied, (covered > 1e-2).float())
    # A large misfit is a wrong patch: spread over the hole, it would be a cloud of its colour.
    misfit = (images - base).clamp(-_MAX_CORRECTION, _MAX_CORRECTION)
    filled = base + push_pull(misfit, sure * covered.clamp_min(0.02))
    filled = filled.clamp(images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True))
    return filled[..., :height, :width]


def _roughness(images: Tensor, sure: Tensor) -> Tensor:
    """Twice the mean absolute difference to the right and to the lower neighbour: (N, 2, H, W)."""
    across = (images[..., 1:] - images[..., :-1]).abs().mean(1, keepdim=True)
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().mean(1, keepdim=True)
    across = across * sure[..., 1:] * sure[..., :-1]
    down = down * sure[..., 1:, :] * sure[..., :-1, :]
    return 2 * torch.cat([F.pad(across, (0, 1)), F.pad(down, (0, 0, 0, 1))], dim=1)


def _average(values: Tensor, weight: Tensor, cell: int) -> tuple[Tensor, Tensor]:
    """Weighted means over cells, and the share of them that is known."""
    share = F.avg_pool2d(weight, cell)
    return F.avg_pool2d(values * weight, cell) / share.clamp_min(1e-6), share


def _complete(features: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Complete cells, coarse to fine.

    Returns:
        The features, completed, and (N, L) int64, the known cell that each cell is copied from.
    """
    coarse, coarse_weight = _average(features, weight, 2)
    estimate = push_pull(coarse, coarse_weight)
    estimate, _ = _alternate(coarse, coarse_weight, estimate, _ITERATIONS[0])
    estimate = F.interpolate(estimate, scale_factor=2, mode='bilinear', align_corners=False)
    return _alternate(features, weight, estimate, _ITERATIONS[1])


def _alternate(
    features: Tensor, weight: Tensor, estimate: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """Search and vote in turn, at one level."""
    known = (weight >= 1).float()
    trust, reach = known, known
    for step in range(1, 5):
        reach = F.max_pool2d(reach, 3, stride=1, padding=1) if step < 4 else torch.ones_like(reach)
        trust = torch.maximum(trust, reach * _TRUST**step)
    sources, costs = _sources(features, known), _displacement_costs(known)
    estimate = torch.where(known > 0, features, estimate)
    source = torch.zeros_like(known, dtype=torch.int64).flatten(1)
    for _ in range(iterations):
        source = torch.baddbmm(costs, _targets(estimate, trust), sources).argmin(dim=2)
        voted = _vote(features, known, source, trust)
        estimate = torch.where(known > 0, features, voted)
    return estimate, source


def _patches(cells: Tensor) -> Tensor:
    """The 3x3 neighbourhood of every cell: (N, C * 9, L)."""
    return F.unfold(cells, 3, padding=1)


def _sources(features: Tensor, known: Tensor) -> Tensor:
    """What the patches to copy from bring to the matrix product of :func:`_targets`.

    With a target t of weights w and a source s known where k is 1, the cost is the sum over the
    patch of w (k |t - s|^2 + (1 - k) c), bilinear in (w, w t, w |t|^2) and what stands here.
    """
    known_patches = _patches(known)
    squares = _patches((features.square().sum(1, keepdim=True) - _UNKNOWN_COST) * known)
    forbidden = _FORBIDDEN_COST * (1 - known.flatten(2))
    parts = [-2 * _patches(features * known), squares + _UNKNOWN_COST, known_patches, forbidden]
    return torch.cat(parts, dim=1)


def _targets(estimate: Tensor, trust: Tensor) -> Tensor:
    """(N, L, D), the other factor; weights of a patch sum to 1."""
    weight = _patches(trust)
    weight = weight / weight.sum(dim=1, keepdim=True)
    squares = _patches(estimate.square().sum(1, keepdim=True))
    channels = weight.repeat(1, estimate.shape[1], 1)
    one = torch.ones_like(weight[:, :1])
    parts = [channels * _patches(estimate), weight, weight * squares, one]
    return torch.cat(parts, dim=1).transpose(1, 2)


def _displacement_costs(cells: Tensor) -> Tensor:
    """(1, L, L) what it costs to copy a cell (row) from another one (column), whatever they show.

    An arbitrary share for each displacement: where several fit, neighbours choose the same. Near
    copies would be seen as repetitions.
    """
    height, width = cells.shape[-2:]
    dy = torch.arange(1 - height, height, device=cells.device)[:, None]
    dx = torch.arange(1 - width, width, device=cells.device)[None]
    share = ((dy * 73856093) ^ (dx * 19349663)).remainder(1009).float() / 1009
    near = torch.maximum(dy.abs(), dx.abs()) < 2
    cost = _UNEVEN_COST * (share + near.float()) + _VERTICAL_COST * dy.abs() / height
    # The cells to copy from, as seen from a cell, are a window on the displacements.
    windows = cost.unfold(0, height, 1).unfold(1, width, 1).flip(0, 1)
    return windows.reshape(1, height * width, height * width)


def _vote(features: Tensor, known: Tensor, source: Tensor, trust: Tensor) -> Tensor:
    """Mean of the patches that cover each cell, moved from their sources: (N, C, h, w)."""
    patches = _patches(torch.cat([features * known, known], dim=1))
    moved = patches.gather(2, source[:, None].expand_as(patches)) * trust.flatten(2)
    total = F.fold(moved, (known.shape[-2], known.shape[-1]), 3, padding=1)
    return total[:, :-1] / total[:, -1:].clamp_min(1e-6)


def _copy(
    images: Tensor, sure: Tensor, holes: Tensor, source: Tensor, cell: int
) -> tuple[Tensor, Tensor]:
    """Copy pixels cell by cell, windows twice as wide overlapping with bilinear weights.

    Args:
        images: (N, C, H, W), H and W multiples of ``cell``.
        sure: (N, 1, H, W), 0 or 1.
        holes: (N, 1, h, w), 1 for the cells to copy into.
        source: (N, h * w) int64, the cell to copy from.
        cell: Side in pixels.

    Returns:
        (N, C, H, W), 0 where nothing is copied to, and the weight (N, 1, H, W) of what is.
    """
    (height, width), columns = images.shape[-2:], holes.shape[-1]
    # Windows reach over the border: into a margin that is unknown.
    stride = width + 2 * cell
    margin = F.pad(torch.cat([images, sure], dim=1), (cell,) * 4).permute(0, 2, 3, 1)
    table = margin.reshape(-1, margin.shape[-1])
    first = torch.arange(len(images), device=images.device)[:, None] * (len(table) // len(images))
    place = torch.arange(source.shape[1], device=images.device)
    rows = source // columns - place // columns
    shift = first + cell * (rows * stride + source % columns - place % columns)
    usable = (holes.flatten(1) > 0) & (holes.flatten(1).gather(1, source) < 1)
    shift = torch.where(usable, shift, -len(table))
    ys, xs = (torch.arange(n, device=images.device) for n in (height, width))
    pixel = ((ys[:, None] + cell) * stride + xs + cell).flatten()
    total = images.new_zeros(len(images), height * width, table.shape[1])
    for y, y_weight in _neighbours(ys, cell, height):
        for x, x_weight in _neighbours(xs, cell, width):
            near = (y[:, None] * columns + x).flatten()
            # What must not be copied is read from the first row, in the margin.
            index = (pixel + shift.index_select(1, near)).clamp_min_(0)
            weight = (y_weight[:, None] * x_weight).flatten()[:, None]
            total.addcmul_(F.embedding(index, table), weight)
    copied = total.reshape(len(images), height, width, -1).permute(0, 3, 1, 2)
    return copied[:, :-1] / copied[:, -1:].clamp_min(1e-6), copied[:, -1:]


def _neighbours(pixels: Tensor, cell: int, size: int) -> list[tuple[Tensor, Tensor]]:
    """The two cells nearest to each pixel along an axis, and their bilinear weights."""
    position = (pixels + 0.5) / cell - 0.5
    first = position.floor()
    share, last = position - first, size // cell - 1
    low, high = first.long().clamp(0, last), (first.long() + 1).clamp(0, last)
    return [(low, 1 - share), (high, share)]
