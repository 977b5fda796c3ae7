"""A person moved into another pose limb by limb: no learning, batched, on any device.

Every part of the body is cut out of the source image around its bones and laid where the target
pose has these bones, as in Balakrishnan et al. (CVPR 2018) and Soft-Gated Warping-GAN (Dong et al.,
NeurIPS 2018), but with parts known from the skeleton instead of a learned segmentation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from pg2aug.models.bones import (
    Body,
    Bone,
    body_limbs,
    bone_axes,
    limb_bone,
    neck_bone,
    torso_bone,
    upper_limbs,
)
from pg2aug.models.head import Heads, locate_heads
from pg2aug.models.rasterize import END_RADIUS, pixel_grid
from pg2aug.poses.skeleton import Skeleton

_SOFTNESS = 0.25
# Of all bones of a step together; a pixel of a bone takes some 70 bytes while it is worked on.
_PIXELS_AT_ONCE = 2**19
_TINY = 1e-3


def limb_warp(
    images: Tensor,
    source: Body,
    target: Body,
    skeleton: Skeleton,
    coverage: Tensor | None = None,
) -> Tensor:
    """Lay the parts of persons where their target poses have them.

    Limbs keep their width and take the target's length; the torso takes the target's width too, and
    is mirrored where the other shoulder is on the left; the head is turned and mirrored as its
    joints are. Order from back to front: legs, torso, neck, head, arms: two dimensions do not tell
    more. A limb that the source does not show is taken from the mirrored limb; one that neither
    shows is left out, and so are limbs that the target lacks.

    Args:
        images: (N, C, H, W), any value range.
        source: The persons in ``images``.
        target: The poses wanted, in the frame of the result, which has the size of ``images``.
        skeleton: Skeleton of K joints.
        coverage: (N, 1, H, W) in [0, 1], how much of each pixel of ``images`` is the person, which
            ``images`` are already multiplied by; 1 everywhere if None.

    Returns:
        (N, C + 1, H, W) float32: the person on 0, multiplied by its coverage, and as the last
        channel the coverage in [0, 1].
    """
    shape = (images.shape[-2], images.shape[-1])
    known = torch.ones_like(images[:, :1]) if coverage is None else coverage
    padded = torch.cat([images, known], dim=1).float()
    warped = torch.zeros_like(padded)
    limit = padded.new_tensor([shape[1] - 1, shape[0] - 1])
    for points, inside in _layers(_labelled(source), _labelled(target), skeleton, shape):
        # Beyond the image the last channel is 0: nothing is known there.
        layer = F.grid_sample(padded, points / limit * 2 - 1, align_corners=True)
        layer = layer * inside[:, None]
        warped = warped * (1 - layer[:, -1:]) + layer
    return warped


def _labelled(body: Body) -> Body:
    """The same with unlabelled joints at 0: what is multiplied by 0 must not be NaN."""
    labelled = (body.visible > 0)[..., None]
    return replace(body, keypoints=torch.where(labelled, body.keypoints, 0.0))


def _layers(
    source: Body, target: Body, skeleton: Skeleton, shape: tuple[int, int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """From back to front, where to look in the source (N, H, W, 2), and the coverage (N, H, W)."""
    xs, ys = pixel_grid(shape, target.keypoints.device)
    grid = torch.stack([xs.expand(shape), ys.expand(shape)], dim=-1)
    heads = [locate_heads(body.keypoints, body.visible, skeleton) for body in (source, target)]
    limbs = body_limbs(skeleton)
    upper = upper_limbs(limbs, skeleton)
    bones = [limb_bone(source, target, skeleton, limb) for limb in limbs if limb not in upper]
    if skeleton.torso:
        bones.append(torso_bone(source, target, skeleton))
    if skeleton.torso and skeleton.head:
        bones.append(neck_bone(source, target, *heads))
    yield from _warp_bones(bones, grid, target.radius)
    if skeleton.head:
        yield _warp_head(source, target, heads, skeleton, grid)
    bones = [limb_bone(source, target, skeleton, limb) for limb in upper]
    yield from _warp_bones(bones, grid, target.radius)


def _warp_bones(
    bones: Sequence[Bone], grid: Tensor, radius: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Layers of bones, as many at a time as fit into the bound on memory, but at least one."""
    pixels = max(1, len(radius) * grid.shape[0] * grid.shape[1])
    size = max(1, _PIXELS_AT_ONCE // pixels)
    for group in (bones[i : i + size] for i in range(0, len(bones), size)):
        count = len(group)
        points, coverage = _warp_bone(Bone.join(group), grid, radius.repeat(count))
        yield from zip(points.chunk(count), coverage.chunk(count), strict=True)


def _warp_bone(bone: Bone, grid: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Map a thick bone onto a thick bone.

    Between the joints lengths are stretched; beyond them, and across, they follow the widths, so
    that a bone that points at the camera in one of the poses does no harm.
    """
    start, end = bone.target
    along, across = bone_axes(start, end)
    length = (end - start).norm(dim=1)
    x = _dot(grid, start, along)
    y = _dot(grid, start, across)
    inner = torch.minimum(x.clamp_min(0), length[:, None, None])
    outer = x - inner
    share = inner / length.clamp_min(_TINY)[:, None, None]
    width = _between(bone.target_width, share)
    cap = torch.where(outer < 0, bone.caps[0][:, None, None], bone.caps[1][:, None, None])
    beyond = outer.abs() - cap * radius[:, None, None]
    distance = torch.where(
        bone.rounded[:, None, None],
        torch.hypot(beyond.clamp_min(0), y) - width,
        torch.maximum(beyond, y.abs() - width),
    )
    source_along, source_across = bone_axes(*bone.source)
    source_length = (bone.source[1] - bone.source[0]).norm(dim=1)
    ratio = _between(bone.source_width, share) / width.clamp_min(_TINY)
    u = share * source_length[:, None, None] + outer * ratio
    v = y * ratio * bone.side[:, None, None]
    points = (
        bone.source[0][:, None, None]
        + u[..., None] * source_along[:, None, None]
        + v[..., None] * source_across[:, None, None]
    )
    return points, _coverage(distance, radius, bone.known)


def _warp_head(
    source: Body, target: Body, heads: Sequence[Heads], skeleton: Skeleton, grid: Tensor
) -> tuple[Tensor, Tensor]:
    """Turn, mirror and scale the disk of a head as its joints are turned and mirrored."""
    head = list(skeleton.head)
    common = ((source.visible[:, head] > 0) & (target.visible[:, head] > 0)).float()
    weight = torch.cat([common, torch.ones_like(common[:, :1])], dim=1)
    joints = [
        _complex(torch.cat([body.keypoints[:, head], at.neck[:, None]], dim=1) - at.centre[:, None])
        for body, at in zip((source, target), heads, strict=True)
    ]
    turn, mirror = _turn(joints[1], joints[0], weight)
    ratio = (source.radius / target.radius.clamp_min(_TINY))[:, None, None]
    offset = _complex(grid - heads[1].centre[:, None, None])
    distance = offset.abs() - END_RADIUS * target.radius[:, None, None]
    offset = torch.where(mirror[:, None, None], offset.conj().resolve_conj(), offset)
    moved = offset * turn[:, None, None] * ratio
    points = torch.view_as_real(moved) + heads[0].centre[:, None, None]
    known = [at.labelled & at.shoulders for at in heads]
    return points, _coverage(distance, target.radius, known[0] & known[1])


def _turn(target: Tensor, source: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The rotation (N,), complex of length 1, that best takes target to source points (N, P).

    Returns:
        The rotation, and whether the points have to be mirrored (conjugated) before it.
    """
    plain = (weight * target.conj() * source).sum(dim=1)
    mirrored = (weight * target * source).sum(dim=1)
    mirror = mirrored.abs() > 1.02 * plain.abs()
    best = torch.where(mirror, mirrored, plain)
    # A single joint without a neck points nowhere: it is left as it is.
    best = torch.where(best.abs() > _TINY, best, 1.0)
    return best / best.abs(), mirror


def _dot(grid: Tensor, origin: Tensor, axis: Tensor) -> Tensor:
    """Coordinate along an axis (N, 2) of every pixel of a grid (H, W, 2): (N, H, W)."""
    return (grid @ axis.T).permute(2, 0, 1) - (origin * axis).sum(dim=1)[:, None, None]


def _between(ends: tuple[Tensor, Tensor], share: Tensor) -> Tensor:
    return torch.lerp(ends[0][:, None, None], ends[1][:, None, None], share)


def _coverage(distance: Tensor, radius: Tensor, known: Tensor) -> Tensor:
    edge = (_SOFTNESS * radius).clamp_min(0.5)[:, None, None]
    return (0.5 - distance / (2 * edge)).clamp(0, 1) * known[:, None, None]


def _complex(points: Tensor) -> Tensor:
    return torch.view_as_complex(points.contiguous())
