"""The limbs of a skeleton: which there are, where they hang, how thick they are."""

import functools
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pg2aug.poses.skeleton import Skeleton

LEG_WIDTHS = 1.9, 1.5, 1.0
"""Half width of a leg at hip, knee and ankle, over the limb radius: clothes, little background."""

ARM_WIDTHS = 1.3, 1.1, 0.8, 0.8, 0.3
"""The same of an arm at shoulder, elbow, wrist and hand, and of fingers."""


def body_limbs(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Limbs that are parts of their own: neither within the torso nor at the head."""
    torso, head = set(skeleton.torso), set(skeleton.head)
    return [
        (a, b) for a, b in skeleton.limbs if not {a, b} & head and not (a in torso and b in torso)
    ]


def upper_limbs(limbs: list[tuple[int, int]], skeleton: Skeleton) -> list[tuple[int, int]]:
    """Limbs that hang on the shoulders, those next to them first; not the way to the head."""
    all_limbs = [*limbs, *skeleton.attachments]
    reached, upper = set(skeleton.torso[:2]), list[tuple[int, int]]()
    necks = {k for limb in skeleton.limbs if set(limb) & set(skeleton.head) for k in limb}
    others = (set(skeleton.torso[2:]) | necks) - reached
    for _ in all_limbs:
        for limb in all_limbs:
            if limb not in upper and set(limb) & reached and not set(limb) & others:
                upper.append(limb)
                reached |= set(limb) - set(skeleton.torso)
    return [limb for limb in upper if limb in limbs]


@functools.cache
def limb_steps(skeleton: Skeleton) -> Mapping[int, tuple[bool, int]]:
    """For each joint of a limb, whether it is an arm's, and how many limbs it is from the torso."""
    limbs = [*body_limbs(skeleton), *skeleton.attachments]
    upper = upper_limbs(limbs, skeleton)
    steps = {k: (k in skeleton.torso[:2], 0) for k in skeleton.torso}
    for _ in limbs:
        for limb in limbs:
            for near, far in (limb, limb[::-1]):
                if near in steps and far not in steps:
                    steps[far] = limb in upper, steps[near][1] + 1
    return MappingProxyType(steps)


def far_joints(limbs: Sequence[tuple[int, int]], skeleton: Skeleton) -> list[int]:
    """The joint of each limb that is further from the torso."""
    steps = limb_steps(skeleton)
    return [max(limb, key=lambda k: steps[k][1] if k in steps else 0) for limb in limbs]


def half_widths(joints: Sequence[int], skeleton: Skeleton) -> list[float]:
    """Half width of limbs at some joints, over the limb radius."""
    steps = limb_steps(skeleton)
    return [_half_width(*steps.get(joint, (False, 1))) for joint in joints]


def _half_width(upper: bool, step: int) -> float:
    widths = ARM_WIDTHS if upper else LEG_WIDTHS
    return widths[min(step, len(widths) - 1)]
