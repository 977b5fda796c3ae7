"""From poses to the weights of a pose bank: size, plausibility, rarity."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from pg2aug.poses.alignment import align_poses, mean_pose
from pg2aug.poses.mixture import gmm_rarity
from pg2aug.poses.plausibility import plausible_poses
from pg2aug.poses.rarity import knn_rarity
from pg2aug.poses.sampling import rarity_weights
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
class NormalizedPoses:
    """Poses in body units, with a mask of those that can have been taken.

    Attributes:
        keypoints: ``(N, K, 2)`` float32, as given, 0 where unlabelled.
        usable: ``(N,)`` bool, plausible and finite.
        poses: ``(U, K, 2)`` float32, the usable ones in body units.
        visible: ``(U, K)`` bool, theirs.
    """

    keypoints: npt.NDArray[np.float32]
    usable: Mask
    poses: Array
    visible: Mask


def weigh_poses(
    keypoints: Array,
    visible: Mask,
    skeleton: Skeleton,
    options: WeighingOptions,
    reference: tuple[Array, npt.NDArray[Any]] | None = None,
) -> tuple[NormalizedPoses, npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Normalise poses, sort out errors, and weigh the others by rarity.

    Args:
        keypoints: ``(N, K, 2)``.
        visible: ``(N, K)`` bool.
        skeleton: Of K joints.
        options: See there.
        reference: Keypoints ``(M, K, 2)`` and visibility ``(M, K)`` to measure rarity against;
            the poses themselves if None.

    Returns:
        The poses; weights ``(N,)``, sum 1, 0 where not usable; rarity ``(N,)``, NaN there.

    Raises:
        ValueError: If no pose is plausible.
    """
    typical = _typical_lengths(keypoints, visible, skeleton, options.seed)
    bank = _normalize(keypoints, visible, skeleton, typical)
    others = None
    if reference is not None and reference[0] is not keypoints:
        other_visible = np.asarray(reference[1]) > 0
        normalized = _normalize(reference[0], other_visible, skeleton, typical, ' of the reference')
        others = normalized.poses, normalized.visible
    rarity = np.full(len(keypoints), np.nan, np.float32)
    rarity[bank.usable] = _rarity(bank.poses, bank.visible, others, skeleton, options)
    weights = np.zeros(len(keypoints))
    usable = rarity[bank.usable].astype(np.float64)
    weights[bank.usable] = rarity_weights(usable, options.alpha, len(keypoints) / 10)
    return bank, weights, rarity


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


def _typical_lengths(keypoints: Array, visible: Mask, skeleton: Skeleton, seed: int) -> Array:
    finite = np.isfinite(keypoints).all(axis=-1)
    sample = np.random.default_rng(seed).permutation(len(keypoints))[:_SAMPLE]
    lengths = limb_lengths(keypoints[sample], visible[sample] & finite[sample], skeleton.limbs)
    return typical_limb_lengths(lengths)


def _normalize(
    keypoints: Array, visible: Mask, skeleton: Skeleton, typical: Array, whose: str = ''
) -> NormalizedPoses:
    finite = np.isfinite(keypoints).all(axis=-1) | ~visible
    clean = np.where((visible & finite)[..., None], keypoints, 0).astype(np.float32)
    scales = body_scales(limb_lengths(clean, visible, skeleton.limbs), typical)
    usable = plausible_poses(clean, visible, scales, skeleton) & finite.all(axis=1)
    if not usable.any():
        raise ValueError(f'none of {len(clean)} poses{whose} is plausible: check the annotation')
    poses = normalize_poses(clean[usable], visible[usable], scales[usable])
    return NormalizedPoses(clean, usable, poses.astype(np.float32), visible[usable])
