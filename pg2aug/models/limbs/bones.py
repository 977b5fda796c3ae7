"""The parts of a body as thick bones, in the source's pose and in the target's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pg2aug.models.limbs.anatomy import far_joints, half_widths
from pg2aug.models.limbs.head import Heads
from pg2aug.models.tensor_cache import constant, take
from pg2aug.poses.read.coco import flagged_hidden
from pg2aug.poses.skeleton import Skeleton

TIP_LENGTH = 0.9
"""How far a hand or foot reaches beyond the last joint, over the limb radius."""

TORSO_MARGIN = 0.75
"""How far a torso reaches beyond its corner joints, over the limb radius."""

TORSO_WIDTH = 2.1
"""Least half width of a torso, over the limb radius: that from the side."""

NECK_WIDTH = 0.9
"""Half width of a neck, over the limb radius."""

_TINY = 1e-3


@dataclass(frozen=True)
class Body:
    """Where a batch of persons is.

    Attributes:
        keypoints: (N, K, 2) pixel coordinates; those of unlabelled joints are not read.
        visible: (N, K), greater than 0 where labelled; COCO's flags, if they are known.
        radius: (N,) radius of a limb in pixels.
    """

    keypoints: Tensor
    visible: Tensor
    radius: Tensor

    @property
    def hidden(self) -> Tensor:
        """(N, K) bool, joints that something is in front of, of persons whose flags tell."""
        return flagged_hidden(self.visible)


@dataclass(frozen=True)
class Bones:
    """B thick segments of each of N persons, in both poses.

    Attributes:
        source: Start and end in the source, (N, B, 2) each.
        target: The same in the target.
        source_width: Half widths at start and end, (N, B) each.
        target_width: The same in the target.
        caps: How far they reach beyond start and end, (N, B) each, over the limb radius.
        side: (N, B) -1 where left and right are swapped across it, else 1.
        known: (N, B) whether it can be drawn.
        rounded: (N, B) whether its ends are round, or else straight.
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
    def join(cls, bones: 'Sequence[Bones]') -> 'Bones':
        """All bones as one: a few large steps on the device instead of many small ones."""
        joined: dict[str, Any] = {}
        for name in cls.__dataclass_fields__:
            values = [getattr(some, name) for some in bones]
            if isinstance(values[0], tuple):
                pairs = zip(*values, strict=True)
                joined[name] = tuple(torch.cat(ends, dim=1) for ends in pairs)
            else:
                joined[name] = torch.cat(values, dim=1)
        return cls(**joined)

    def some(self, first: int, end: int) -> 'Bones':
        """Those from one number up to another."""
        return self._changed(lambda values: values[:, first:end])

    def where(self, chosen: Tensor) -> 'Bones':
        """Some of them, (N, B) bool, are drawn and the others are not."""
        return replace(self, known=self.known & chosen)

    def first(self, chosen: Tensor) -> 'Bones':
        """Some of them, (N, B) bool, come before the others."""
        order = torch.argsort((~chosen).to(torch.uint8), dim=1, stable=True)

        def arranged(value: Tensor) -> Tensor:
            index = order.view(*order.shape, *(1,) * (value.ndim - 2)).expand_as(value)
            return value.gather(1, index)

        return self._changed(arranged)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> 'Bones':
        values: dict[str, Any] = {
            name: tuple(map(change, value)) if isinstance(value, tuple) else change(value)
            for name, value in vars(self).items()
        }
        return type(self)(**values)


def hidden_limbs(body: Body, skeleton: Skeleton, limbs: Sequence[tuple[int, int]]) -> Tensor:
    """Which of L limbs end behind something: (N, L) bool."""
    return take(body.hidden, far_joints(limbs, skeleton))


def limb_bones(
    source: Body, target: Body, skeleton: Skeleton, limbs: Sequence[tuple[int, int]]
) -> Bones:
    """Some limbs, or none; from the mirrored one where the source shows that better.

    A limb behind the body is labelled, but its pixels are those of what is in front of it.
    """
    starts, ends = [a for a, _ in limbs], [b for _, b in limbs]
    sides = [(joints, [skeleton.flip_indices[k] for k in joints]) for joints in (starts, ends)]
    shown = source.visible > 0
    seen = shown & ~source.hidden
    own, other = (take(shown, sides[0][i]) & take(shown, sides[1][i]) for i in (0, 1))
    clear, other_clear = (take(seen, sides[0][i]) & take(seen, sides[1][i]) for i in (0, 1))
    used = own & (clear | ~other_clear)
    places = [
        torch.where(used[..., None], take(source.keypoints, a), take(source.keypoints, b))
        for a, b in sides
    ]
    wanted = target.visible > 0
    widths = [
        [
            constant(half_widths(joints, skeleton), body.radius) * body.radius[:, None]
            for joints in (starts, ends)
        ]
        for body in (source, target)
    ]
    caps = [
        constant([TIP_LENGTH * (k in skeleton.tips) for k in joints], shown).expand(own.shape)
        for joints in (starts, ends)
    ]
    return Bones(
        source=(places[0], places[1]),
        target=(take(target.keypoints, starts), take(target.keypoints, ends)),
        source_width=(widths[0][0], widths[0][1]),
        target_width=(widths[1][0], widths[1][1]),
        caps=(caps[0], caps[1]),
        side=torch.ones_like(widths[0][0]),
        known=(own | other) & take(wanted, starts) & take(wanted, ends),
        rounded=torch.ones_like(own),
    )


def torso_bone(source: Body, target: Body, skeleton: Skeleton) -> Bones:
    """The torso, along the spine, as wide as shoulders and hips."""
    ends, widths, sides = zip(*(_spine(body, skeleton) for body in (source, target)), strict=True)
    corners = [take(body.visible, skeleton.torso) > 0 for body in (source, target)]
    known = (corners[0] & corners[1]).all(dim=1, keepdim=True)
    cap = torch.full_like(sides[0], TORSO_MARGIN)
    return Bones(
        source=ends[0],
        target=ends[1],
        source_width=widths[0],
        target_width=widths[1],
        caps=(cap, cap),
        side=sides[0] * sides[1],
        known=known,
        rounded=torch.zeros_like(known),
    )


def _spine(
    body: Body, skeleton: Skeleton
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], Tensor]:
    """Ends of the spine, half widths of the torso at both, and on which side its left is."""
    left_shoulder, right_shoulder, right_hip, left_hip = (
        body.keypoints[:, k : k + 1] for k in skeleton.torso
    )
    neck, pelvis = (left_shoulder + right_shoulder) / 2, (left_hip + right_hip) / 2
    _, across = bone_axes(neck, pelvis)
    shoulders = ((left_shoulder - right_shoulder) * across).sum(dim=-1) / 2
    hips = ((left_hip - right_hip) * across).sum(dim=-1) / 2
    margin = TORSO_MARGIN * body.radius[:, None]
    side = torch.where(shoulders + hips >= 0, 1.0, -1.0)
    least = TORSO_WIDTH * body.radius[:, None]
    widths = [torch.maximum(half.abs() + margin, least) for half in (shoulders, hips)]
    return (neck, pelvis), (widths[0], widths[1]), side


def neck_bone(source: Body, target: Body, source_head: Heads, target_head: Heads) -> Bones:
    """The way from the shoulders to the head."""
    heads = source_head, target_head
    ends = [(head.neck[:, None], head.centre[:, None]) for head in heads]
    known = [(head.labelled & head.shoulders)[:, None] for head in heads]
    widths = [NECK_WIDTH * body.radius[:, None] for body in (source, target)]
    none = torch.zeros_like(widths[0])
    return Bones(
        source=ends[0],
        target=ends[1],
        source_width=(widths[0], widths[0]),
        target_width=(widths[1], widths[1]),
        caps=(none, none),
        side=torch.ones_like(none),
        known=known[0] & known[1],
        rounded=torch.ones_like(known[0]),
    )


def bone_axes(start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors (..., 2) along a bone and across it; some direction for one without length."""
    along = end - start
    length = along.norm(dim=-1, keepdim=True)
    down = constant([0.0, 1.0], along)
    along = torch.where(length > _TINY, along / length.clamp_min(_TINY), down)
    x, y = along.unbind(dim=-1)
    return along, torch.stack([-y, x], dim=-1)
