"""Training pairs from single images: the poses that a person is sent through and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.datasets.crop import crop_matrix, transform_keypoints
from pg2aug.poses import (
    BOX_MARGIN,
    PoseBank,
    Skeleton,
    fit_pose,
    keypoints_bbox,
    person_limb_radius,
)

_MAX_DRAWS = 10


class ViaPoses:
    """Poses of a bank, drawn by their weights and fitted to persons.

    Args:
        bank: Where the poses come from; those without a whole torso are not drawn.
        skeleton: Of the persons and the bank.
        size: ``(width, height)`` of the crops.
        padding: Factor on a pose's box that makes the crop.
        seed: Of the draws.

    Raises:
        ValueError: If the bank has no pose with a whole torso.
    """

    def __init__(
        self,
        bank: PoseBank,
        skeleton: Skeleton,
        size: tuple[int, int],
        padding: float,
        seed: int,
    ) -> None:
        self.bank = bank.restrict(bank.visible[:, list(skeleton.torso)].all(axis=1))
        self.skeleton = skeleton
        self.size = size
        self.padding = padding
        self.seed = seed

    def draw(
        self, rank: int, keypoints: NDArray[Any], visible: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], bool]:
        """Draw the pose of a pair.

        Args:
            rank: Number of the pair, which decides the draw together with the seed.
            keypoints: ``(K, 2)`` of the person, pixels of any frame.
            visible: ``(K,)``, greater than 0 where labelled.

        Returns:
            The pose ``(K, 2)`` in a crop of its own, its visibility ``(K,)`` and its limb radius
            ``()`` in pixels of that crop; and whether the person is to be mirrored first. Where
            none of ten poses fits, the person's own.
        """
        rng = np.random.default_rng((self.seed, rank))
        mirrored = bool(rng.random() < 0.5)
        for _ in range(_MAX_DRAWS):
            index = self.bank.draw(rng.random())
            shown = self.bank.visible[index]
            try:
                pose = fit_pose(
                    self.bank.keypoints[index], shown, keypoints, visible, self.skeleton
                )
                matrix = crop_matrix(
                    keypoints_bbox(pose, shown, BOX_MARGIN), self.size, self.padding
                )
            except ValueError:
                continue
            flags = self.bank.flags(index)
            return (*self._crop(pose, flags, keypoints, visible, matrix), mirrored)
        shown = np.asarray(visible) > 0
        matrix = crop_matrix(keypoints_bbox(keypoints, shown, BOX_MARGIN), self.size, self.padding)
        return (*self._crop(keypoints, visible, keypoints, visible, matrix), mirrored)

    def _crop(
        self,
        pose: NDArray[Any],
        flags: NDArray[Any],
        keypoints: NDArray[Any],
        visible: NDArray[Any],
        matrix: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        limbs, shown = self.skeleton.limbs, np.asarray(flags) > 0
        radius = max(
            person_limb_radius(pose, shown, limbs), person_limb_radius(keypoints, visible, limbs)
        )
        moved = np.where(shown[:, None], transform_keypoints(pose, matrix), 0)
        return moved, flags.astype(np.float32), np.float32(radius * matrix[0, 0])  # type: ignore[return-value]
