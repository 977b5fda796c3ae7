"""Pose fidelity: whether a pose estimator finds the synthesised person in the target pose."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pg2aug.estimators.loading import load_pose_estimator
from pg2aug.estimators.prediction import estimate_poses
from pg2aug.evaluation.pairs import EvaluatedPairs
from pg2aug.evaluation.pose_scores import HEAD_SHARE, head_boxes, oks, pckh_counts
from pg2aug.evaluation.scores import Columns, Score, library_versions
from pg2aug.poses.read.conversion import joint_mapping
from pg2aug.poses.read.metainfo import mmpose_metainfo
from pg2aug.poses.skeleton import JointKey, Skeleton, joint_key
from pg2aug.utils.files import file_sha256

_PCKH, _OKS = f'PCKh@{HEAD_SHARE} of Pose-Transfer', "mean OKS of COCO's joints"
_IMAGES = {'': 'synthesised', '-target': 'real target'}


class PoseFidelityMeasure:
    """PCKh and OKS of re-estimated poses, on synthesised images and on the real targets.

    The real targets show what the estimator itself gets wrong. Persons are framed by their target
    poses. Joints of the estimator and of the data set are matched by name; others do not count.

    Args:
        config: MMPose config of a top-down estimator; None for none.
        checkpoint: Its weights. Nothing is ever downloaded.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If only one of the two is given, or they are no such estimator.
    """

    def __init__(self, config: str | None, checkpoint: str | None) -> None:
        if (config is None) != (checkpoint is None):
            raise ValueError(
                'pose_model and pose_checkpoint go together, got '
                f'pose_model={config!r} and pose_checkpoint={checkpoint!r}'
            )
        self.versions = library_versions('torch')
        self.model: nn.Module | None = None
        self.weights: dict[str, Any] | None = None
        if config is not None and checkpoint is not None:
            self.versions |= library_versions('mmpose')
            self.model, metainfo = load_pose_estimator(config, checkpoint)
            self.config, self.joints = config, Skeleton.from_metainfo(metainfo).keypoint_names
            self.weights = dict(file=Path(checkpoint).name, sha256=file_sha256(checkpoint))

    def set_dataset(self, metainfo: Mapping[str, Any]) -> None:
        """Match the estimator's joints with those of a data set.

        Args:
            metainfo: Parsed metainfo of the data set.

        Raises:
            ValueError: If no joint has the same name.
        """
        if self.model is None:
            return
        self.skeleton = Skeleton.from_metainfo(metainfo)
        names = self.skeleton.keypoint_names
        mapping = joint_mapping(self.joints, names)
        if not mapping:
            raise ValueError(
                f'the pose model {self.config!r} has no joint of the data set: it has '
                f'{", ".join(self.joints)}; the data set has {", ".join(names)}'
            )
        self.theirs = [int(np.asarray(source)) for source, _ in mapping]
        self.ours = [target for _, target in mapping]
        known = coco_sigmas()
        sigmas = [known.get(joint_key(names[joint]), np.nan) for joint in self.ours]
        self.sigmas = torch.tensor(sigmas, dtype=torch.float32)

    def measure(self, pairs: EvaluatedPairs) -> Columns:
        """See :class:`pg2aug.evaluation.scores.Measure`."""
        if self.model is None:
            return {}
        self.model.to(pairs.synthesised.device)
        columns = {}
        for suffix, images in zip(_IMAGES, (pairs.synthesised, pairs.target), strict=True):
            for name, value in self._compare(self.model, images, pairs).items():
                columns[f'{name}{suffix}'] = value.cpu().numpy()
        return columns

    def _compare(
        self, model: nn.Module, images: Tensor, pairs: EvaluatedPairs
    ) -> dict[str, Tensor]:
        keypoints, visible = pairs.keypoints, pairs.visible
        bgr = images.flip(1).float()
        estimated, confidence = estimate_poses(model, bgr, keypoints, visible)
        # MMPose gives 0 or less to a joint that it does not find.
        pose = estimated[:, self.theirs], confidence[:, self.theirs] > 0
        labels = keypoints[:, self.ours], visible[:, self.ours]
        boxes = head_boxes(keypoints, visible, self.skeleton)
        right, counted = pckh_counts(*pose, *labels, boxes)
        similarity = oks(*pose, *labels, self.sigmas.to(keypoints.device))
        return dict(pckh_right=right, pckh_counted=counted, oks=similarity)

    def scores(self, columns: Columns) -> list[Score]:
        """See :class:`pg2aug.evaluation.scores.Measure`."""
        if self.model is None:
            return [
                Score('PCKh', None, _PCKH, 'of a pose estimator', {}, note='no pose model'),
                Score('OKS', None, _OKS, 'of a pose estimator', {}, note='no pose model'),
            ]
        how = f'{self.config}, {len(self.ours)} joints matched by name, framed by the target pose'
        scores = []
        for suffix, images in _IMAGES.items():
            settings = f'{how}; {images} images'
            scores.append(self._pckh(columns, suffix, settings))
            scores.append(self._oks(columns, suffix, settings))
        return scores

    def _pckh(self, columns: Columns, suffix: str, settings: str) -> Score:
        right, counted = columns[f'pckh_right{suffix}'], columns[f'pckh_counted{suffix}']
        without = int((counted == 0).sum())
        note = f'{without} pairs without a head of known size are left out' if without else ''
        value = float(right.sum() / counted.sum()) if counted.sum() else None
        return self._score(f'PCKh{suffix}', value, _PCKH, settings, note)

    def _oks(self, columns: Columns, suffix: str, settings: str) -> Score:
        similarity = columns[f'oks{suffix}']
        known = similarity[np.isfinite(similarity)]
        without = len(similarity) - len(known)
        note = f'{without} pairs without a labelled joint of COCO are left out' if without else ''
        value = float(known.mean(dtype='float64')) if len(known) else None
        return self._score(f'OKS{suffix}', value, _OKS, settings, note)

    def _score(
        self, name: str, value: float | None, protocol: str, settings: str, note: str
    ) -> Score:
        return Score(name, value, protocol, settings, self.versions, self.weights, note=note)


def coco_sigmas() -> dict[JointKey, float]:
    """COCO's spread of each of its 17 joints, by name.

    Not those of the data set: MMPose's ``coco_openpose.py`` lists them in COCO's order, which is
    not the order of its joints.
    """
    metainfo = mmpose_metainfo('coco.py')
    names = metainfo['keypoint_id2name']
    return {joint_key(names[k]): float(sigma) for k, sigma in enumerate(metainfo['sigmas'])}
