"""Rarity from a Gaussian mixture over normalised poses, joints missing or not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from pg2aug.poses.alignment import align_poses, mean_pose, mirror_poses
from pg2aug.poses.rarity import missing_joint_cost, pose_distances
from pg2aug.poses.scale import Array, Mask

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

COMPONENTS = 20
SAMPLE_SIZE = 5000
_DONORS = 500
_VARIANCE_FLOOR = 1e-3
_CHUNK = 8192


def gmm_rarity(
    poses: Array,
    visible: Mask,
    flip_indices: Sequence[int],
    *,
    reference: tuple[Array, Mask] | None = None,
    components: int = COMPONENTS,
    mirror_invariant: bool = False,
    seed: int = 0,
) -> Array:
    """How improbable each pose is under a Gaussian mixture, as PoseTrans models poses.

    After Jiang et al., "PoseTrans", ECCV 2022; they take the share of a pose's component, we its
    density, so that a pose between the components counts as rare too. The mixture has diagonal
    covariances and is fitted to a random sample, whose missing joints are copied from the most
    alike pose that has them. Under diagonal covariances the density of the labelled joints alone is
    exact: a missing joint is left out. It is compared with what the same joints have on average,
    and per joint, so that neither the number nor the choice of labelled joints makes a pose rare.

    Args:
        poses: ``(N, K, 2)`` in body units, 0 at unlabelled joints.
        visible: ``(N, K)`` bool.
        flip_indices: K indices.
        reference: Poses and mask to fit to; the poses themselves if None.
        components: Gaussians, at most; fewer for a small sample.
        mirror_invariant: Give a pose and its mirror the same rarity: the mean density of both.
        seed: Of the sample and of the fit.

    Returns:
        ``(N,)`` float64, positive: inverse density per joint, to the power 1/2 like a length,
        relative to joints of that name in general.
    """
    others, others_visible = (poses, visible) if reference is None else reference
    chosen = np.sort(np.random.default_rng(seed).permutation(len(others))[:SAMPLE_SIZE])
    sample, sample_visible = others[chosen], others_visible[chosen]
    if mirror_invariant:
        mirrored = mirror_poses(sample, sample_visible, flip_indices)
        sample, sample_visible = (
            np.concatenate(pair) for pair in zip((sample, sample_visible), mirrored, strict=True)
        )
    template = mean_pose(sample, sample_visible, False, flip_indices)
    aligned = align_poses(sample, sample_visible, template, False)
    known = sample_visible.any(axis=0)
    filled = fill_missing_joints(aligned, sample_visible, seed)
    mixture = _fit(filled, components, seed)
    entropy = _joint_entropies(mixture, filled)
    rarity = np.empty(len(poses))
    for start in range(0, len(poses), _CHUNK):
        part = slice(start, start + _CHUNK)
        chunk = [(poses[part], visible[part] & known)]
        if mirror_invariant:
            chunk.append(mirror_poses(*chunk[0], flip_indices))
        found = [
            log_density(mixture, align_poses(pose, labelled, template, False), labelled)
            for pose, labelled in chunk
        ]
        labelled = chunk[0][1]
        surprise = -logsumexp(found, axis=0) + np.log(len(found)) - labelled @ entropy
        rarity[part] = np.exp(surprise / (2 * np.maximum(labelled.sum(axis=1), 1)))
    return rarity


def fill_missing_joints(poses: Array, visible: Mask, seed: int = 0) -> Array:
    """Copy every missing joint from the most alike pose that has it.

    Args:
        poses: ``(N, K, 2)``, aligned, 0 at unlabelled joints.
        visible: ``(N, K)`` bool.
        seed: Of the choice of 500 poses to copy from.

    Returns:
        ``(N, K, 2)``; a joint that none of them has stays 0.
    """
    donors = np.random.default_rng(seed).permutation(len(poses))[:_DONORS]
    cost = missing_joint_cost(poses[donors[:256]], visible[donors[:256]])
    distances = pose_distances(poses, visible, poses[donors], visible[donors], cost)
    # Donors without a joint in common come last, but before those that lack the joint.
    distances = np.where(np.isfinite(distances), distances, np.finfo(np.float32).max)
    filled = poses.copy()
    for joint in range(poses.shape[1]):
        having, lacking = donors[visible[donors, joint]], np.nonzero(~visible[:, joint])[0]
        if len(having) and len(lacking):
            nearest = distances[np.ix_(lacking, visible[donors, joint])].argmin(axis=1)
            filled[lacking, joint] = poses[having[nearest], joint]
    return filled


def log_density(mixture: 'GaussianMixture', poses: Array, visible: Mask) -> Array:
    """Log density of the labelled joints of each pose, the others integrated out.

    Args:
        mixture: Fitted, diagonal covariances, over ``2 K`` coordinates.
        poses: ``(N, K, 2)``, 0 at unlabelled joints.
        visible: ``(N, K)`` bool.

    Returns:
        ``(N,)`` float64; 0 without any labelled joint.
    """
    return logsumexp(
        _component_log_densities(mixture, poses, visible) + np.log(mixture.weights_), axis=1
    )


def _component_log_densities(mixture: 'GaussianMixture', poses: Array, visible: Mask) -> Array:
    mask = np.repeat(visible, 2, axis=1).astype(np.float64)
    values = poses.reshape(len(poses), -1).astype(np.float64)
    precisions, means = 1 / mixture.covariances_, mixture.means_
    constant = means**2 * precisions + np.log(2 * np.pi * mixture.covariances_)
    squares = values**2 @ precisions.T - 2 * values @ (means * precisions).T + mask @ constant.T
    return -0.5 * squares


def _joint_entropies(mixture: 'GaussianMixture', poses: Array) -> Array:
    """Mean negative log density of every joint taken alone, ``(K,)``."""
    joints = poses.shape[1]
    entropies = np.empty(joints)
    for joint in range(joints):
        alone = np.zeros(poses.shape[:2], bool)
        alone[:, joint] = True
        pose = np.where(alone[..., None], poses, 0)
        entropies[joint] = -log_density(mixture, pose, alone).mean()
    return entropies


def _fit(poses: Array, components: int, seed: int) -> 'GaussianMixture':
    # Half a second to import, and few banks need it.
    from sklearn.mixture import GaussianMixture

    count = max(1, min(components, len(poses) // 10))
    mixture = GaussianMixture(
        count,
        covariance_type='diag',
        reg_covar=_VARIANCE_FLOOR,
        init_params='k-means++',
        random_state=seed,
    )
    return mixture.fit(poses.reshape(len(poses), -1).astype(np.float64))
