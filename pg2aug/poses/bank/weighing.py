"""From poses to the weights of a pose bank: size, plausibility, rarity."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from pg2aug.poses.alignment import align_poses, mean_pose
from pg2aug.poses.bank.isolation import isolation_trust
from pg2aug.poses.bank.mixture import gmm_rarity
from pg2aug.poses.bank.rarity import knn_rarity
from pg2aug.poses.bank.sampling import rarity_weights
from pg2aug.poses.chunks import for_chunks
from pg2aug.poses.plausibility import joint_reach, limb_trust, usual_lengths, within_reach
from pg2aug.poses.scale import (
    Array,
    Mask,
    body_scales,
    limb_lengths,
    normalize_poses,
    typical_limb_lengths,
)
from pg2aug.poses.skeleton import Skeleton

Density = Literal['knn', 'gmm']
_SAMPLE = 5000
_CHUNK = 2048
_DOUBTFUL = 0.5


@dataclass(frozen=True)
class WeighingOptions:
    """How rarity is measured and turned into weights; see :meth:`PoseBank.from_poses`."""

    alpha: float = 2.0
    neighbours: int | None = None
    density: Density = 'knn'
    rotation_invariant: bool = False
    mirror_invariant: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.neighbours is not None and self.neighbours < 1:
            raise ValueError(f'neighbours must be at least 1, got {self.neighbours}')
        if self.density not in get_args(Density):
            raise ValueError(f"density must be 'knn' or 'gmm', got {self.density!r}")
        if self.density == 'gmm' and self.neighbours is not None:
            raise ValueError("neighbours is of density='knn': leave it out with density='gmm'")


@dataclass(frozen=True)
class BodyLengths:
    """What bodies of a data set measure, from a random sample of it.

    Attributes:
        typical: ``(M,)``, see :func:`pg2aug.poses.scale.typical_limb_lengths`.
        usual: ``(M,)``, see :func:`pg2aug.poses.plausibility.usual_lengths`.
        reach: ``(K, K)``, see :func:`pg2aug.poses.plausibility.joint_reach`.
    """

    typical: Array
    usual: Array
    reach: Array


@dataclass(frozen=True)
class NormalizedPoses:
    """Poses in body units, with what is known against them.

    Attributes:
        keypoints: ``(N, K, 2)`` float32, as given, 0 where unlabelled.
        usable: ``(N,)`` bool, finite and plausible.
        trust: ``(N,)`` in [0, 1], see :func:`pg2aug.poses.plausibility.limb_trust`; 0 where not
            usable.
        poses: ``(U, K, 2)`` float32, the usable ones in body units.
        visible: ``(U, K)`` bool, theirs.
    """

    keypoints: npt.NDArray[np.float32]
    usable: Mask
    trust: Array
    poses: Array
    visible: Mask


@dataclass(frozen=True)
class WeighedPoses:
    """Poses with their rarity and the weights to draw them by.

    Attributes:
        keypoints: ``(N, K, 2)`` float32, as given, 0 where unlabelled.
        weights: ``(N,)`` float64, sum 1, 0 for implausible poses.
        rarity: ``(N,)`` float32, NaN for implausible poses.
        counts: Numbers of ``implausible`` and of ``doubtful`` poses, trusted less than half.
    """

    keypoints: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float64]
    rarity: npt.NDArray[np.float32]
    counts: dict[str, int]


def weigh_poses(
    keypoints: Array,
    visible: Mask,
    skeleton: Skeleton,
    options: WeighingOptions,
    reference: tuple[Array, npt.NDArray[Any]] | None = None,
) -> WeighedPoses:
    """Normalise poses, sort out errors, and weigh the others by rarity.

    Args:
        keypoints: ``(N, K, 2)``.
        visible: ``(N, K)`` bool.
        skeleton: Of K joints.
        options: See there.
        reference: Keypoints ``(M, K, 2)`` and visibility ``(M, K)`` to measure rarity against;
            the poses themselves if None.

    Raises:
        ValueError: If no pose is plausible.
    """
    lengths = measure_bodies(keypoints, visible, skeleton, options.seed)
    bank = normalize(keypoints, visible, skeleton, lengths)
    others = None
    if reference is not None and reference[0] is not keypoints:
        other_visible = np.asarray(reference[1]) > 0
        normalized = normalize(reference[0], other_visible, skeleton, lengths, ' of the reference')
        others = normalized.poses, normalized.visible
    found = _rarity(bank.poses, bank.visible, others, skeleton, options)
    trust = bank.trust[bank.usable]
    flip = skeleton.flip_indices
    trust = trust * isolation_trust(bank.poses, bank.visible, found, flip, seed=options.seed)
    rarity, weights = np.full(len(keypoints), np.nan, np.float32), np.zeros(len(keypoints))
    rarity[bank.usable] = found
    # Uniform draws do not prefer errors.
    weights[bank.usable] = rarity_weights(
        found, options.alpha, len(keypoints) / 10, trust if options.alpha else None
    )
    counts = {
        'implausible': int((~bank.usable).sum()),
        'doubtful': int((trust < _DOUBTFUL).sum()),
    }
    return WeighedPoses(bank.keypoints, weights, rarity, counts)


def _rarity(
    poses: Array,
    visible: Mask,
    reference: tuple[Array, Mask] | None,
    skeleton: Skeleton,
    options: WeighingOptions,
) -> Array:
    flip = skeleton.flip_indices
    if options.rotation_invariant:
        # One template for both, and from the reference: what is compared must be turned alike.
        sample, sample_visible = (poses, visible) if reference is None else reference
        chosen = np.random.default_rng(options.seed).permutation(len(sample))[:_SAMPLE]
        template = mean_pose(sample[chosen], sample_visible[chosen], True, flip)
        poses = align_poses(poses, visible, template, True)
        if reference is not None:
            reference = align_poses(*reference, template, True), reference[1]
    if options.density == 'gmm':
        return gmm_rarity(
            poses,
            visible,
            flip,
            reference=reference,
            mirror_invariant=options.mirror_invariant,
            seed=options.seed,
        )
    return knn_rarity(
        poses,
        visible,
        reference=reference,
        flip_indices=flip if options.mirror_invariant else None,
        neighbours=options.neighbours,
        seed=options.seed,
    )


def measure_bodies(
    keypoints: Array, visible: Mask, skeleton: Skeleton, seed: int = 0
) -> BodyLengths:
    """Measure the limbs of at most 5000 random poses ``(N, K, 2)``, visible ``(N, K)`` bool."""
    sample = np.sort(np.random.default_rng(seed).permutation(len(keypoints))[:_SAMPLE])
    labelled = visible[sample] & np.isfinite(keypoints[sample]).all(axis=-1)
    lengths = limb_lengths(keypoints[sample], labelled, skeleton.limbs)
    typical = typical_limb_lengths(lengths)
    scales = body_scales(lengths, typical)
    usual = usual_lengths(lengths / np.where(scales > 0, scales, np.nan)[:, None])
    return BodyLengths(typical, usual, joint_reach(usual, skeleton))


def normalize(
    keypoints: Array, visible: Mask, skeleton: Skeleton, lengths: BodyLengths, whose: str = ''
) -> NormalizedPoses:
    """Express poses in body units and judge them by the lengths of their limbs.

    Args:
        keypoints: ``(N, K, 2)``.
        visible: ``(N, K)`` bool.
        skeleton: Of K joints.
        lengths: Of the data set.
        whose: For the error.

    Raises:
        ValueError: If no pose is plausible.
    """
    count = len(keypoints)
    clean = np.empty(keypoints.shape, np.float32)
    poses, trust = np.empty_like(clean), np.empty(count)
    usable = np.empty(count, bool)

    def work(chunk: slice) -> None:
        labelled = visible[chunk]
        finite = np.isfinite(keypoints[chunk]).all(axis=-1)
        clean[chunk] = np.where((labelled & finite)[..., None], keypoints[chunk], 0)
        limbs = limb_lengths(clean[chunk], labelled, skeleton.limbs)
        scales = body_scales(limbs, lengths.typical)
        usable[chunk] = within_reach(clean[chunk], labelled, scales, lengths.reach)
        usable[chunk] &= (finite | ~labelled).all(axis=1)
        scales = np.where(usable[chunk], scales, 1)
        trust[chunk] = limb_trust(limbs / scales[:, None], lengths.usual, skeleton)
        usable[chunk] &= trust[chunk] > 0
        poses[chunk] = normalize_poses(clean[chunk], labelled, scales)

    for_chunks(work, count, _CHUNK)
    if not usable.any():
        raise ValueError(f'none of {count} poses{whose} is plausible: check the annotation')
    trust[~usable] = 0
    return NormalizedPoses(clean, usable, trust, poses[usable], visible[usable])
