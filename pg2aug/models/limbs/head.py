"""Where a skull is: between the ears, behind the face, below the joint at its top."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from pg2aug.models.tensor_cache import cached_tensor, select
from pg2aug.poses.skeleton import Skeleton, joint_key

HEAD_RADIUS = 2.1
"""Half the height of a head, hair included, over the radius of a limb."""

# How far the centre lies beyond a joint, over the joint's distance from the shoulders, as people's
# average measures have it: shoulder at 0.82 of the height, nose 0.915, ear 0.925, eye 0.935, centre
# 0.935, top 1.
_RISES = {'ear': 0.1, 'eye': 0.0, 'nose': 0.2}
_FACE_RISE, _CROWN_RISE = 0.3, -1 / 3
# From the side, all of a face but the ear lies a head's radius before the centre.
_WEIGHTS = {'ear': 1.0}
_FACE_WEIGHT, _CROWN_WEIGHT = 0.2, 1.0


@dataclass(frozen=True)
class Heads:
    """Heads of N persons.

    Attributes:
        neck: (N, 2) middle of the shoulders; of the head joints where the skeleton has no torso.
        centre: (N, 2) centre of the skull; the mean of the head joints without both shoulders.
        labelled: (N,) bool, whether any joint of the head is labelled.
        shoulders: (N,) bool, whether both shoulders are labelled; True without a torso.
    """

    neck: Tensor
    centre: Tensor
    labelled: Tensor
    shoulders: Tensor


def locate_heads(keypoints: Tensor, visible: Tensor, skeleton: Skeleton) -> Heads:
    """Estimate where heads are, from whatever joints a skeleton marks on them.

    Every labelled head joint tells, with the middle of the shoulders, where the centre is; the mean
    of these is taken, in which ears count most.

    Args:
        keypoints: (N, K, 2) pixel coordinates; those of unlabelled joints are not read.
        visible: (N, K), greater than 0 where labelled.
        skeleton: Skeleton of K joints.
    """
    joints, shoulders = skeleton.head, skeleton.torso[:2]
    labelled = visible > 0
    keypoints = torch.where(labelled[..., None], keypoints, 0.0).to(torch.float32)
    places = select(keypoints, joints)
    weights, rises = _trusts(skeleton)
    weight = cached_tensor(weights, keypoints) * select(labelled, joints)
    rise = cached_tensor(rises, keypoints)
    shown = weight.sum(dim=1) > 0
    mean = _mean(places, weight)
    if not shoulders:
        return Heads(mean, mean, shown, torch.ones_like(shown))
    neck = select(keypoints, shoulders).mean(dim=1)
    risen = _mean(places + rise[:, None] * (places - neck[:, None]), weight)
    both = select(labelled, shoulders).all(dim=1)
    return Heads(neck, torch.where(both[:, None], risen, mean), shown, both)


@functools.cache
def _trusts(skeleton: Skeleton) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """How much each joint of the head counts, and how far the centre lies beyond each."""
    trusts = [_trust(joint, skeleton) for joint in skeleton.head]
    return tuple(weight for weight, _ in trusts), tuple(rise for _, rise in trusts)


def _trust(joint: int, skeleton: Skeleton) -> tuple[float, float]:
    if joint in skeleton.crown:
        return _CROWN_WEIGHT, _CROWN_RISE
    _, words = joint_key(skeleton.keypoint_names[joint])
    part = next((word for word in words if word in _RISES), '')
    return _WEIGHTS.get(part, _FACE_WEIGHT), _RISES.get(part, _FACE_RISE)


def _mean(points: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean (N, 2) of points (N, P, 2); 0 without any."""
    total = weight.sum(dim=1, keepdim=True)
    return (points * weight[..., None]).sum(dim=1) / torch.where(total > 0, total, 1.0)
