"""Poses on a plane: where they are alike, they are near each other."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pg2aug.poses.alignment import align_poses, mean_pose
from pg2aug.poses.bank.coverage import PosesAndMask, in_body_units
from pg2aug.poses.bank.mixture import fill_missing_joints
from pg2aug.poses.bank.pose_bank import PoseBank

_MAP_POINTS = 3000


class PoseMap(NamedTuple):
    """Poses on the plane of their two principal components.

    Attributes:
        position: ``(M, 2)`` of some drawable poses of the bank, in body units.
        indices: ``(M,)`` which poses of the bank these are.
        poses: ``(M, K, 2)`` in body units, around 0; 0 where unlabelled.
        others: ``(R, 2)`` of some poses of the data set; R is 0 without one.
    """

    position: NDArray[np.float64]
    indices: NDArray[np.int64]
    poses: NDArray[np.floating[Any]]
    others: NDArray[np.float64]


def pose_map(bank: PoseBank, reference: PosesAndMask | None, seed: int = 0) -> PoseMap:
    """Principal components of the bank's and the data set's poses, 3,000 of each at most.

    Poses are brought to body units and moved onto their mean; a missing joint is taken from the
    most alike pose that has it, so that a half body lies where the whole one would.
    """
    rng = np.random.default_rng(seed)
    drawable = np.nonzero(bank.weights > 0)[0]
    own = bank.keypoints[drawable], bank.visible[drawable]
    (poses, visible), data = in_body_units(bank, own if reference is None else reference)
    kept = rng.permutation(len(poses))[:_MAP_POINTS]
    more = rng.permutation(len(data[0]))[: _MAP_POINTS if reference is not None else 0]
    joined = np.concatenate([poses[kept], data[0][more]]).astype(np.float32)
    mask = np.concatenate([visible[kept], data[1][more]])
    turn = bool(bank.options.get('rotation_invariant', False))
    template = mean_pose(joined, mask, turn, bank.skeleton.flip_indices)
    aligned = align_poses(joined, mask, template, turn)
    filled = fill_missing_joints(aligned, mask, seed).reshape(len(joined), -1)
    centred = filled - filled.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    # The strongest first; divided by the joints' number, a distance is one of whole poses.
    flat = centred @ vectors[:, :-3:-1] / np.sqrt(bank.skeleton.num_keypoints)
    return PoseMap(flat[: len(kept)], drawable[kept], poses[kept], flat[len(kept) :])
