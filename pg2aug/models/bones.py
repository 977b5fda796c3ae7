"""The parts of a body as thick bones, in the source's pose and in the target's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pg2aug.models.head import Heads
from pg2aug.poses.skeleton import Skeleton

HALF_WIDTH = 1.15
"""Half width of a limb that is cut out, over the limb radius: sleeves, but little background."""

TIP_LENGTH = 0.9
"""How far a hand or foot reaches beyond the last joint, over the limb radius."""

TORSO_MARGIN = 0.75
"""How far a torso reaches beyond its corner joints, over the limb radius."""

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
class Bone:
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
    def join(cls, bones: 'Sequence[Bone]') -> 'Bone':
        """Bones as one: a few large steps on the device instead of many small ones."""
        joined: dict[str, Any] = {}
        for name in cls.__dataclass_fields__:
            values = [getattr(bone, name) for bone in bones]
            if isinstance(values[0], tuple):
                joined[name] = tuple(map(torch.cat, zip(*values, strict=True)))
            else:
                joined[name] = torch.cat(values)
        return cls(**joined)


def body_limbs(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Limbs that are parts of their own: neither within the torso nor at the head."""
    torso, head = set(skeleton.torso), set(skeleton.head)
    return [
        (a, b) for a, b in skeleton.limbs if not {a, b} & head and not (a in torso and b in torso)
    ]


def upper_limbs(limbs: list[tuple[int, int]], skeleton: Skeleton) -> list[tuple[int, int]]:
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


def limb_bone(source: Body, target: Body, skeleton: Skeleton, limb: tuple[int, int]) -> Bone:
    """A limb; from the mirrored one where the source does not show it."""
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
    return Bone(
        source=(ends[0], ends[1]),
        target=(target.keypoints[:, a], target.keypoints[:, b]),
        source_width=(widths[0], widths[0]),
        target_width=(widths[1], widths[1]),
        caps=(caps[0], caps[1]),
        side=torch.ones_like(source.radius),
        known=(own | other) & shown,
        rounded=torch.ones_like(own),
    )


def torso_bone(source: Body, target: Body, skeleton: Skeleton) -> Bone:
    """The torso, along the spine, as wide as shoulders and hips."""
    ends, widths, sides = zip(*(_spine(body, skeleton) for body in (source, target)), strict=True)
    corners = list(skeleton.torso)
    known = (source.visible[:, corners] > 0) & (target.visible[:, corners] > 0)
    cap = torch.full_like(source.radius, TORSO_MARGIN)
    return Bone(
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
    _, across = bone_axes(neck, pelvis)
    shoulders = ((left_shoulder - right_shoulder) * across).sum(dim=1) / 2
    hips = ((left_hip - right_hip) * across).sum(dim=1) / 2
    margin = TORSO_MARGIN * body.radius
    side = torch.where(shoulders + hips >= 0, 1.0, -1.0)
    return (neck, pelvis), (shoulders.abs() + margin, hips.abs() + margin), side


def neck_bone(source: Body, target: Body, source_head: Heads, target_head: Heads) -> Bone:
    """The way from the shoulders to the head."""
    heads = source_head, target_head
    ends = [(head.neck, head.centre) for head in heads]
    known = [head.labelled & head.shoulders for head in heads]
    widths = 0.6 * source.radius, 0.6 * target.radius
    return Bone(
        source=ends[0],
        target=ends[1],
        source_width=(widths[0], widths[0]),
        target_width=(widths[1], widths[1]),
        caps=(torch.zeros_like(source.radius), torch.zeros_like(source.radius)),
        side=torch.ones_like(source.radius),
        known=known[0] & known[1],
        rounded=torch.ones_like(known[0]),
    )


def bone_axes(start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors (N, 2) along a bone and across it; some direction for one without length."""
    along = end - start
    length = along.norm(dim=1, keepdim=True)
    down = torch.zeros_like(along)
    down[:, 1] = 1.0
    along = torch.where(length > _TINY, along / length.clamp_min(_TINY), down)
    return along, torch.stack([-along[:, 1], along[:, 0]], dim=1)
