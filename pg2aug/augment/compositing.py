"""Putting a synthesised person into an image: pure, batched functions on any device."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pg2aug.models.rasterize import body_distance
from pg2aug.poses.skeleton import Skeleton


def warp(images: Tensor, matrices: Tensor, shape: tuple[int, int]) -> Tensor:
    """Warp a batch bilinearly, zero outside, like ``cv2.warpAffine``.

    Args:
        images: (N, C, H, W).
        matrices: (N, 2, 3), source pixels to destination pixels.
        shape: (height, width) of the destination.

    Returns:
        (N, C, height, width) float32.
    """
    inverse = invert_affine(matrices)
    xs, ys = _pixel_grid(shape, images.device)
    points = torch.stack([xs.expand(shape), ys.expand(shape)], dim=-1)
    source = transform_points(points.reshape(1, -1, 2), inverse)
    limit = source.new_tensor([images.shape[-1] - 1, images.shape[-2] - 1])
    grid = (source / limit * 2 - 1).reshape(len(images), *shape, 2)
    return F.grid_sample(images.float(), grid, mode='bilinear', align_corners=True)


def transform_points(points: Tensor, matrices: Tensor) -> Tensor:
    """Apply (N, 2, 3) affines to (N or 1, P, 2) points: (N, P, 2)."""
    return points @ matrices[:, :, :2].transpose(1, 2) + matrices[:, None, :, 2]


def invert_affine(matrices: Tensor) -> Tensor:
    """Inverse of (N, 2, 3) affines, in closed form: no solver, so no synchronisation."""
    a, b, c, d = (matrices[:, i, j] for i in (0, 1) for j in (0, 1))
    det = a * d - b * c
    linear = torch.stack([d, -b, -c, a], dim=1).reshape(-1, 2, 2) / det[:, None, None]
    return torch.cat([linear, -linear @ matrices[:, :, 2:]], dim=2)


def compose_affines(outer: Tensor, inner: Tensor) -> Tensor:
    """The (N, 2, 3) affines that apply ``inner`` first and ``outer`` second."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    return torch.cat([linear, outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]], dim=2)


def affine_scale(matrices: Tensor) -> Tensor:
    """By how much (N, 2, 3) affines enlarge lengths, on average over directions: (N,)."""
    linear = matrices[:, :, :2]
    det = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    return det.abs().sqrt()


def body_alpha(
    keypoints: Tensor,
    visible: Tensor,
    shape: tuple[int, int],
    skeleton: Skeleton,
    radius: Tensor,
    softness: float = 0.35,
) -> Tensor:
    """Soft mask of the body in a pose: thick limbs, filled torso, and a disk for the head.

    Args:
        keypoints: (N, K, 2) pixel coordinates; those of unlabelled joints are not read.
        visible: (N, K), greater than 0 where the joint is labelled.
        shape: (height, width) of the mask.
        skeleton: Skeleton of K joints.
        radius: (N,) radius of a limb in pixels.
        softness: Width of the edge as a share of the radius; the mask is 0.5 at the radius.

    Returns:
        (N, 1, height, width) float32 in [0, 1].
    """
    radius = radius[:, None, None]
    distance = body_distance(keypoints, visible, shape, skeleton.limbs, skeleton.torso)
    distance = torch.minimum(distance, _head_distance(keypoints, visible, shape, skeleton, radius))
    edge = (softness * radius).clamp_min(0.5)
    return (0.5 + (radius - distance) / (2 * edge)).clamp(0, 1)[:, None]


def fill_holes(images: Tensor, known: Tensor) -> Tensor:
    """Fill unknown pixels from their surroundings with a push-pull pyramid.

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
    coarse = fill_holes(coarse, (4 * weight).clamp_max(1))
    smooth = F.interpolate(coarse, images.shape[-2:], mode='bilinear', align_corners=False)
    return torch.lerp(smooth, images, known)


def inside_mask(shape: tuple[int, int], matrices: Tensor, image_sizes: Tensor) -> Tensor:
    """Which pixels of a frame show the image, rather than what a warp put beyond its border.

    Args:
        shape: (height, width) of the frame.
        matrices: (N, 2, 3), image pixels to pixels of the frame.
        image_sizes: (N, 2) width and height of the images.

    Returns:
        (N, 1, height, width) float32, 1 inside and 0 outside.
    """
    xs, ys = _pixel_grid(shape, matrices.device)
    points = torch.stack([xs.expand(shape), ys.expand(shape)], dim=-1).reshape(1, -1, 2)
    source = transform_points(points, invert_affine(matrices))
    inside = ((source >= 0) & (source <= image_sizes[:, None] - 1)).all(dim=-1)
    return inside.reshape(-1, 1, *shape).float()


def _pixel_grid(shape: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    ys = torch.arange(shape[0], device=device, dtype=torch.float32)[:, None]
    xs = torch.arange(shape[1], device=device, dtype=torch.float32)[None, :]
    return xs, ys


def _head_distance(
    keypoints: Tensor,
    visible: Tensor,
    shape: tuple[int, int],
    skeleton: Skeleton,
    radius: Tensor,
) -> Tensor:
    """Distance to a head-sized disk, offset so that ``radius`` is its edge: (N, H, W).

    Skeletons mark faces, not skulls: hair and forehead lie outside every limb. A head is taken to
    be twice as wide as a limb, which is what the paper's radius of 4 at a height of 128 gives.
    """
    head = list(skeleton.head)
    if not head:
        return keypoints.new_full((len(keypoints), *shape), torch.inf)
    labelled = (visible[:, head] > 0).float()
    count = labelled.sum(dim=1)
    points = torch.where(labelled[..., None] > 0, keypoints[:, head], 0.0)
    centre = points.sum(dim=1) / count.clamp_min(1)[:, None]
    xs, ys = _pixel_grid(shape, keypoints.device)
    offset = (xs - centre[:, 0, None, None]).square() + (ys - centre[:, 1, None, None]).square()
    distance = offset.sqrt() - radius
    return torch.where(count[:, None, None] > 0, distance, torch.inf)
