"""Drawing the poses more often that the estimator in training gets wrong.

Poses are grouped into clusters of alike ones, for a bank is so large that each pose is seen rarely.
The weight of a pose is its own, by rarity, times its cluster's factor.
"""

import numpy as np
import torch
from mmengine.dist import all_reduce
from numpy.typing import NDArray
from torch import Tensor

from pg2aug.augment.bank_weights import ReweightedBank
from pg2aug.poses import PoseBank
from pg2aug.poses.alignment import align_poses, mean_pose
from pg2aug.poses.sampling import effective_sample_size
from pg2aug.poses.scale import body_scales, limb_lengths, normalize_poses, typical_limb_lengths

MEMORY = 0.99
"""Share of what was seen that still counts at the next update."""

PRIOR = 10.0
"""Persons of the mean error that are added to each cluster."""

MIN_EFFECTIVE = 0.1
"""Least effective sample size of the draws, as a share of the bank."""

_FIT_SAMPLE = 20_000


def cluster_poses(bank: PoseBank, clusters: int, seed: int = 0) -> NDArray[np.int64]:
    """Group the poses that can be drawn by k-means over their normalised joints.

    Args:
        bank: N poses. A joint that a pose lacks is taken to be where it is on average.
        clusters: Number of groups, at most; fewer for a small bank.
        seed: Of the clustering.

    Returns:
        (N,) cluster of each pose; 0 for poses that are never drawn.
    """
    from sklearn.cluster import MiniBatchKMeans

    drawable = np.flatnonzero(bank.weights > 0)
    keypoints, visible = bank.keypoints[drawable], bank.visible[drawable]
    lengths = limb_lengths(keypoints, visible, bank.skeleton.limbs)
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(len(drawable))[:_FIT_SAMPLE])
    scales = body_scales(lengths, typical_limb_lengths(lengths[sample]))
    poses = normalize_poses(keypoints, visible, scales)
    template = mean_pose(poses[sample], visible[sample], False, bank.skeleton.flip_indices)
    aligned = align_poses(poses, visible, template, False)
    features = np.where(visible[..., None], aligned, template).reshape(len(drawable), -1)
    features = features.astype(np.float32)
    count = min(clusters, len(drawable))
    kmeans = MiniBatchKMeans(count, random_state=seed, n_init=3).fit(features[sample])
    found = np.zeros(len(bank), np.int64)
    found[drawable] = kmeans.predict(features)
    return found


def error_factors(
    error: NDArray[np.float64], persons: NDArray[np.float64], bound: float, prior: float
) -> NDArray[np.float64]:
    """Factors on the weights of clusters: their mean error over that of all persons.

    Args:
        error: (C,) summed error of the persons seen of each cluster.
        persons: (C,) how many those are.
        bound: The factors stay in [1 / bound, bound].
        prior: Persons of the mean error that are added to each cluster, so that few persons do not
            move it much (empirical Bayes).

    Returns:
        (C,) factors; 1 where nothing was seen.
    """
    total = persons.sum()
    mean = error.sum() / total if total > 0 else 0.0
    if mean == 0:
        return np.ones_like(error)
    relative = (error / mean + prior) / (persons + prior)
    return np.clip(relative, 1 / bound, bound)


class Reweighting:
    """Draw poses more often that the estimator in training gets wrong.

    Args:
        interval: Iterations between two updates. In the iteration of each, the estimator is run
            once more, on what was synthesised.
        bound: No pose is drawn more than ``bound`` times as often as without, relative to others
            of the mean error, or less than a ``bound``-th.
        clusters: Groups of alike poses that share their errors.
        seed: Of the grouping.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, interval: int = 10, bound: float = 4.0, clusters: int = 50, seed: int = 0
    ) -> None:
        if interval < 1 or clusters < 2:
            raise ValueError(
                'reweight: interval must be at least 1 and clusters at least 2, got '
                f'{interval} and {clusters}'
            )
        if not bound > 1:
            raise ValueError(f'reweight: bound must be greater than 1, got {bound}')
        self.interval = interval
        self.bound = bound
        self.clusters = clusters
        self.seed = seed
        self.bank: ReweightedBank | None = None
        self._seen = np.zeros((0, 2))
        self._new = torch.zeros(0, 2)

    def start(self, bank: PoseBank, device: str | torch.device) -> ReweightedBank:
        """Group the poses of a bank.

        Args:
            bank: To be reweighted.
            device: Where errors will be summed.

        Returns:
            What to draw from instead.
        """
        groups = cluster_poses(bank, self.clusters, self.seed)
        self.bank = ReweightedBank.of(bank, groups)
        self._seen = np.zeros((int(groups.max()) + 1, 2))
        self._groups = torch.from_numpy(groups).to(device)
        self._new = torch.zeros(self._seen.shape, device=device)
        return self.bank

    def add(self, pose_indices: Tensor, errors: Tensor, counted: Tensor) -> None:
        """Note the errors of (N,) persons, of those that count; poses by index into the bank."""
        device = self._new.device
        counted = counted.to(device) & (pose_indices.to(device) >= 0)
        rows = torch.stack([errors.to(device) * counted, counted.to(errors.dtype)], dim=1)
        self._new.index_add_(0, self._groups[pose_indices.to(device)], rows.to(self._new.dtype))

    def update(self) -> dict[str, float]:
        """Let all workers draw by the errors of all processes so far.

        Returns:
            For the log: ``estimator_error`` (the mean), ``largest_factor`` and ``effective_poses``
            (of how many equally weighted ones the draws are worth). Empty before anything is seen.
        """
        all_reduce(self._new)
        self._seen = MEMORY * self._seen + self._new.double().cpu().numpy()
        self._new.zero_()
        error, persons = self._seen.T
        if self.bank is None or not persons.any():
            return {}
        factors = error_factors(error, persons, self.bound, PRIOR)
        factors = self.bank.set_factors(factors, MIN_EFFECTIVE * len(self.bank))
        weights = self.bank.weights * factors[self.bank.clusters]
        return dict(
            estimator_error=float(error.sum() / persons.sum()),
            largest_factor=float(factors.max()),
            effective_poses=effective_sample_size(weights),
        )
