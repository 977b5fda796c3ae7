"""Mirroring poses, and moving them onto a common template over the joints that they have."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pg2aug.poses.scale import Array, Mask

_ROUNDS = 5


def mirror_poses(poses: Array, visible: Mask, flip_indices: Sequence[int]) -> tuple[Array, Mask]:
    """The poses as a mirror shows them, left and right joints swapped.

    Args:
        poses: ``(N, K, 2)``, centred, so that x changes its sign.
        visible: ``(N, K)`` bool.
        flip_indices: K indices, see :class:`pg2aug.poses.Skeleton`.

    Returns:
        ``(N, K, 2)`` of the dtype of ``poses``, and ``(N, K)`` bool.
    """
    flip = list(flip_indices)
    return poses[:, flip] * np.array([-1, 1], poses.dtype), visible[:, flip]


def align_poses(poses: Array, visible: Mask, template: Array, rotate: bool) -> Array:
    """Shift every pose, and turn it if asked, onto a template.

    The fit is that of least squares over the labelled joints (Procrustes, without scale), so that
    which joints are missing does not move the others.

    Args:
        poses: ``(N, K, 2)``.
        visible: ``(N, K)`` bool.
        template: ``(K, 2)``, all joints.
        rotate: Turn too; a pose with less than two joints stays as it is.

    Returns:
        ``(N, K, 2)`` float32, 0 at unlabelled joints.
    """
    joints, target = _complex(poses), _complex(template[None])[0]
    count = np.maximum(visible.sum(axis=1, keepdims=True), 1).astype(np.float32)
    joints = joints - np.where(visible, joints, 0).sum(axis=1, keepdims=True) / count
    middle = np.where(visible, target, 0).sum(axis=1, keepdims=True) / count
    if rotate:
        product = np.where(visible, joints.conj() * (target - middle), 0)
        joints *= np.exp(1j * np.angle(product.sum(axis=1, keepdims=True)))
    moved = np.where(visible, joints + middle, 0).astype(np.complex64)
    return moved.view(np.float32).reshape(poses.shape)


def mean_pose(poses: Array, visible: Mask, rotate: bool, flip_indices: Sequence[int]) -> Array:
    """The template of :func:`align_poses`: the mean of the aligned poses and of their mirrors.

    Args:
        poses: ``(N, K, 2)``, centred.
        visible: ``(N, K)`` bool.
        rotate: As the poses are going to be aligned.
        flip_indices: K indices. The template is its own mirror, so that aligning a mirrored pose
            gives the mirror of the aligned pose.

    Returns:
        ``(K, 2)`` float32; 0 for a joint that is never labelled.
    """
    mirrored, mirrored_visible = mirror_poses(poses, visible, flip_indices)
    both, labelled = np.concatenate([poses, mirrored]), np.concatenate([visible, mirrored_visible])
    count = np.maximum(labelled.sum(axis=0), 1)[:, None]
    template = np.where(labelled[..., None], both, 0).sum(axis=0) / count
    for turn in range(_ROUNDS):
        # Turned only once there is a first mean to turn onto.
        template = align_poses(both, labelled, template, rotate and turn > 0).sum(axis=0) / count
    return template.astype(np.float32)


def _complex(poses: Array) -> npt.NDArray[np.complexfloating[Any, Any]]:
    return np.ascontiguousarray(poses, np.float32).view(np.complex64)[..., 0]
