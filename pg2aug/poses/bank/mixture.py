"""Rarity from a Gaussian mixture over normalised poses, joints missing or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from pg2aug.poses.alignment import mirror_poses
from pg2aug.poses.bank.rarity import COST_SAMPLE, missing_joint_cost, pose_distances
from pg2aug.poses.chunks import for_chunks
from pg2aug.poses.scale import Array, Mask

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

COMPONENTS = 20
SAMPLE_SIZE = 5000
_DONORS = 500
_ROUNDS = 5
_VARIANCE_FLOOR = 1e-3
_CHUNK = 4096
_MOST = 20.0


@dataclass(frozen=True)
class PoseMixture:
    """A Gaussian mixture over poses, and what it makes of poses in general.

    Attributes:
        mixture: Fitted, diagonal covariances, over ``2 K`` coordinates.
        known: ``(K,)`` bool, joints that the sample has; others are not judged.
        flip_indices: K indices if mirrored poses are the same, else None.
        expected: ``(K + 1,)``: the surprise to expect is linear in the labelled joints.
        spread: Median absolute deviation from it, as a standard deviation.
    """

    mixture: 'GaussianMixture'
    known: Mask
    flip_indices: Sequence[int] | None
    expected: Array
    spread: float

    def rarity(self, poses: Array, visible: Mask) -> Array:
        """Of poses ``(N, K, 2)``, visible ``(N, K)``: ``(N,)``, see :func:`gmm_rarity`."""
        visible = visible & self.known
        surprise = _surprise(self.mixture, poses, visible, self.flip_indices)
        beyond = (surprise - _features(visible, self.flip_indices) @ self.expected) / self.spread
        return np.exp(np.clip(beyond, -_MOST, _MOST) / 2)


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
    density, for the common poses may be split among many components. The mixture has diagonal
    covariances: the density of the labelled joints alone is then exact, and a missing joint is left
    out. What it is compared with is the density that those joints have on average, so that neither
    the number nor the choice of labelled joints makes a pose rare.

    Args:
        poses: ``(N, K, 2)`` in body units, 0 at unlabelled joints.
        visible: ``(N, K)`` bool.
        flip_indices: K indices.
        reference: Poses and mask to fit to; the poses themselves if None.
        components: Gaussians, at most; fewer for a small sample.
        mirror_invariant: Give a pose and its mirror the same rarity: the mean density of both.
        seed: Of the sample and of the fit.

    Returns:
        ``(N,)`` float64, positive: ``exp(z / 2)``, z the negative log density above the one to
        expect of such joints, in standard deviations. 1 everywhere if there is a single pose.

    Raises:
        ImportError: Without scikit-learn.
    """
    others, others_visible = (poses, visible) if reference is None else reference
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(others))[:SAMPLE_SIZE])
    sample = others[chosen], others_visible[chosen]
    if len(chosen) < 2:
        return np.ones(len(poses))
    patterns = visible[rng.integers(len(visible), size=len(chosen))]
    fitted = _fit(
        sample, patterns, flip_indices, components=components, mirrored=mirror_invariant, seed=seed
    )
    rarity = np.empty(len(poses))

    def measure(chunk: slice) -> None:
        rarity[chunk] = fitted.rarity(poses[chunk], visible[chunk])

    for_chunks(measure, len(poses), _CHUNK)
    return rarity


def _fit(
    sample: tuple[Array, Mask],
    patterns: Mask,
    flip_indices: Sequence[int],
    *,
    components: int,
    mirrored: bool,
    seed: int,
) -> PoseMixture:
    """Fit to a sample ``(S, K, 2)``, ``(S, K)``; ``patterns`` ``(S, K)`` are joints to expect."""
    flip = flip_indices if mirrored else None
    poses, visible = sample
    if mirrored:
        copies = mirror_poses(poses, visible, flip_indices)
        poses, visible = np.concatenate([poses, copies[0]]), np.concatenate([visible, copies[1]])
    filled = fill_missing_joints(poses, visible, seed)
    mixture = _gaussians(filled, components, seed)
    known = visible.any(axis=0)
    patterns = patterns & known
    masked = np.where(patterns[..., None], filled[: len(patterns)], 0)
    surprise = _surprise(mixture, masked, patterns, flip)
    expected, spread = _robust_fit(_features(patterns, flip), surprise)
    return PoseMixture(mixture, known, flip, expected, spread)


def _robust_fit(features: Array, values: Array) -> tuple[Array, float]:
    """Least squares without what is off by three standard deviations: coefficients and spread."""
    kept = np.ones(len(values), bool)
    for _ in range(_ROUNDS):
        coefficients = np.linalg.lstsq(features[kept], values[kept], rcond=None)[0]
        error = values - features @ coefficients
        spread = max(1.4826 * float(np.median(np.abs(error - np.median(error)))), 1e-6)
        kept = np.abs(error - np.median(error)) < 3 * spread
    return coefficients, spread


def _surprise(
    mixture: 'GaussianMixture',
    poses: Array,
    visible: Mask,
    flip_indices: Sequence[int] | None,
) -> Array:
    """Negative log density ``(N,)``, of the mean of both densities where mirrors are the same."""
    views = [(poses, visible)]
    if flip_indices is not None:
        views.append(mirror_poses(poses, visible, flip_indices))
    found = [log_density(mixture, *view) for view in views]
    return np.log(len(found)) - logsumexp(found, axis=0)


def _features(visible: Mask, flip_indices: Sequence[int] | None) -> Array:
    joints = visible.astype(np.float64)
    if flip_indices is not None:
        joints = joints + joints[:, list(flip_indices)]
    return np.hstack([joints, np.ones((len(joints), 1))])


def fill_missing_joints(poses: Array, visible: Mask, seed: int = 0) -> Array:
    """Copy every missing joint from the most alike pose that has it, and centre the whole.

    Args:
        poses: ``(N, K, 2)`` in body units, 0 at unlabelled joints.
        visible: ``(N, K)`` bool.
        seed: Of the choice of 500 poses to copy from.

    Returns:
        ``(N, K, 2)``, mean 0; a joint that none of those poses has is at the mean of the others.
    """
    donors = np.random.default_rng(seed).permutation(len(poses))[:_DONORS]
    sample = donors[:COST_SAMPLE]
    cost = missing_joint_cost(poses[sample], visible[sample])
    distances = pose_distances(poses, visible, poses[donors], visible[donors], cost)
    # Donors without a joint in common come last, but before those that lack the joint.
    distances = np.where(np.isfinite(distances), distances, np.finfo(np.float32).max)
    filled = poses.copy()
    for joint in range(poses.shape[1]):
        able, lacking = visible[donors, joint], np.nonzero(~visible[:, joint])[0]
        if able.any() and len(lacking):
            nearest = donors[able][distances[np.ix_(lacking, able)].argmin(axis=1)]
            common = (visible[lacking] & visible[nearest])[..., None]
            offset = np.where(common, poses[lacking] - poses[nearest], 0).sum(axis=1)
            offset /= np.maximum(common.sum(axis=1), 1)
            filled[lacking, joint] = poses[nearest, joint] + offset
    return filled - filled.mean(axis=1, keepdims=True)


def log_density(mixture: 'GaussianMixture', poses: Array, visible: Mask) -> Array:
    """Log density of the labelled joints of each pose, wherever it stands.

    The other joints, and the place of the body, are integrated out, the latter over the plane, so
    that no root joint has to be there.

    Args:
        mixture: Fitted, diagonal covariances, over ``2 K`` coordinates.
        poses: ``(N, K, 2)``, 0 at unlabelled joints.
        visible: ``(N, K)`` bool.

    Returns:
        ``(N,)`` float64; 0 without any labelled joint.
    """
    found = np.zeros((len(poses), len(mixture.weights_)))
    for axis in (0, 1):
        values = poses[..., axis].astype(np.float64)
        means, variances = mixture.means_[:, axis::2], mixture.covariances_[:, axis::2]
        found += _axis_log_density(values, visible.astype(np.float64), means, variances)
    found[~visible.any(axis=1)] = 0
    return logsumexp(found + np.log(mixture.weights_), axis=1)


def _axis_log_density(values: Array, mask: Array, means: Array, variances: Array) -> Array:
    """Of values and mask ``(N, K)`` under Gaussians ``(C, K)``, over all shifts: ``(N, C)``."""
    precisions = 1 / variances
    squares = values**2 @ precisions.T - 2 * values @ (precisions * means).T
    squares += mask @ (precisions * means**2 + np.log(2 * np.pi * variances)).T
    total = np.maximum(mask @ precisions.T, np.finfo(np.float64).tiny)
    offset = values @ precisions.T - mask @ (precisions * means).T
    return -0.5 * (squares - offset**2 / total + np.log(total / (2 * np.pi)))


def _gaussians(poses: Array, components: int, seed: int) -> 'GaussianMixture':
    try:  # here, for the import takes half a second, and few banks need it
        from sklearn.mixture import GaussianMixture
    except ImportError as error:
        raise ImportError(
            f"density='gmm' needs scikit-learn ({error}): pip install scikit-learn, or take "
            "density='knn'"
        ) from error
    count = max(1, min(components, len(poses) // 10))
    mixture = GaussianMixture(
        count,
        covariance_type='diag',
        reg_covar=_VARIANCE_FLOOR,
        init_params='k-means++',
        random_state=seed,
    )
    return mixture.fit(poses.reshape(len(poses), -1).astype(np.float64))
