"""A person moved into another pose limb by limb: no learning, batched, on any device.

Every part of the body is cut out of the source image around its bones and laid where the target
pose has these bones, as in Balakrishnan et al. (CVPR 2018) and Soft-Gated Warping-GAN (Dong et al.,
NeurIPS 2018), but with parts known from the skeleton instead of a learned segmentation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pg2aug.models.affine import pixel_grid
from pg2aug.models.limbs.anatomy import body_limbs, upper_limbs
from pg2aug.models.limbs.bones import (
    Body,
    Bones,
    Ends,
    bone_axes,
    hidden_limbs,
    limb_bones,
    neck_bone,
    torso_bone,
)
from pg2aug.models.limbs.head import HEAD_RADIUS, Heads, locate_heads
from pg2aug.models.tensor_cache import constant, take
from pg2aug.poses.skeleton import Skeleton

_SOFTNESS = 0.25
# Of all bones of a step together; a pixel of a bone takes some 100 bytes while it is worked on.
_PIXELS_AT_ONCE = {'cpu': 2**19}
_PIXELS_AT_ONCE_ELSEWHERE = 2**23
_TINY = 1e-3


class _Layers(NamedTuple):
    """Parts of the body, in their order from back to front.

    Attributes:
        points: Where to look in the source, (N, B, H, W, 2) in [-1, 1] as ``grid_sample`` has it.
        matte: (N, B, H, W).
    """

    points: Tensor
    matte: Tensor


def limb_warp(
    images: Tensor,
    source: Body,
    target: Body,
    skeleton: Skeleton,
    matte: Tensor | None = None,
) -> Tensor:
    """Lay the parts of persons where their target poses have them.

    Limbs keep their width and take the target's length; the torso takes the target's width too, and
    is mirrored where the other shoulder is on the left; the head is turned and mirrored as its
    joints are. Order from back to front: arms that the target's flags say are hidden, such legs,
    legs, torso, neck, head, arms. A limb that the source does not show, or whose joints are hidden
    while the mirrored limb's are not, is taken from the mirrored limb; one that neither shows is
    left out, and so are limbs that the target lacks.

    Args:
        images: (N, C, H, W), any value range.
        source: The persons in ``images``.
        target: The poses wanted, in the frame of the result, which has the size of ``images``.
        skeleton: Skeleton of K joints.
        matte: (N, 1, H, W) in [0, 1], how much of each pixel of ``images`` is the person, which
            ``images`` are already multiplied by; 1 everywhere if None.

    Returns:
        (N, C + 1, H, W) float32: the person on 0, multiplied by its matte, and as the last
        channel the matte in [0, 1].
    """
    shape = (images.shape[-2], images.shape[-1])
    known = torch.ones_like(images[:, :1]) if matte is None else matte
    padded = torch.cat([images, known], dim=1).float()
    warped = torch.zeros_like(padded)
    for layers in _layers(_labelled(source), _labelled(target), skeleton, shape):
        # Beyond the image the last channel is 0: nothing is known there.
        parts = F.grid_sample(padded, layers.points.flatten(1, 2), align_corners=True)
        parts = parts.view(*parts.shape[:2], -1, *shape).mul_(layers.matte[:, None])
        behind = 1 - parts[:, -1:]
        for i in range(parts.shape[2]):
            warped.mul_(behind[:, :, i]).add_(parts[:, :, i])
    return warped


def _labelled(body: Body) -> Body:
    """The same with unlabelled joints at 0: what is multiplied by 0 must not be NaN."""
    labelled = (body.visible > 0)[..., None]
    return replace(body, keypoints=torch.where(labelled, body.keypoints, 0.0))


def _layers(
    source: Body, target: Body, skeleton: Skeleton, shape: tuple[int, int]
) -> Iterator[_Layers]:
    """From back to front, some parts of the body at a time."""
    heads = [locate_heads(body.keypoints, body.visible, skeleton) for body in (source, target)]
    limbs = body_limbs(skeleton)
    upper = upper_limbs(limbs, skeleton)
    lower = [limb for limb in limbs if limb not in upper]
    arms, legs = (limb_bones(source, target, skeleton, part) for part in (upper, lower))
    behind = hidden_limbs(target, skeleton, upper)
    bones = [arms.where(behind), legs.first(hidden_limbs(target, skeleton, lower))]
    if skeleton.torso:
        bones.append(torso_bone(source, target, skeleton))
    if skeleton.torso and skeleton.head:
        bones.append(neck_bone(source, target, *heads))
    yield from _warp_bones(Bones.join(bones), target.radius, shape)
    if skeleton.head:
        yield _warp_head(source, target, heads, skeleton, shape)
    yield from _warp_bones(arms.where(~behind), target.radius, shape)


def _warp_bones(bones: Bones, radius: Tensor, shape: tuple[int, int]) -> Iterator[_Layers]:
    """Layers of bones, as many at a time as fit into the bound on memory, but at least one."""
    pixels = max(1, len(radius) * shape[0] * shape[1])
    at_once = _PIXELS_AT_ONCE.get(radius.device.type, _PIXELS_AT_ONCE_ELSEWHERE)
    size = max(1, at_once // pixels)
    for first in range(0, bones.known.shape[1], size):
        yield _warp_some(bones.some(first, first + size), radius[:, None], shape)


def _warp_some(bones: Bones, radius: Tensor, shape: tuple[int, int]) -> _Layers:
    """Map thick bones onto thick bones.

    Between the joints lengths are stretched; beyond them, and across, they follow the widths, so
    that a bone that points at the camera in one of the poses does no harm.

    Args:
        bones: B bones of N persons.
        radius: (N, 1), of limbs in the target.
        shape: (height, width) of the result.
    """
    along, aside = _from_bones(bones.target, shape)
    length = _field(_lengths(bones.target))
    between = torch.minimum(along.clamp_min(0), length)
    # Most of the time goes into memory. So a field whose name is not read again is written over.
    beyond = along.sub_(between)
    share = between.div_(length.clamp_min(_TINY))
    width = _between(bones.target_width, share)
    matte = _matte(_distance(bones, radius, beyond, aside, width), radius, bones.known)
    ratio = _between(bones.source_width, share).div_(width.clamp_min_(_TINY))
    along = beyond.mul_(ratio).addcmul_(share, _field(_lengths(bones.source)))
    aside = aside.mul_(ratio).mul_(_field(bones.side))
    return _Layers(_onto_bones(bones.source, along, aside, shape), matte)


def _from_bones(bones: Ends, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """How far pixels are from the start of bones, along them and aside: (N, B, H, W) each."""
    along, across = bone_axes(*bones)
    xs, ys = pixel_grid(shape, bones.start.device)
    px, py = xs - _field(bones.start[..., 0]), ys - _field(bones.start[..., 1])
    return (
        px * _field(along[..., 0]) + py * _field(along[..., 1]),
        px * _field(across[..., 0]) + py * _field(across[..., 1]),
    )


def _onto_bones(bones: Ends, along: Tensor, aside: Tensor, shape: tuple[int, int]) -> Tensor:
    """The inverse of :func:`_from_bones`: places as ``grid_sample`` has them, (N, B, H, W, 2)."""
    origin = _in_frame(bones.start, shape)
    axis, across = (_scaled(vectors, shape) for vectors in bone_axes(*bones))
    x, y = (
        torch.addcmul(_field(origin[..., i]), along, _field(axis[..., i])).addcmul_(
            aside, _field(across[..., i])
        )
        for i in (0, 1)
    )
    return _points(x, y)


def _distance(bones: Bones, radius: Tensor, beyond: Tensor, aside: Tensor, width: Tensor) -> Tensor:
    """How far pixels are out of bones, below 0 inside.

    Args:
        bones: B bones of N persons.
        radius: (N, 1).
        beyond: How far pixels are before the start (below 0) or beyond the end, (N, B, H, W).
        aside: How far they are aside.
        width: Half the width of the bone there.
    """
    before, after = bones.caps.start * radius, bones.caps.end * radius
    # From the caps, of both ends at once: as from the middle of a bone as long as both.
    off = (beyond + _field((before - after) / 2)).abs_().sub_(_field((before + after) / 2))
    straight = torch.maximum(off, aside.abs().sub_(width))
    # Not torch.hypot, which guards against overflows that pixels are far from, and takes long.
    rounded = off.clamp_min_(0).square_().addcmul_(aside, aside).sqrt_().sub_(width)
    return torch.where(_field(bones.rounded), rounded, straight)


def _warp_head(
    source: Body,
    target: Body,
    heads: Sequence[Heads],
    skeleton: Skeleton,
    shape: tuple[int, int],
) -> _Layers:
    """Turn, mirror and scale the disk of a head as its joints are turned and mirrored.

    Args:
        source: See :func:`limb_warp`.
        target: See there.
        heads: The source's and the target's.
        skeleton: Of the poses.
        shape: (height, width) of the result.
    """
    turn, mirror = _head_turn(source, target, heads, skeleton)
    turn = turn * (source.radius / target.radius.clamp_min(_TINY))
    xs, ys = pixel_grid(shape, turn.device)
    x, y = xs - _field(heads[1].centre[:, 0]), ys - _field(heads[1].centre[:, 1])
    distance = (x.square() + y.square()).sqrt_() - _field(HEAD_RADIUS * target.radius)
    known = heads[0].labelled & heads[0].shoulders & heads[1].labelled & heads[1].shoulders
    y = torch.where(_field(mirror), -y, y)
    real, imaginary = _field(turn.real), _field(turn.imag)
    moved = x * real - y * imaginary, x * imaginary + y * real
    places = [
        torch.add(_field(origin), offset, alpha=2 / max(1, size - 1))
        for origin, offset, size in zip(
            _in_frame(heads[0].centre, shape).unbind(dim=-1), moved, reversed(shape), strict=True
        )
    ]
    return _Layers(_points(*places)[:, None], _matte(distance, target.radius, known)[:, None])


def _head_turn(
    source: Body, target: Body, heads: Sequence[Heads], skeleton: Skeleton
) -> tuple[Tensor, Tensor]:
    """How heads are turned from the target to the source, and whether mirrored: see :func:`_turn`.

    By the head joints that both show and the neck, as seen from the centre of the skull.
    """
    labelled = [take(body.visible, skeleton.head) > 0 for body in (source, target)]
    common = (labelled[0] & labelled[1]).float()
    weight = torch.cat([common, torch.ones_like(common[:, :1])], dim=1)
    before, after = (
        _complex(
            torch.cat([take(body.keypoints, skeleton.head), at.neck[:, None]], dim=1)
            - at.centre[:, None]
        )
        for body, at in zip((source, target), heads, strict=True)
    )
    return _turn(after, before, weight)


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


def _between(ends: Ends, share: Tensor) -> Tensor:
    """Values (N, B) at the ends of bones, interpolated: (N, B, H, W)."""
    return torch.addcmul(_field(ends.start), share, _field(ends.end - ends.start))


def _lengths(bones: Ends) -> Tensor:
    return (bones.end - bones.start).norm(dim=-1)


def _points(x: Tensor, y: Tensor) -> Tensor:
    """(..., 2) of two coordinates: complex numbers lay them side by side most quickly."""
    return torch.view_as_real(torch.complex(x, y))


def _matte(distance: Tensor, radius: Tensor, known: Tensor) -> Tensor:
    """1 inside, 0 outside, in between a soft edge. It is written over the distances."""
    edge = _field((_SOFTNESS * radius).clamp_min(0.5))
    return distance.div_(-2 * edge).add_(0.5).clamp_(0, 1).mul_(_field(known))


def _field(values: Tensor) -> Tensor:
    """(...,) as (..., 1, 1), to be combined with a field of pixels."""
    return values[..., None, None]


def _scaled(vectors: Tensor, shape: tuple[int, int]) -> Tensor:
    """Vectors (..., 2) in pixels as ``grid_sample`` has them."""
    return vectors * constant([2 / max(1, n - 1) for n in reversed(shape)], vectors)


def _in_frame(points: Tensor, shape: tuple[int, int]) -> Tensor:
    return _scaled(points, shape) - 1


def _complex(points: Tensor) -> Tensor:
    return torch.view_as_complex(points.contiguous())
