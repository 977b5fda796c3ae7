"""Completing an image of cells with patches from elsewhere in it: an exact search, batched."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pg2aug.models.holes.push_pull import push_pull

_UNKNOWN_COST = 0.2
_UNEVEN_COST = 0.13
_VERTICAL_COST = 0.16
_FORBIDDEN_COST = 1e4
_TRUST = 0.3
_ITERATIONS = 3, 2


class _Sources(NamedTuple):
    """The L patches to copy from.

    Attributes:
        factor: (N, D, L), what they bring to the matrix product of the search.
        patches: (N, (C + 1) * 9, L), its first rows: features where they are known, and what is.
    """

    factor: Tensor
    patches: Tensor


class _DisplacementCosts(NamedTuple):
    """What it costs to copy each of L cells from each of L cells, whatever they show.

    Attributes:
        rows: (P, L), rows of costs of the cells to copy from, which overlap in memory.
        row: (L,) int64, the number of each cell's row.
    """

    rows: Tensor
    row: Tensor


def complete_cells(features: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Complete cells from coarse to fine, 3x3 patches being compared with each other.

    Args:
        features: (N, C, h, w) means over what is known of each cell, h and w even; 0 where nothing
            is. Costs are for features of deviation 1.
        weight: (N, 1, h, w) in [0, 1], the share of a cell that is known. Only cells that are known
            wholly are copied.

    Returns:
        The features, completed, and (N, h * w) int64, the cell that each cell is copied from; of no
        meaning where a cell is known.
    """
    coarse_weight = F.avg_pool2d(weight, 2)
    coarse = F.avg_pool2d(features * weight, 2) / coarse_weight.clamp_min(1e-6)
    estimate = push_pull(coarse, coarse_weight)
    estimate, _ = _alternate(coarse, coarse_weight, estimate, _ITERATIONS[0])
    estimate = F.interpolate(estimate, scale_factor=2, mode='bilinear', align_corners=False)
    return _alternate(features, weight, estimate, _ITERATIONS[1])


def _alternate(
    features: Tensor, weight: Tensor, estimate: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """Search and vote in turn, at one level."""
    known = (weight >= 1).float()
    trust = _trust(known)
    weights = _patches(trust)
    weights /= weights.sum(dim=1, keepdim=True)
    sources = _sources(features, known)
    costs = _displacement_costs(known.shape[-2], known.shape[-1], known.device)
    wanted = _near_holes(known)
    estimate = torch.where(known > 0, features, estimate)
    source = torch.zeros_like(known, dtype=torch.int64).flatten(1)
    for _ in range(iterations):
        source = _nearest_patches(_targets(estimate, weights), sources.factor, costs, wanted)
        estimate = torch.where(known > 0, features, _vote(sources.patches, source, trust, known))
    return estimate, source


def _trust(known: Tensor) -> Tensor:
    """How much an estimate counts: 1 where known, less and less further into the hole."""
    trust, reach = known, known
    for step in range(1, 5):
        reach = F.max_pool2d(reach, 3, stride=1, padding=1) if step < 4 else torch.ones_like(reach)
        trust = torch.maximum(trust, reach * _TRUST**step)
    return trust


def _patches(cells: Tensor) -> Tensor:
    """The 3x3 neighbourhood of every cell: (N, C * 9, L)."""
    return F.unfold(cells, 3, padding=1)


def _sources(features: Tensor, known: Tensor) -> _Sources:
    """The patches to copy from.

    With a target t of weights w and a source s known where k is 1, the cost is the sum over the
    patch of w (k |t - s|^2 + (1 - k) c), bilinear in what stands here and in :func:`_targets`.
    """
    squares = (features.square().sum(1, keepdim=True) - _UNKNOWN_COST) * known
    rows = _patches(torch.cat([features * known, known, squares], dim=1))
    rows[:, -9:] += _UNKNOWN_COST
    factor = torch.cat([rows, _FORBIDDEN_COST * (1 - known.flatten(2))], dim=1)
    return _Sources(factor, patches=factor[:, :-10])


def _targets(estimate: Tensor, weights: Tensor) -> Tensor:
    """The other factor of the search, (N, D, L); ``weights`` of a patch (N, 9, L) sum to 1."""
    squares = estimate.square().sum(1, keepdim=True)
    patches = _patches(torch.cat([-2 * estimate, squares], dim=1))
    patches.view(len(weights), -1, *weights.shape[1:]).mul_(weights[:, None])
    return torch.cat([patches, weights, torch.ones_like(weights[:, :1])], dim=1)


def _nearest_patches(
    targets: Tensor, sources: Tensor, costs: _DisplacementCosts, wanted: list[Tensor] | None
) -> Tensor:
    """The cell to copy each cell from, at the least cost: an exact search.

    Args:
        targets: (N, D, L).
        sources: (N, D, L). Its product with the targets is what it costs that patches differ.
        costs: Added to that.
        wanted: Numbers of the cells of each sample to search for; all if None.

    Returns:
        (N, L) int64; 0 where no search was wanted.
    """
    if wanted is None:
        whole = costs.rows.index_select(0, costs.row)
        return torch.baddbmm(whole[None], targets.transpose(1, 2), sources).argmin(dim=2)
    found = torch.zeros_like(targets[:, 0], dtype=torch.int64)
    for row, target, source, cells in zip(found, targets, sources, wanted, strict=True):
        # One by one: what is searched fits into the cache.
        total = costs.rows.index_select(0, costs.row[cells])
        total.addmm_(target.index_select(1, cells).T, source)
        # NumPy's search for a minimum is ten times as fast as PyTorch's.
        row[cells] = torch.from_numpy(total.numpy().argmin(axis=1))
    return found


def _near_holes(known: Tensor) -> list[Tensor] | None:
    """Numbers of the cells of each sample whose patches cover any cell that is not known.

    None on other devices than a CPU: to count them, the host would wait for the device.
    """
    if known.device.type != 'cpu':
        return None
    near = F.max_pool2d(1 - known, 3, stride=1, padding=1).flatten(1)
    return [row.nonzero()[:, 0] for row in near]


def _displacement_costs(height: int, width: int, device: torch.device) -> _DisplacementCosts:
    """The costs of displacements alone.

    An arbitrary share for each displacement: where several fit, neighbours choose the same. Near
    copies would be seen as repetitions.
    """
    dy = torch.arange(1 - height, height, device=device)[:, None]
    dx = torch.arange(1 - width, width, device=device)[None]
    share = ((dy * 73856093) ^ (dx * 19349663)).remainder(1009).float() / 1009
    near = torch.maximum(dy.abs(), dx.abs()) < 2
    cost = _UNEVEN_COST * (share + near.float()) + _VERTICAL_COST * dy.abs() / height
    # The cells to copy from, as seen from a cell, are a window on the displacements. Column by
    # column of cells: what is seen from the cell above is what comes one row later.
    columns = cost.unfold(1, width, 1).flip(1).transpose(0, 1)
    rows = columns.flatten().unfold(0, height * width, width)
    cells = torch.arange(height * width, device=device)
    row = cells % width * (2 * height - 1) + height - 1 - cells // width
    return _DisplacementCosts(rows, row)


def _vote(patches: Tensor, source: Tensor, trust: Tensor, known: Tensor) -> Tensor:
    """Mean of the patches that cover each cell, moved from their sources: (N, C, h, w)."""
    moved = patches.gather(2, source[:, None].expand_as(patches)).mul_(trust.flatten(2))
    total = F.fold(moved, (known.shape[-2], known.shape[-1]), 3, padding=1)
    return total[:, :-1] / total[:, -1:].clamp_min(1e-6)
