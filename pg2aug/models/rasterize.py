"""Keypoints to heatmaps and pose masks: batched torch on whatever device the keypoints are on."""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from pg2aug.models.constants import take
from pg2aug.models.head import locate_heads
from pg2aug.models.parts import in_parts
from pg2aug.poses.skeleton import Skeleton

END_RADIUS = 1.75
"""Radius of a head, hand or foot, over that of a limb, in :func:`body_alpha`."""

REFERENCE_HEIGHT = 128
"""Height of the images (Market-1501) for which the paper's radius of 4 pixels is stated."""


def keypoint_heatmaps(
    keypoints: Tensor,
    visible: Tensor,
    shape: tuple[int, int],
    radius: float = 4.0,
    background: float = 0.0,
) -> Tensor:
    """Draw every joint as a solid disk in a channel of its own (paper, section 3.1).

    The disk is centred on the pixel nearest to the joint: 49 pixels at radius 4.

    Args:
        keypoints: (N, K, 2) pixel coordinates; those of unlabelled joints are not read.
        visible: (N, K), greater than 0 where the joint is labelled.
        shape: (height, width) of the heatmaps.
        radius: Radius of the disks in pixels.
        background: Value outside the disks: 0 in the paper, -1 in the authors' code.

    Returns:
        (N, K, height, width) float32, 1 inside and ``background`` outside.
    """
    centre = torch.where((visible > 0)[..., None], keypoints.round(), torch.inf)
    xs = torch.arange(shape[1], device=keypoints.device, dtype=torch.float32)
    ys = torch.arange(shape[0], device=keypoints.device, dtype=torch.float32)
    dx2 = (xs - centre[..., 0, None]).square_()
    dy2 = (ys - centre[..., 1, None]).square_()
    inside = dy2[..., :, None] + dx2[..., None, :] <= radius**2
    heatmaps = inside.to(torch.float32)
    return heatmaps if background == 0 else heatmaps.mul_(1 - background).add_(background)


def pose_mask(
    keypoints: Tensor,
    visible: Tensor,
    shape: tuple[int, int],
    limbs: Sequence[tuple[int, int]],
    torso: Sequence[int],
    radius: float | None = None,
) -> Tensor:
    """Mask of the body in a pose: limbs drawn as thick lines, torso filled, holes closed.

    At the paper's 128x64 a limb has a radius of 4 pixels and holes are closed by dilation and
    erosion with a 5x5 square; both grow with the image height (paper, section 3.1).

    Args:
        keypoints: (N, K, 2) pixel coordinates; those of unlabelled joints are not read.
        visible: (N, K), greater than 0 where the joint is labelled.
        shape: (height, width) of the mask.
        limbs: Pairs of joint indices; a limb is drawn where both of its joints are labelled.
        torso: Joints whose convex hull is filled where all are labelled; empty for none.
        radius: Radius of a limb in pixels; by default 4 at a height of 128, proportionally.

    Returns:
        (N, 1, height, width) float32, 1 on the body and 0 outside.
    """
    radius = limb_radius(shape[0]) if radius is None else radius
    distance = body_distance(keypoints, visible, shape, limbs, torso)
    mask = (distance <= radius).to(torch.float32)[:, None]
    return _close(mask, margin=max(1, round(2 * shape[0] / REFERENCE_HEIGHT)))


def limb_radius(height: int) -> float:
    """Radius of a limb in pixels: 4 at an image height of 128, proportionally."""
    return 4.0 * height / REFERENCE_HEIGHT


def body_distance(
    keypoints: Tensor,
    visible: Tensor,
    shape: tuple[int, int],
    limbs: Sequence[tuple[int, int]],
    torso: Sequence[int],
) -> Tensor:
    """Distance in pixels from each pixel to the nearest limb segment; 0 inside the torso.

    Args:
        keypoints: (N, K, 2) pixel coordinates.
        visible: (N, K), greater than 0 where the joint is labelled.
        shape: (height, width) of the field.
        limbs: Pairs of joint indices.
        torso: Joints whose convex hull is filled where all are labelled; empty for none.

    Returns:
        (N, height, width) float32, infinite where no limb of a sample is labelled.
    """

    def distance(keypoints: Tensor, visible: Tensor) -> Tensor:
        return _body_distance(keypoints, visible, shape, limbs, torso)

    return in_parts(distance, (keypoints, visible), shape, len(limbs))


def _body_distance(
    keypoints: Tensor,
    visible: Tensor,
    shape: tuple[int, int],
    limbs: Sequence[tuple[int, int]],
    torso: Sequence[int],
) -> Tensor:
    labelled = visible > 0
    keypoints = torch.where(labelled[..., None], keypoints, 0.0).to(torch.float32)
    xs, ys = pixel_grid(shape, keypoints.device)
    if limbs:
        starts, ends = zip(*limbs, strict=True)
        both = take(labelled, starts) & take(labelled, ends)
        segments = take(keypoints, starts), take(keypoints, ends)
        nearest = _segment_distance_squared(*segments, both, xs, ys).amin(dim=1).sqrt_()
    else:
        nearest = keypoints.new_full((len(keypoints), *shape), torch.inf)
    if torso:
        filled = _inside_hull(take(keypoints, torso), xs, ys)
        filled &= take(labelled, torso).all(dim=1)[:, None, None]
        nearest = nearest.masked_fill_(filled, 0.0)
    return nearest


def body_alpha(
    keypoints: Tensor,
    visible: Tensor,
    shape: tuple[int, int],
    skeleton: Skeleton,
    radius: Tensor,
    softness: float = 0.35,
    hands_and_feet: bool = True,
) -> Tensor:
    """Soft mask of the body in a pose: limbs, filled torso, and disks for head, hands and feet.

    Unlike :func:`pose_mask` it is meant to hold the whole person: skulls, hands and feet lie beyond
    the joints that a skeleton marks.

    Args:
        keypoints: (N, K, 2) pixel coordinates; those of unlabelled joints are not read.
        visible: (N, K), greater than 0 where the joint is labelled.
        shape: (height, width) of the mask.
        skeleton: Skeleton of K joints.
        radius: (N,) radius of a limb in pixels.
        softness: Width of the edge as a share of the radius; the mask is 0.5 at the radius.
        hands_and_feet: Whether wrists and ankles get disks. They are mostly background: good for
            removing a person, bad for pasting one.

    Returns:
        (N, 1, height, width) float32 in [0, 1].
    """
    tips = skeleton.tips if hands_and_feet else ()

    def alpha(keypoints: Tensor, visible: Tensor, radius: Tensor) -> Tensor:
        radius = radius[:, None, None]
        distance = _body_distance(keypoints, visible, shape, skeleton.limbs, skeleton.torso)
        ends = _ends_distance(keypoints, visible, shape, skeleton, tips)
        distance = torch.minimum(distance, ends.sub_((END_RADIUS - 1) * radius))
        edge = (softness * radius).clamp_min(0.5)
        return distance.mul_(-0.5 / edge).add_(0.5 + radius / (2 * edge)).clamp_(0, 1)[:, None]

    return in_parts(alpha, (keypoints, visible, radius), shape, len(skeleton.limbs))


def pixel_grid(shape: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Column coordinates (1, width) and row coordinates (height, 1) of pixels, float32."""
    ys = torch.arange(shape[0], device=device, dtype=torch.float32)[:, None]
    xs = torch.arange(shape[1], device=device, dtype=torch.float32)[None, :]
    return xs, ys


def _ends_distance(
    keypoints: Tensor,
    visible: Tensor,
    shape: tuple[int, int],
    skeleton: Skeleton,
    tips: Sequence[int],
) -> Tensor:
    """Distance to the nearest of head and tips: (N, H, W), infinite without any of them."""
    labelled = visible > 0
    keypoints = torch.where(labelled[..., None], keypoints, 0.0).to(torch.float32)
    heads = locate_heads(keypoints, visible, skeleton)
    centres = torch.cat([heads.centre[:, None], take(keypoints, tips)], dim=1)
    known = torch.cat([heads.labelled[:, None], take(labelled, tips)], dim=1)
    xs, ys = pixel_grid(shape, keypoints.device)
    dx2 = (xs - centres[..., :1]).square_()
    dy2 = (ys[:, 0] - centres[..., 1:]).square_()
    dx2 = torch.where(known[..., None], dx2, torch.inf)
    return (dy2[..., :, None] + dx2[..., None, :]).amin(dim=1).sqrt_()


def _segment_distance_squared(
    a: Tensor, b: Tensor, known: Tensor, xs: Tensor, ys: Tensor
) -> Tensor:
    """Squared distance of every pixel to the segments a-b: (N, L, H, W).

    Args:
        a: (N, L, 2) start.
        b: (N, L, 2) end.
        known: (N, L) bool; the distance to others is infinite.
        xs: See :func:`pixel_grid`.
        ys: See :func:`pixel_grid`.
    """
    d = (b - a)[..., None, None]
    dx, dy = d[:, :, 0], d[:, :, 1]
    px, py = xs - a[..., :1, None], ys - a[..., 1:, None]
    length2 = (dx * dx + dy * dy).clamp_min(1e-12)
    share = (px * (dx / length2) + py * (dy / length2)).clamp_(0, 1)
    px = torch.where(known[..., None, None], px, torch.inf)
    across = torch.addcmul(px, share, dx, value=-1)
    down = torch.addcmul(py, share, dy, value=-1)
    return across.square_().addcmul_(down, down)


def _inside_hull(corners: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Whether each pixel lies in the convex hull of corners (N, C, 2), C of 3 or 4: (N, H, W).

    The hull of four points is the union of the four triangles among them, in whatever order a
    twisted torso puts its corners.
    """
    count = corners.shape[1]
    edges = list(combinations(range(count), 2))
    starts, ends = (take(corners, side) for side in zip(*edges, strict=True))
    d = (ends - starts)[..., None, None]
    p = starts[..., None, None]
    side = d[:, :, 0] * (ys - p[:, :, 1]) - d[:, :, 1] * (xs - p[:, :, 0])
    left, right = side >= 0, side <= 0
    triangles = list(combinations(range(count), 3))
    # Around the triangle p, q, r: along p-q and q-r, and back along p-r.
    pq, qr, pr = (
        [edges.index((t[i], t[j])) for t in triangles] for i, j in ((0, 1), (1, 2), (0, 2))
    )
    inside = take(left, pq) & take(left, qr) & take(right, pr)
    inside |= take(right, pq) & take(right, qr) & take(left, pr)
    # Three corners in a line have all of that line inside: the box ends it at the corners.
    points = torch.stack([take(corners, corner) for corner in zip(*triangles, strict=True)])
    inside &= _inside_box(points.amin(dim=0), points.amax(dim=0), xs, ys)
    return inside.any(dim=1)


def _inside_box(low: Tensor, high: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Whether each pixel lies in boxes from low to high, (N, B, 2) each: (N, B, H, W)."""
    low, high = low[..., None, None], high[..., None, None]
    across = (xs >= low[:, :, 0]) & (xs <= high[:, :, 0])
    return across & (ys >= low[:, :, 1]) & (ys <= high[:, :, 1])


def _close(mask: Tensor, margin: int) -> Tensor:
    """Morphological closing of (N, 1, H, W) with a square of side ``2 * margin + 1``."""
    kernel = 2 * margin + 1
    dilated = torch.nn.functional.max_pool2d(mask, kernel, stride=1, padding=margin)
    return -torch.nn.functional.max_pool2d(-dilated, kernel, stride=1, padding=margin)
