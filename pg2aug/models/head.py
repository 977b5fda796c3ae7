"""Where a skull is: face joints lie low on it, and the joint at its top at its far end."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pg2aug.models.constants import constant, take
from pg2aug.poses.skeleton import Skeleton

FACE_RISE = 0.35
"""How far a head's centre lies beyond the face, over the distance from shoulders to face."""

CROWN_RISE = -1 / 3
"""The same for the top of the head, before which the centre lies."""


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
    of these is taken.

    Args:
        keypoints: (N, K, 2) pixel coordinates; those of unlabelled joints are not read.
        visible: (N, K), greater than 0 where labelled.
        skeleton: Skeleton of K joints.
    """
    joints, shoulders = skeleton.head, skeleton.torso[:2]
    labelled = visible > 0
    keypoints = torch.where(labelled[..., None], keypoints, 0.0).to(torch.float32)
    shown, places = take(labelled, joints), take(keypoints, joints)
    count = shown.sum(dim=1)
    mean = _mean(places, count)
    if not shoulders:
        return Heads(mean, mean, count > 0, torch.ones_like(count, dtype=torch.bool))
    neck = take(keypoints, shoulders).mean(dim=1)
    rise = constant([CROWN_RISE if k in skeleton.crown else FACE_RISE for k in joints], keypoints)
    rises = rise[:, None] * (places - neck[:, None])
    risen = mean + _mean(torch.where(shown[..., None], rises, 0.0), count)
    both = take(labelled, shoulders).all(dim=1)
    return Heads(neck, torch.where(both[:, None], risen, mean), count > 0, both)


def _mean(labelled: Tensor, count: Tensor) -> Tensor:
    """Mean (N, 2) of joints (N, P, 2), 0 where unlabelled, of which ``count`` (N,) are labelled."""
    return labelled.sum(dim=1) / count.clamp_min(1)[:, None]
