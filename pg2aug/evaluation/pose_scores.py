"""PCKh and OKS of estimated poses against the poses that were asked for."""

import torch
from torch import Tensor

from pg2aug.estimators.prediction import keypoint_extent
from pg2aug.poses.same_person import BODY_AREA
from pg2aug.poses.skeleton import Skeleton, joint_key

HEAD_SHARE = 0.5
"""A joint is right within this share of the head's box."""


def head_boxes(keypoints: Tensor, visible: Tensor, skeleton: Skeleton) -> Tensor:
    """Size of the box of each person's head: of nose, eyes, ears and neck.

    It is the head of Pose-Transfer's PCKh (Zhu et al., CVPR 2019). The middle of the shoulders
    stands for the neck in a skeleton without one.

    Args:
        keypoints: (N, K, 2) pixels.
        visible: (N, K), greater than 0 where labelled.
        skeleton: Skeleton of K joints.

    Returns:
        (N, 2) width and height in pixels; NaN where fewer than two of these are labelled.
    """
    keys = [joint_key(name) for name in skeleton.keypoint_names]
    joints, neck = list(skeleton.head), ('', ('neck',))
    joints += [keys.index(neck)] if neck in keys else []
    corners, known = keypoints[:, joints], visible[:, joints] > 0
    if neck not in keys and skeleton.torso:
        shoulders = list(skeleton.torso[:2])
        middle = keypoints[:, shoulders].mean(dim=1, keepdim=True)
        both = (visible[:, shoulders] > 0).all(dim=1, keepdim=True)
        corners, known = torch.cat([corners, middle], dim=1), torch.cat([known, both], dim=1)
    low, high = keypoint_extent(corners, known)
    enough = known.sum(dim=1, keepdim=True) >= 2
    return torch.where(enough, high - low, torch.nan)


def pckh_counts(
    estimated: Tensor, found: Tensor, keypoints: Tensor, visible: Tensor, boxes: Tensor
) -> tuple[Tensor, Tensor]:
    """Count the joints that are right: within half the head's width in x and half its height in y.

    Args:
        estimated: (N, K, 2) estimated keypoints.
        found: (N, K) bool, whether the estimator found the joint; what it did not is wrong.
        keypoints: (N, K, 2) labels, in the same pixels.
        visible: (N, K), greater than 0 where labelled.
        boxes: (N, 2) of :func:`head_boxes`.

    Returns:
        Right and labelled joints, (N,) each; both 0 where the head's size is unknown.
    """
    counted = (visible > 0) & boxes.isfinite().all(dim=1, keepdim=True)
    near = ((estimated - keypoints).abs() < HEAD_SHARE * boxes[:, None]).all(dim=2)
    return (near & found & counted).sum(dim=1), counted.sum(dim=1)


def oks(
    estimated: Tensor, found: Tensor, keypoints: Tensor, visible: Tensor, sigmas: Tensor
) -> Tensor:
    """COCO's object keypoint similarity, over the labelled joints of which the spread is known.

    A person's area is ``BODY_AREA`` of the label check, times the squared diagonal of the labelled
    keypoints' box.

    Args:
        estimated: (N, K, 2) estimated keypoints.
        found: (N, K) bool, whether the estimator found the joint; what it did not counts 0.
        keypoints: (N, K, 2) labels, in the same pixels.
        visible: (N, K), greater than 0 where labelled.
        sigmas: (K,) COCO's spread of each joint; NaN where unknown.

    Returns:
        (N,) in [0, 1]; NaN where no such joint is labelled.
    """
    labelled = (visible > 0) & sigmas.isfinite()
    low, high = keypoint_extent(keypoints, visible)
    area = BODY_AREA * (high - low).square().sum(dim=1, keepdim=True).clamp_min(1e-6)
    squared = (estimated - keypoints).square().sum(dim=2)
    similarity = torch.exp(-squared / (8 * area * sigmas.square()))
    return similarity.where(labelled & found, 0.0).sum(dim=1) / labelled.sum(dim=1)
