"""The label check that estimates the pose anew, and compares."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pg2aug.augment.checks.label_check import Synthesis
from pg2aug.estimators.loading import load_pose_estimator
from pg2aug.estimators.prediction import estimate_poses, keypoint_extent
from pg2aug.poses.same_person import BODY_AREA
from pg2aug.poses.skeleton import Skeleton, check_same_joints
from pg2aug.registry import MODELS


def confirmed_joints(
    estimated: Tensor,
    scores: Tensor,
    keypoints: Tensor,
    visible: Tensor,
    sigmas: Tensor,
    *,
    max_distance: float,
    min_oks: float,
    min_score: float,
) -> Tensor:
    """Which labelled joints an estimate finds where their labels say.

    Distances are in units of the diagonal of the box of a person's labelled keypoints, as in PCK.
    OKS (COCO's object keypoint similarity) is taken over the labelled joints, with
    :data:`pg2aug.poses.same_person.BODY_AREA` for the person's area.

    Args:
        estimated: (N, K, 2) estimated keypoints.
        scores: (N, K) confidence of each.
        keypoints: (N, K, 2) labels, in the same pixels.
        visible: (N, K), greater than 0 where labelled.
        sigmas: (K,) COCO's spread of each joint.
        max_distance: Largest distance at which a joint is confirmed.
        min_oks: Least OKS; of a person below it, no joint is confirmed.
        min_score: Least score; what is estimated below it confirms nothing.

    Returns:
        (N, K) bool; False where unlabelled.
    """
    labelled = visible > 0
    low, high = keypoint_extent(keypoints, visible)
    diagonal = (high - low).norm(dim=1, keepdim=True).clamp_min(1e-6)
    distance = (estimated - keypoints).norm(dim=2) / diagonal
    near = labelled & (distance <= max_distance) & (scores >= min_score)
    similarity = torch.exp(-distance.square() / (8 * BODY_AREA * sigmas.square()))
    count = labelled.sum(dim=1).clamp_min(1)
    oks = similarity.where(labelled, 0.0).sum(dim=1) / count
    return near & (oks >= min_oks)[:, None]


@MODELS.register_module()
class PoseModelCheck:
    """Estimate the pose of each synthesised person, and compare it with the label.

    A joint passes that a trained pose estimator finds near its label; a person whose estimated pose
    is altogether another fails with all joints. A joint that the estimator is not sure of cannot be
    confirmed, and fails: what nobody vouches for is not trained on. The verdict is as good as the
    estimator is on rare poses: what it does not know, it refuses, and with it what is most wanted.
    See :func:`confirmed_joints` for the units.

    The network runs once for the whole batch, on the device of the persons, in 32 bits. Its codec
    decodes on the CPU, as MMPose's own do.

    Args:
        config: MMPose config of a top-down estimator of the same joints.
        checkpoint: Its weights. Nothing is ever downloaded.
        max_distance: Largest distance of a joint, as a share of the keypoints' diagonal.
        min_oks: Least OKS of a person.
        min_score: Least score of an estimated joint, in the unit of the estimator's head. MMPose
            gives 0 or less to a joint that it does not find.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If an argument is out of range, the model is no top-down estimator that predicts
            keypoints, or, at the first batch, it has other joints than what is synthesised.
    """

    def __init__(
        self,
        config: str,
        checkpoint: str,
        max_distance: float = 0.1,
        min_oks: float = 0.3,
        min_score: float = 0.0,
    ) -> None:
        if not max_distance > 0:
            raise ValueError(f'max_distance must be greater than 0, got {max_distance}')
        if not 0 <= min_oks < 1:
            raise ValueError(f'min_oks must be in [0, 1), got {min_oks}')
        self.limits = dict(max_distance=max_distance, min_oks=min_oks, min_score=min_score)
        self.config = config
        self.model, metainfo = load_pose_estimator(config, checkpoint)
        self.skeleton = Skeleton.from_metainfo(metainfo)
        self._sigmas = _sigmas(metainfo, config)
        self._agreed: Skeleton | None = None

    def __call__(self, synthesis: Synthesis) -> Tensor:
        """See :class:`pg2aug.augment.LabelCheck`."""
        if self._agreed is not synthesis.skeleton:
            check_same_joints(
                synthesis.skeleton, self.skeleton, f'PoseModelCheck(config={self.config!r})'
            )
            self._agreed = synthesis.skeleton
            self.model.to(synthesis.persons.device)
        keypoints, visible = synthesis.keypoints, synthesis.visible
        estimated, scores = estimate_poses(self.model, synthesis.persons, keypoints, visible)
        if estimated.shape != keypoints.shape:
            raise ValueError(
                f'the pose estimator predicts {estimated.shape[1]} joints, but the labels have '
                f'{keypoints.shape[1]}: use one of the same skeleton'
            )
        self._sigmas = self._sigmas.to(keypoints.device)
        return confirmed_joints(estimated, scores, keypoints, visible, self._sigmas, **self.limits)


def _sigmas(metainfo: Mapping[str, Any], config: str) -> Tensor:
    sigmas = np.asarray(metainfo.get('sigmas', ()), np.float32)
    if not sigmas.size:
        raise ValueError(
            f'the metainfo of the pose estimator {config!r} has no sigmas, which OKS needs: add '
            'them to it'
        )
    return torch.from_numpy(sigmas)
