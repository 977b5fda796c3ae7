"""The bank that target poses are drawn from, rare ones more often."""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine import fileio

from pg2aug.poses.bank.sampling import alias_table, effective_sample_size
from pg2aug.poses.bank.weighing import Density, WeighingOptions, weigh_poses
from pg2aug.poses.read.coco import flagged_hidden, read_coco_poses
from pg2aug.poses.skeleton import Skeleton
from pg2aug.utils.files import is_local, naming, replacing

_ARRAYS = ('keypoints', 'visible', 'hidden', 'weights', 'rarity')
_UNREADABLE = (
    *(KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error),
    *(MemoryError, NotImplementedError, RecursionError, RuntimeError, OverflowError),
)


@dataclass(frozen=True, eq=False)
class PoseBank:
    """N annotated poses and the weights with which they are drawn.

    Attributes:
        keypoints: ``(N, K, 2)`` float32, pixels of each pose's own image; 0 where unlabelled.
        visible: ``(N, K)`` bool, True where labelled.
        hidden: ``(N, K)`` bool, True where something is known to be in front of the joint.
        weights: ``(N,)`` float64, sum 1; 0 for implausible poses, which are never drawn.
        rarity: ``(N,)`` float32, larger is rarer, k-NN: distance in body units; NaN if implausible.
        skeleton: The K joints.
        counts: What was read and left out, and why.
        options: The arguments of :meth:`from_poses` that the weights were made with; `reference` is
            the number of poses of the other data set, None without one. Empty in older banks.
    """

    keypoints: npt.NDArray[np.float32]
    visible: npt.NDArray[np.bool_]
    hidden: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64]
    rarity: npt.NDArray[np.float32]
    skeleton: Skeleton
    counts: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_poses(
        cls,
        keypoints: npt.NDArray[np.floating[Any]],
        visible: npt.NDArray[Any],
        skeleton: Skeleton,
        *,
        reference: tuple[npt.NDArray[np.floating[Any]], npt.NDArray[Any]] | None = None,
        alpha: float = 2.0,
        neighbours: int | None = None,
        density: Density = 'knn',
        rotation_invariant: bool = False,
        mirror_invariant: bool = True,
        seed: int = 0,
        counts: Mapping[str, int] | None = None,
    ) -> 'PoseBank':
        """Weigh poses by their rarity, among each other or in a data set.

        Implausible poses, by :func:`pg2aug.poses.plausibility.within_reach` or by limbs that
        :func:`pg2aug.poses.plausibility.limb_trust` does not trust at all, get weight 0 and are
        counted; weights of others are multiplied by that trust and by
        :func:`pg2aug.poses.bank.isolation.isolation_trust`. Their effective sample size is at least
        N / 10.

        Args:
            keypoints: ``(N, K, 2)``, N at least 1.
            visible: ``(N, K)``, greater than 0 where labelled; COCO's flags, if known.
            skeleton: Of K joints.
            reference: Keypoints ``(M, K, 2)`` and visibility ``(M, K)`` of the data set that is
                going to be augmented: what is rare there is drawn more often. The bank itself if
                None, or if its keypoints are the very array ``keypoints``; no pose is then
                compared with itself.
            alpha: Weights are ``rarity ** alpha``; 0 draws uniformly.
            neighbours: k of the k-NN distance; a twentieth of the reference set if None.
            density: ``'knn'`` (:func:`pg2aug.poses.bank.rarity.knn_rarity`) or ``'gmm'``
                (:func:`pg2aug.poses.bank.mixture.gmm_rarity`, after PoseTrans).
            rotation_invariant: Turn poses upright before they are compared: for training with
                rotations up to 180 degrees. Otherwise a handstand differs from standing.
            mirror_invariant: Take a pose for as rare as its mirror, for nearly every training
                flips images.
            seed: Of the random reference set.
            counts: Carried over.

        Raises:
            ValueError: If shapes disagree, a parameter is out of range, or no pose is plausible.
        """
        options = WeighingOptions(
            alpha, neighbours, density, rotation_invariant, mirror_invariant, seed
        )
        flags = np.asarray(visible)
        visible = flags > 0
        _check_poses(keypoints, visible, skeleton)
        if reference is not None:
            _check_poses(reference[0], np.asarray(reference[1]) > 0, skeleton, 'reference ')
        found = weigh_poses(keypoints, visible, skeleton, options, reference)
        counts = {**(counts or {}), **found.counts}
        size = None if reference is None else len(reference[0])
        kept = {**asdict(options), 'reference': size}
        return cls(
            *(found.keypoints, visible, flagged_hidden(flags), found.weights, found.rarity),
            *(skeleton, counts, kept),
        )

    @classmethod
    def from_annotations(
        cls,
        paths: Sequence[str | Path],
        *,
        min_visible: int | None = None,
        skeleton: Skeleton | None = None,
        category: str | None = None,
        **options: Any,
    ) -> 'PoseBank':
        """Build a bank from COCO keypoint files.

        See :func:`pg2aug.poses.read.coco.read_coco_poses` for the first four parameters and for
        what is left out, :meth:`from_poses` for the keyword arguments and for the errors.
        """
        with naming(*paths):
            keypoints, flags, skeleton, counts = read_coco_poses(
                paths, min_visible=min_visible, skeleton=skeleton, category=category
            )
        return cls.from_poses(keypoints, flags, skeleton, counts=counts, **options)

    @classmethod
    def load(cls, path: str | Path) -> 'PoseBank':
        """Load a bank written by :meth:`save`, or build one from a COCO keypoint json.

        Raises:
            ValueError: If the suffix is neither ``.npz`` nor ``.json``, or the contents are not
                those of a bank or of a COCO keypoint file.
        """
        suffix = Path(path).suffix
        if suffix == '.json':
            return cls.from_annotations([path])
        if suffix != '.npz':
            raise ValueError(
                f'pose bank {str(path)!r} must be a .npz written by pg2aug bank or a '
                'COCO keypoint .json'
            )
        try:
            with np.load(io.BytesIO(fileio.get(path)), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in _ARRAYS}
                meta = json.loads(str(archive['meta']))
        except _UNREADABLE as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(
                f'{path} is no pose bank ({error}): build one with pg2aug bank'
            ) from error
        try:
            fields = {name: _tuples(value) for name, value in meta['skeleton'].items()}
            skeleton, counts = Skeleton(**fields), dict(meta['counts'])
            options = dict(meta.get('options', {}))
            checked = _checked_arrays(arrays, skeleton)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'{path} is no pose bank that can be used: {type(error).__name__}: {error}; build '
                'it anew with pg2aug bank'
            ) from error
        return cls(**checked, skeleton=skeleton, counts=counts, options=options)

    def save(self, path: str | Path) -> None:
        """Write the bank as ``.npz``, without pickle; the same bank gives the same bytes.

        Raises:
            ValueError: If the suffix is not ``.npz``, under which it could not be loaded again.
            OSError: If it cannot be written. A bank that was there stays, on this machine.
        """
        if Path(path).suffix != '.npz':
            raise ValueError(f'a pose bank is saved as .npz, got {str(path)!r}')
        meta = json.dumps(
            {
                'skeleton': asdict(self.skeleton),
                'counts': dict(self.counts),
                'options': dict(self.options),
            }
        )
        buffer = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez_compressed(buffer, meta=np.array(meta), **arrays)
        if not is_local(path):
            fileio.put(buffer.getvalue(), path)
            return
        target = Path(os.path.realpath(path))  # what a link leads to, so that it stays one
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as file:
            file.write(buffer.getvalue())

    def __len__(self) -> int:
        """Number of poses N, implausible ones included."""
        return len(self.keypoints)

    @cached_property
    def _alias_table(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        return alias_table(self.weights)

    def draw(self, uniform: float) -> int:
        """Index of a pose, drawn by weight in constant time.

        Args:
            uniform: In [0, 1), drawn by the caller, who so owns the randomness.

        Raises:
            ValueError: If ``uniform`` is outside [0, 1).
        """
        if not 0 <= uniform < 1:
            raise ValueError(f'uniform must be in [0, 1), got {uniform}')
        keep, alias = self._alias_table
        column = min(int(uniform * len(keep)), len(keep) - 1)
        return column if uniform * len(keep) - column < keep[column] else int(alias[column])

    def restrict(self, allowed: npt.NDArray[np.bool_]) -> 'PoseBank':
        """The same bank, so that indices stay valid, drawing allowed poses alone.

        Args:
            allowed: ``(N,)`` bool.

        Raises:
            ValueError: If no allowed pose has a weight.
        """
        weights = np.where(allowed, self.weights, 0)
        if not weights.any():
            raise ValueError(f'none of the {len(self)} poses of the bank may be drawn')
        return replace(self, weights=weights / weights.sum())

    def flags(self, index: int) -> npt.NDArray[np.uint8]:
        """COCO's flags of a pose, (K,): 0 unlabelled, 1 hidden, 2 seen, for all that is known."""
        flags: npt.NDArray[np.uint8] = self.visible[index] * (2 - self.hidden[index])
        return flags.astype(np.uint8)

    @property
    def effective_sample_size(self) -> float:
        """Of how many equally weighted poses the draws are worth: ``1 / sum(weights ** 2)``."""
        return effective_sample_size(self.weights)

    def summary(self) -> str:
        """What the bank holds, in one line an item."""
        lines = [f'{name}: {count}' for name, count in self.counts.items()]
        return '\n'.join(
            [
                *lines,
                f'drawable poses: {int((self.weights > 0).sum())}',
                f'joints: {self.skeleton.num_keypoints}, '
                f'labelled per pose: {self.visible.sum(axis=1).mean():.1f}',
                f'effective sample size: {self.effective_sample_size:.0f} of {len(self)}',
                f'largest weight: {self.weights.max() * len(self):.1f} times uniform',
            ]
        )


def _checked_arrays(
    arrays: Mapping[str, npt.NDArray[Any]], skeleton: Skeleton
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file, of their types; a ValueError names the one that is wrong."""
    kinds = {'visible': 'b', 'hidden': 'b'}
    for name, array in arrays.items():
        if array.dtype.kind != kinds.get(name, 'f'):
            expected = 'true or false' if name in kinds else 'floating-point numbers'
            raise ValueError(f'{name} must be {expected}, got {array.dtype}')
    keypoints, visible, weights = (arrays[name] for name in ('keypoints', 'visible', 'weights'))
    _check_poses(keypoints, visible, skeleton)
    shapes = {'hidden': visible.shape, 'weights': (len(visible),), 'rarity': (len(visible),)}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f'{name} must be {shape}, got {arrays[name].shape}')
    if not np.isfinite(keypoints[visible]).all():
        raise ValueError('keypoints must be finite where visible')
    wrong = weights[~(np.isfinite(weights) & (weights >= 0))]
    if len(wrong) or not 0 < weights.sum() < np.inf:
        found = f'{len(wrong)} are not, such as {wrong[0]}' if len(wrong) else 'their sum is not'
        raise ValueError(f'weights must be finite, 0 or more, and not all 0: {found}')
    if np.isinf(arrays['rarity']).any():
        raise ValueError('rarity must be finite, or NaN where a pose is implausible')
    return dict(arrays)


def _check_poses(
    keypoints: npt.NDArray[Any],
    visible: npt.NDArray[np.bool_],
    skeleton: Skeleton,
    whose: str = '',
) -> None:
    k = skeleton.num_keypoints
    if keypoints.shape != (len(keypoints), k, 2) or visible.shape != keypoints.shape[:2]:
        raise ValueError(
            f'{whose}keypoints must be (N, {k}, 2) and visible (N, {k}), got {keypoints.shape} and '
            f'{visible.shape}'
        )
    if not len(keypoints):
        raise ValueError('a pose bank needs at least one pose')


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
