"""How far pixels are from bodies: batched, on whatever device the keypoints are on."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from pg2aug.models.affine import pixel_grid
from pg2aug.models.chunks import bands, in_chunks
from pg2aug.models.limbs.head import locate_heads
from pg2aug.models.tensor_cache import constant, take
from pg2aug.poses.skeleton import Skeleton


@dataclass(frozen=True)
class BodyDistances:
    """Distances in pixels from each pixel to the nearest of some parts of a body.

    (N, H, W) float32 each, infinite where a sample has none of them.

    Attributes:
        limbs: To the segments between joints; 0 inside the torso.
        head: To the centre of the head.
        tips: To hands and feet.
    """

    limbs: Tensor
    head: Tensor
    tips: Tensor


def body_distances(
    keypoints: Tensor, visible: Tensor, shape: tuple[int, int], skeleton: Skeleton
) -> BodyDistances:
    """Distances that masks of any radius can be made of, see :func:`body_mask`.

    Args:
        keypoints: (N, K, 2) pixel coordinates; those of unlabelled joints are not read.
        visible: (N, K), greater than 0 where the joint is labelled.
        shape: (height, width) of the fields.
        skeleton: Skeleton of K joints.
    """
    limbs = limb_distance(keypoints, visible, shape, skeleton.mask_limbs, skeleton.torso)
    labelled = visible > 0
    keypoints = torch.where(labelled[..., None], keypoints, 0.0).to(torch.float32)
    heads = locate_heads(keypoints, visible, skeleton)
    head = _nearest_point(heads.centre[:, None], heads.labelled[:, None], shape)
    tips = _nearest_point(take(keypoints, skeleton.tips), take(labelled, skeleton.tips), shape)
    return BodyDistances(limbs, head, tips)


def limb_distance(
    keypoints: Tensor,
    visible: Tensor,
    shape: tuple[int, int],
    limbs: Sequence[tuple[int, int]],
    torso: Sequence[int],
) -> Tensor:
    """Distance in pixels from each pixel to the nearest limb segment; 0 inside the torso.

    Args:
        keypoints: (N, K, 2) pixel coordinates; those of unlabelled joints are not read.
        visible: (N, K), greater than 0 where the joint is labelled.
        shape: (height, width) of the field.
        limbs: Pairs of joint indices.
        torso: Joints whose convex hull is filled where all are labelled; empty for none.

    Returns:
        (N, height, width) float32, infinite where no limb of a sample is labelled.
    """

    def distance(keypoints: Tensor, visible: Tensor) -> Tensor:
        labelled = visible > 0
        keypoints = torch.where(labelled[..., None], keypoints, 0.0).to(torch.float32)
        rows = bands(shape, keypoints.device, len(keypoints) * len(limbs))
        grids = (pixel_grid((end - top, shape[1]), keypoints.device, top) for top, end in rows)
        parts = [band(keypoints, labelled, *grid) for grid in grids]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def band(keypoints: Tensor, labelled: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
        nearest = _nearest_segment(keypoints, labelled, xs, ys, limbs)
        if torso:
            filled = _inside_hull(take(keypoints, torso), xs, ys)
            filled &= take(labelled, torso).all(dim=1)[:, None, None]
            nearest.masked_fill_(filled, 0.0)
        return nearest

    return in_chunks(distance, (keypoints, visible), shape, len(limbs))


def _nearest_point(points: Tensor, known: Tensor, shape: tuple[int, int]) -> Tensor:
    """Distance to the nearest of points (N, P, 2), of those that are known: (N, H, W)."""
    xs, ys = pixel_grid(shape, points.device)
    if points.shape[1] == 0:
        return points.new_full((len(points), *shape), torch.inf)
    dx2 = (xs - points[..., :1]).square_()
    dy2 = (ys[:, 0] - points[..., 1:]).square_()
    dx2 = torch.where(known[..., None], dx2, torch.inf)
    return (dy2[..., :, None] + dx2[..., None, :]).amin(dim=1).sqrt_()


def _nearest_segment(
    keypoints: Tensor, labelled: Tensor, xs: Tensor, ys: Tensor, limbs: Sequence[tuple[int, int]]
) -> Tensor:
    """Distance to the nearest limb of which both joints are labelled: (N, H, W)."""
    if not limbs:
        return keypoints.new_full((len(keypoints), len(ys), xs.shape[1]), torch.inf)
    starts, ends = zip(*limbs, strict=True)
    known = take(labelled, starts) & take(labelled, ends)
    a, b = take(keypoints, starts), take(keypoints, ends)
    d = (b - a)[..., None, None]
    dx, dy = d[:, :, 0], d[:, :, 1]
    px, py = xs - a[..., :1, None], ys - a[..., 1:, None]
    length2 = (dx * dx + dy * dy).clamp_min(1e-12)
    share = (px * (dx / length2) + py * (dy / length2)).clamp_(0, 1)
    px = torch.where(known[..., None, None], px, torch.inf)
    across = torch.addcmul(px, share, dx, value=-1)
    down = torch.addcmul(py, share, dy, value=-1)
    return across.square_().addcmul_(down, down).amin(dim=1).sqrt_()


class _HullLines(NamedTuple):
    """The lines through two of C corners, and what tells where the other corners lie.

    Whether three corners turn left or right tells it of three lines at once: each triple is looked
    at once, and the turns are then handed out to the lines.

    Attributes:
        ends: Two corners of each of L lines.
        triples: Three corners, in rising order, of each of T turns.
        turns: For each line, one line after the other, and each of the C - 2 other corners: the
            number of the turn.
        signs: -1 where that turn has the corner between those of the line, and is thus the other
            way round; 1 elsewhere.
    """

    ends: tuple[tuple[int, int], ...]
    triples: tuple[tuple[int, int, int], ...]
    turns: tuple[int, ...]
    signs: tuple[int, ...]


@functools.cache
def _hull_lines(count: int) -> _HullLines:
    ends = tuple(combinations(range(count), 2))
    triples = tuple(combinations(range(count), 3))
    turns, signs = [], []
    for a, b in ends:
        for other in set(range(count)) - {a, b}:
            low, middle, high = sorted((a, b, other))
            turns.append(triples.index((low, middle, high)))
            signs.append(-1 if other == middle else 1)
    return _HullLines(ends, triples, tuple(turns), tuple(signs))


def _inside_hull(corners: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Whether each pixel lies in the convex hull of corners (N, C, 2), of 3 at least: (N, H, W).

    A line through two corners bounds the hull where all others are on one side of it, in whatever
    order a twisted torso puts its corners. Corners in a line have no hull.
    """
    lines = _hull_lines(corners.shape[1])
    p, q, r = (take(corners, side) for side in zip(*lines.triples, strict=True))
    turns = _cross(q - p, r - p)
    starts, ends = (take(corners, side) for side in zip(*lines.ends, strict=True))
    d = (ends - starts) * _facing(turns, lines)[..., None]
    across = d[..., :1, None] * (ys - starts[..., 1:, None])
    down = d[..., 1:, None] * (xs - starts[..., :1, None])
    inside = (across - down).amin(dim=1) >= 0
    inside &= (turns != 0).any(dim=1)[:, None, None]
    # Where rounding leaves a side open, that of corners all but in a line.
    return inside & _inside_box(corners.amin(dim=1), corners.amax(dim=1), xs, ys)


def _facing(turns: Tensor, lines: _HullLines) -> Tensor:
    """On which side of each line the hull is, by the turns (N, T) of its triples: (N, L).

    1 or -1, and 0 of lines that bound nothing: within the hull, or through all corners.
    """
    sides = take(turns, lines.turns) * constant(lines.signs, turns)
    sides = sides.view(len(turns), len(lines.ends), -1)
    return (sides >= 0).all(dim=2).float() - (sides <= 0).all(dim=2).float()


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _inside_box(low: Tensor, high: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Whether each pixel lies in boxes from low to high, (N, 2) each: (N, H, W)."""
    low, high = low[..., None, None], high[..., None, None]
    return ((xs >= low[:, 0]) & (xs <= high[:, 0])) & ((ys >= low[:, 1]) & (ys <= high[:, 1]))
