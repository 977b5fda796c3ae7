"""Keypoints to heatmaps and pose masks: batched torch on whatever device the keypoints are on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pg2aug.models.distance_fields import BodyDistances, body_distances, limb_distance
from pg2aug.models.limbs.head import HEAD_RADIUS
from pg2aug.poses.skeleton import Skeleton

END_RADIUS = 1.75
"""Radius of a hand or foot, over that of a limb, in :func:`body_alpha`."""

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
    return mask_within(limb_distance(keypoints, visible, shape, limbs, torso), radius)


def mask_within(distance: Tensor, radius: float | None = None) -> Tensor:
    """The same as :func:`pose_mask` from distances at hand, (N, H, W)."""
    height = distance.shape[1]
    radius = limb_radius(height) if radius is None else radius
    mask = (distance <= radius).to(torch.float32)[:, None]
    return _close(mask, margin=max(1, round(2 * height / REFERENCE_HEIGHT)))


def limb_radius(height: int) -> float:
    """Radius of a limb in pixels: 4 at an image height of 128, proportionally."""
    return 4.0 * height / REFERENCE_HEIGHT


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
    distances = body_distances(keypoints, visible, shape, skeleton)
    return alpha_within(distances, radius, softness, hands_and_feet)


def alpha_within(
    distances: BodyDistances, radius: Tensor, softness: float = 0.35, hands_and_feet: bool = True
) -> Tensor:
    """The same as :func:`body_alpha` from distances at hand, which serve several radii."""
    radius = radius[:, None, None]
    distance = torch.minimum(distances.limbs, distances.head - (HEAD_RADIUS - 1) * radius)
    if hands_and_feet:
        distance = torch.minimum(distance, distances.tips - (END_RADIUS - 1) * radius)
    edge = (softness * radius).clamp_min(0.5)
    return distance.mul_(-0.5 / edge).add_(0.5 + radius / (2 * edge)).clamp_(0, 1)[:, None]


def _close(mask: Tensor, margin: int) -> Tensor:
    """Morphological closing of (N, 1, H, W) with a square of side ``2 * margin + 1``."""
    kernel = 2 * margin + 1
    dilated = torch.nn.functional.max_pool2d(mask, kernel, stride=1, padding=margin)
    return -torch.nn.functional.max_pool2d(-dilated, kernel, stride=1, padding=margin)
