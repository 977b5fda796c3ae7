"""A person moved into another pose limb by limb: no learning, batched, on any device.

Every part of the body is cut out of the source image around its bones and laid where the target
pose has these bones, as in Balakrishnan et al. (CVPR 2018) and Soft-Gated Warping-GAN (Dong et al.,
NeurIPS 2018), but with parts known from the skeleton instead of a learned segmentation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pg2aug.models.head import Heads, locate_heads
from pg2aug.models.rasterize import END_RADIUS, pixel_grid
from pg2aug.poses.skeleton import Skeleton

HALF_WIDTH = 1.15
"""Half width of a limb that is cut out, over the limb radius: sleeves, but little background."""

TIP_LENGTH = 0.9
"""How far a hand or foot reaches beyond the last joint, over the limb radius."""

TORSO_MARGIN = 0.75
"""How far a torso reaches beyond its corner joints, over the limb radius."""

_SOFTNESS = 0.25
# Of all bones of a step together; a pixel of a bone takes some 70 bytes while it is worked on.
_PIXELS_AT_ONCE = 2**19
_TINY = 1e-3


@dataclass(frozen=True)
class Body:
    """Where a batch of persons is.

    Attributes:
        keypoints: (N, K, 2) pixel coordinates; those of unlabelled joints are not read.
        visible: (N, K), greater than 0 where labelled.
        radius: (N,) radius of a limb in pixels.
    """

    keypoints: Tensor
    visible: Tensor
    radius: Tensor


@dataclass(frozen=True)
class _Bone:
    """A thick segment in both poses, for B persons, or for B bones of persons.

    Attributes:
        source: Start and end in the source, (B, 2) each.
        target: The same in the target.
        source_width: Half widths at start and end, (B,) each.
        target_width: The same in the target.
        caps: How far it reaches beyond start and end, (B,) each, over the limb radius.
        side: (B,) -1 where left and right are swapped across it, else 1.
        known: (B,) whether it can be drawn.
        rounded: (B,) whether its ends are round, or else straight.
    """

    source: tuple[Tensor, Tensor]
    target: tuple[Tensor, Tensor]
    source_width: tuple[Tensor, Tensor]
    target_width: tuple[Tensor, Tensor]
    caps: tuple[Tensor, Tensor]
    side: Tensor
    known: Tensor
    rounded: Tensor

    @classmethod
    def join(cls, bones: 'Sequence[_Bone]') -> '_Bone':
        """Bones as one: a few large steps on the device instead of many small ones."""
        joined: dict[str, Any] = {}
        for name in cls.__dataclass_fields__:
            values = [getattr(bone, name) for bone in bones]
            if isinstance(values[0], tuple):
                joined[name] = tuple(map(torch.cat, zip(*values, strict=True)))
            else:
                joined[name] = torch.cat(values)
        return cls(**joined)


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
    limbs = _body_limbs(skeleton)
    upper = _upper_limbs(limbs, skeleton)
    bones = [_limb_bone(source, target, skeleton, limb) for limb in limbs if limb not in upper]
    if skeleton.torso:
        bones.append(_torso_bone(source, target, skeleton))
    if skeleton.torso and skeleton.head:
        bones.append(_neck_bone(source, target, *heads))
    yield from _warp_bones(bones, grid, target.radius)
    if skeleton.head:
        yield _warp_head(source, target, heads, skeleton, grid)
    bones = [_limb_bone(source, target, skeleton, limb) for limb in upper]
    yield from _warp_bones(bones, grid, target.radius)


def _body_limbs(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Limbs that are parts of their own: neither within the torso nor at the head."""
    torso, head = set(skeleton.torso), set(skeleton.head)
    return [
        (a, b) for a, b in skeleton.limbs if not {a, b} & head and not (a in torso and b in torso)
    ]


def _upper_limbs(limbs: list[tuple[int, int]], skeleton: Skeleton) -> list[tuple[int, int]]:
    """Limbs that hang on the shoulders, those next to them first; not the way to the head."""
    reached, upper = set(skeleton.torso[:2]), list[tuple[int, int]]()
    necks = {k for limb in skeleton.limbs if set(limb) & set(skeleton.head) for k in limb}
    others = (set(skeleton.torso[2:]) | necks) - reached
    for _ in limbs:
        for limb in limbs:
            if limb not in upper and set(limb) & reached and not set(limb) & others:
                upper.append(limb)
                reached |= set(limb) - set(skeleton.torso)
    return upper


def _limb_bone(source: Body, target: Body, skeleton: Skeleton, limb: tuple[int, int]) -> _Bone:
    a, b = limb
    mirrored = skeleton.flip_indices[a], skeleton.flip_indices[b]
    own = (source.visible[:, a] > 0) & (source.visible[:, b] > 0)
    other = (source.visible[:, mirrored[0]] > 0) & (source.visible[:, mirrored[1]] > 0)
    ends = [
        torch.where(own[:, None], source.keypoints[:, i], source.keypoints[:, j])
        for i, j in zip(limb, mirrored, strict=True)
    ]
    shown = (target.visible[:, a] > 0) & (target.visible[:, b] > 0)
    widths = HALF_WIDTH * source.radius, HALF_WIDTH * target.radius
    caps = [
        torch.full_like(own, TIP_LENGTH * (k in skeleton.tips), dtype=torch.float32) for k in limb
    ]
    return _Bone(
        source=(ends[0], ends[1]),
        target=(target.keypoints[:, a], target.keypoints[:, b]),
        source_width=(widths[0], widths[0]),
        target_width=(widths[1], widths[1]),
        caps=(caps[0], caps[1]),
        side=torch.ones_like(source.radius),
        known=(own | other) & shown,
        rounded=torch.ones_like(own),
    )


def _torso_bone(source: Body, target: Body, skeleton: Skeleton) -> _Bone:
    ends, widths, sides = zip(*(_spine(body, skeleton) for body in (source, target)), strict=True)
    corners = list(skeleton.torso)
    known = (source.visible[:, corners] > 0) & (target.visible[:, corners] > 0)
    cap = torch.full_like(source.radius, TORSO_MARGIN)
    return _Bone(
        source=ends[0],
        target=ends[1],
        source_width=widths[0],
        target_width=widths[1],
        caps=(cap, cap),
        side=sides[0] * sides[1],
        known=known.all(dim=1),
        rounded=torch.zeros_like(known[:, 0]),
    )


def _spine(
    body: Body, skeleton: Skeleton
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], Tensor]:
    """Ends of the spine, half widths of the torso at both, and on which side its left is."""
    left_shoulder, right_shoulder, right_hip, left_hip = (
        body.keypoints[:, k] for k in skeleton.torso
    )
    neck, pelvis = (left_shoulder + right_shoulder) / 2, (left_hip + right_hip) / 2
    _, across = _axes(neck, pelvis)
    shoulders = ((left_shoulder - right_shoulder) * across).sum(dim=1) / 2
    hips = ((left_hip - right_hip) * across).sum(dim=1) / 2
    margin = TORSO_MARGIN * body.radius
    side = torch.where(shoulders + hips >= 0, 1.0, -1.0)
    return (neck, pelvis), (shoulders.abs() + margin, hips.abs() + margin), side


def _neck_bone(source: Body, target: Body, source_head: Heads, target_head: Heads) -> _Bone:
    heads = source_head, target_head
    ends = [(head.neck, head.centre) for head in heads]
    known = [head.labelled & head.shoulders for head in heads]
    widths = 0.6 * source.radius, 0.6 * target.radius
    return _Bone(
        source=ends[0],
        target=ends[1],
        source_width=(widths[0], widths[0]),
        target_width=(widths[1], widths[1]),
        caps=(torch.zeros_like(source.radius), torch.zeros_like(source.radius)),
        side=torch.ones_like(source.radius),
        known=known[0] & known[1],
        rounded=torch.ones_like(known[0]),
    )


def _warp_bones(
    bones: Sequence[_Bone], grid: Tensor, radius: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Layers of bones, as many at a time as fit into the bound on memory, but at least one."""
    pixels = max(1, len(radius) * grid.shape[0] * grid.shape[1])
    size = max(1, _PIXELS_AT_ONCE // pixels)
    for group in (bones[i : i + size] for i in range(0, len(bones), size)):
        count = len(group)
        points, coverage = _warp_bone(_Bone.join(group), grid, radius.repeat(count))
        yield from zip(points.chunk(count), coverage.chunk(count), strict=True)


def _warp_bone(bone: _Bone, grid: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Map a thick bone onto a thick bone.

    Between the joints lengths are stretched; beyond them, and across, they follow the widths, so
    that a bone that points at the camera in one of the poses does no harm.
    """
    start, end = bone.target
    along, across = _axes(start, end)
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
    source_along, source_across = _axes(*bone.source)
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


def _axes(start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors (N, 2) along a bone and across it; some direction for one without length."""
    along = end - start
    length = along.norm(dim=1, keepdim=True)
    down = torch.zeros_like(along)
    down[:, 1] = 1.0
    along = torch.where(length > _TINY, along / length.clamp_min(_TINY), down)
    return along, torch.stack([-along[:, 1], along[:, 0]], dim=1)


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
