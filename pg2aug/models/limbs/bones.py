"""The parts of a body as thick bones, in the source's pose and in the target's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

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


class Ends(NamedTuple):
    """Something at both ends of bones.

    Attributes:
        start: (N, B) or (N, B, 2).
        end: The same at the other end.
    """

    start: Tensor
    end: Tensor


@dataclass(frozen=True)
class Bones:
    """B thick segments of each of N persons, in both poses.

    Attributes:
        source: Where they are in the source, (N, B, 2) each.
        target: The same in the target.
        source_width: Half widths, (N, B) each.
        target_width: The same in the target.
        caps: How far they reach beyond their ends, (N, B) each, over the limb radius.
        side: (N, B) -1 where left and right are swapped across it, else 1.
        known: (N, B) whether it can be drawn.
        rounded: (N, B) whether its ends are round, or else straight.
    """

    source: Ends
    target: Ends
    source_width: Ends
    target_width: Ends
    caps: Ends
    side: Tensor
    known: Tensor
    rounded: Tensor

    @classmethod
    def join(cls, bones: 'Sequence[Bones]') -> 'Bones':
        """All bones as one: a few large steps on the device instead of many small ones."""
        joined: dict[str, Any] = {}
        for name in cls.__dataclass_fields__:
            values = [getattr(some, name) for some in bones]
            if isinstance(values[0], Ends):
                joined[name] = Ends(*(torch.cat(v, dim=1) for v in zip(*values, strict=True)))
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
            name: Ends(*map(change, value)) if isinstance(value, Ends) else change(value)
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
    flip = skeleton.flip_indices
    mirrored = [(flip[a], flip[b]) for a, b in limbs]
    labelled = source.visible > 0
    in_front = labelled & ~source.hidden
    shown, mirrored_shown = _both(labelled, limbs), _both(labelled, mirrored)
    seen, mirrored_seen = _both(in_front, limbs), _both(in_front, mirrored)
    own = (shown & (seen | ~mirrored_seen))[..., None]
    place, mirrored_place = (_at_ends(source.keypoints, pairs) for pairs in (limbs, mirrored))
    tips = [TIP_LENGTH * (k in skeleton.tips) for k in range(skeleton.num_keypoints)]
    caps = _at_ends(constant(tips, source.radius).expand(len(shown), -1), limbs)
    return Bones(
        source=Ends(
            torch.where(own, place.start, mirrored_place.start),
            torch.where(own, place.end, mirrored_place.end),
        ),
        target=_at_ends(target.keypoints, limbs),
        source_width=_limb_widths(source, skeleton, limbs),
        target_width=_limb_widths(target, skeleton, limbs),
        caps=caps,
        side=torch.ones_like(caps.start),
        known=(shown | mirrored_shown) & _both(target.visible > 0, limbs),
        rounded=torch.ones_like(shown),
    )


def _limb_widths(body: Body, skeleton: Skeleton, limbs: Sequence[tuple[int, int]]) -> Ends:
    """Half widths of some limbs in pixels."""
    widths = constant(half_widths(range(skeleton.num_keypoints), skeleton), body.radius)
    return _at_ends(widths * body.radius[:, None], limbs)


def _at_ends(values: Tensor, limbs: Sequence[tuple[int, int]]) -> Ends:
    """What joints have, (N, K) or (N, K, 2), at the ends of some limbs, or none."""
    return Ends(take(values, [a for a, _ in limbs]), take(values, [b for _, b in limbs]))


def _both(flags: Tensor, limbs: Sequence[tuple[int, int]]) -> Tensor:
    """Whether both joints of limbs have a flag (N, K)."""
    start, end = _at_ends(flags, limbs)
    return start & end


class _Spine(NamedTuple):
    """The bone of torsos.

    Attributes:
        place: Shoulders' middle and hips' middle, (N, 1, 2) each.
        width: Half widths there, (N, 1) each.
        side: (N, 1), 1 where the left shoulder and hip are on the bone's left, else -1.
    """

    place: Ends
    width: Ends
    side: Tensor


def torso_bone(source: Body, target: Body, skeleton: Skeleton) -> Bones:
    """The torso, along the spine, as wide as shoulders and hips."""
    before, after = _spine(source, skeleton), _spine(target, skeleton)
    corners = [take(body.visible, skeleton.torso) > 0 for body in (source, target)]
    known = (corners[0] & corners[1]).all(dim=1, keepdim=True)
    cap = torch.full_like(before.side, TORSO_MARGIN)
    return Bones(
        source=before.place,
        target=after.place,
        source_width=before.width,
        target_width=after.width,
        caps=Ends(cap, cap),
        side=before.side * after.side,
        known=known,
        rounded=torch.zeros_like(known),
    )


def _spine(body: Body, skeleton: Skeleton) -> _Spine:
    left_shoulder, right_shoulder, right_hip, left_hip = (
        body.keypoints[:, k : k + 1] for k in skeleton.torso
    )
    neck, pelvis = (left_shoulder + right_shoulder) / 2, (left_hip + right_hip) / 2
    _, across = bone_axes(neck, pelvis)
    shoulders = ((left_shoulder - right_shoulder) * across).sum(dim=-1) / 2
    hips = ((left_hip - right_hip) * across).sum(dim=-1) / 2
    margin = TORSO_MARGIN * body.radius[:, None]
    least = TORSO_WIDTH * body.radius[:, None]
    width = Ends(*(torch.maximum(half.abs() + margin, least) for half in (shoulders, hips)))
    return _Spine(Ends(neck, pelvis), width, torch.where(shoulders + hips >= 0, 1.0, -1.0))


def neck_bone(source: Body, target: Body, source_head: Heads, target_head: Heads) -> Bones:
    """The way from the shoulders to the head."""
    places = [Ends(head.neck[:, None], head.centre[:, None]) for head in (source_head, target_head)]
    known = [(head.labelled & head.shoulders)[:, None] for head in (source_head, target_head)]
    widths = [NECK_WIDTH * body.radius[:, None] for body in (source, target)]
    none = torch.zeros_like(widths[0])
    return Bones(
        source=places[0],
        target=places[1],
        source_width=Ends(widths[0], widths[0]),
        target_width=Ends(widths[1], widths[1]),
        caps=Ends(none, none),
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
