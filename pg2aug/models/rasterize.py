"""Keypoints to heatmaps and pose masks: batched torch on whatever device the keypoints are on."""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from pg2aug.models.head import locate_heads
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
    labelled = visible > 0
    keypoints = torch.where(labelled[..., None], keypoints, 0.0).to(torch.float32)
    xs, ys = pixel_grid(shape, keypoints.device)
    nearest = keypoints.new_full((len(keypoints), *shape), torch.inf)
    # One limb at a time: memory stays at a few (N, H, W) fields whatever the skeleton.
    for a, b in limbs:
        squared = _segment_distance_squared(keypoints[:, a], keypoints[:, b], xs, ys)
        both = (labelled[:, a] & labelled[:, b])[:, None, None]
        nearest = torch.minimum(nearest, torch.where(both, squared, torch.inf))
    nearest = nearest.sqrt_()
    if torso:
        filled = _inside_hull(keypoints[:, list(torso)], xs, ys)
        filled &= labelled[:, list(torso)].all(dim=1)[:, None, None]
        nearest = nearest.masked_fill(filled, 0.0)
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
    radius = radius[:, None, None]
    distance = body_distance(keypoints, visible, shape, skeleton.limbs, skeleton.torso)
    tips = skeleton.tips if hands_and_feet else ()
    ends = _ends_distance(keypoints, visible, shape, skeleton, tips)
    distance = torch.minimum(distance, ends - (END_RADIUS - 1) * radius)
    edge = (softness * radius).clamp_min(0.5)
    return (0.5 + (radius - distance) / (2 * edge)).clamp(0, 1)[:, None]


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
    heads, tips = locate_heads(keypoints, visible, skeleton), list(tips)
    centres = torch.cat([heads.centre[:, None], keypoints[:, tips]], dim=1)
    known = torch.cat([heads.labelled[:, None], labelled[:, tips]], dim=1)
    xs, ys = pixel_grid(shape, keypoints.device)
    nearest = keypoints.new_full((len(keypoints), *shape), torch.inf)
    for centre, there in zip(centres.unbind(dim=1), known.unbind(dim=1), strict=True):
        squared = (xs - centre[:, 0, None, None]).square() + (
            ys - centre[:, 1, None, None]
        ).square()
        nearest = torch.minimum(nearest, torch.where(there[:, None, None], squared, torch.inf))
    return nearest.sqrt_()


def _segment_distance_squared(a: Tensor, b: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Squared distance of every pixel to the segments a-b, both (N, 2): (N, H, W)."""
    d = b - a
    dx, dy = d[:, 0, None, None], d[:, 1, None, None]
    px, py = xs - a[:, 0, None, None], ys - a[:, 1, None, None]
    length2 = (dx * dx + dy * dy).clamp_min(1e-12)
    t = ((px * dx + py * dy) / length2).clamp_(0, 1)
    return (px - t * dx).square_() + (py - t * dy).square_()


def _inside_hull(corners: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Whether each pixel lies in the convex hull of corners (N, C, 2), C of 3 or 4: (N, H, W).

    The hull of four points is the union of the four triangles among them, in whatever order a
    twisted torso puts its corners.
    """
    shape = (len(corners), ys.shape[0], xs.shape[1])
    inside = torch.zeros(shape, dtype=torch.bool, device=xs.device)
    for triangle in combinations(corners.unbind(dim=1), 3):
        sides = [
            (q[:, 0, None, None] - p[:, 0, None, None]) * (ys - p[:, 1, None, None])
            - (q[:, 1, None, None] - p[:, 1, None, None]) * (xs - p[:, 0, None, None])
            for p, q in zip(triangle, (*triangle[1:], triangle[0]), strict=True)
        ]
        positive = (sides[0] >= 0) & (sides[1] >= 0) & (sides[2] >= 0)
        negative = (sides[0] <= 0) & (sides[1] <= 0) & (sides[2] <= 0)
        # Three corners in a line have all of that line inside: the box ends it at the corners.
        inside |= (positive | negative) & _inside_box(torch.stack(triangle, dim=1), xs, ys)
    return inside


def _inside_box(corners: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Whether each pixel lies in the bounding box of corners (N, C, 2): (N, H, W)."""
    low, high = corners.amin(dim=1)[:, :, None, None], corners.amax(dim=1)[:, :, None, None]
    across = (xs >= low[:, 0]) & (xs <= high[:, 0])
    return across & (ys >= low[:, 1]) & (ys <= high[:, 1])


def _close(mask: Tensor, margin: int) -> Tensor:
    """Morphological closing of (N, 1, H, W) with a square of side ``2 * margin + 1``."""
    kernel = 2 * margin + 1
    dilated = torch.nn.functional.max_pool2d(mask, kernel, stride=1, padding=margin)
    return -torch.nn.functional.max_pool2d(-dilated, kernel, stride=1, padding=margin)
