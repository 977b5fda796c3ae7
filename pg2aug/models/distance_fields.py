"""How far pixels are from bodies: batched, on whatever device the keypoints are on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

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
    limbs = body_distance(keypoints, visible, shape, skeleton.mask_limbs, skeleton.torso)
    labelled = visible > 0
    keypoints = torch.where(labelled[..., None], keypoints, 0.0).to(torch.float32)
    heads = locate_heads(keypoints, visible, skeleton)
    head = _nearest_point(heads.centre[:, None], heads.labelled[:, None], shape)
    tips = _nearest_point(take(keypoints, skeleton.tips), take(labelled, skeleton.tips), shape)
    return BodyDistances(limbs, head, tips)


def body_distance(
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


def _inside_hull(corners: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Whether each pixel lies in the convex hull of corners (N, C, 2), of 3 at least: (N, H, W).

    A line through two corners bounds the hull where all others are on one side of it, in whatever
    order a twisted torso puts its corners. Corners in a line have no hull.
    """
    count = corners.shape[1]
    pairs, triples = (list(combinations(range(count), n)) for n in (2, 3))
    p, q, r = (take(corners, side) for side in zip(*triples, strict=True))
    turns = _cross(q - p, r - p)
    # The turns of a pair with all others; with one between them in order, it is the other way.
    others = [(pair, k) for pair in pairs for k in range(count) if k not in pair]
    signs = constant([-1 if a < k < b else 1 for (a, b), k in others], corners)
    numbers = [triples.index(tuple(sorted((*pair, k)))) for pair, k in others]
    sides = (take(turns, numbers) * signs).view(len(corners), len(pairs), -1)
    # Lines within the hull, and through all corners, bound nothing.
    facing = (sides >= 0).all(dim=2).float() - (sides <= 0).all(dim=2).float()
    starts, ends = (take(corners, side) for side in zip(*pairs, strict=True))
    d = (ends - starts) * facing[..., None]
    across = d[..., :1, None] * (ys - starts[..., 1:, None])
    down = d[..., 1:, None] * (xs - starts[..., :1, None])
    inside = (across - down).amin(dim=1) >= 0
    inside &= (turns != 0).any(dim=1)[:, None, None]
    # Where rounding leaves a side open, that of corners all but in a line.
    return inside & _inside_box(corners.amin(dim=1), corners.amax(dim=1), xs, ys)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _inside_box(low: Tensor, high: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Whether each pixel lies in boxes from low to high, (N, 2) each: (N, H, W)."""
    low, high = low[..., None, None], high[..., None, None]
    return ((xs >= low[:, 0]) & (xs <= high[:, 0])) & ((ys >= low[:, 1]) & (ys <= high[:, 1]))
