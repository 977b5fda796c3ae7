"""Deciding: which person gets which pose, as plain arrays that a worker can send on."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.augment.neighbours import overlapping_neighbours
from pg2aug.augment.people import People
from pg2aug.datasets.crop import crop_matrix, crop_person, transform_keypoints
from pg2aug.poses import (
    PoseBank,
    Skeleton,
    check_same_joints,
    fit_pose,
    inside_image,
    keypoints_bbox,
    person_limb_radius,
    recover_affine,
    shift_into_image,
)

BOX_MARGIN = 0.1
"""Share of a pose's extent by which a person's box exceeds its joints (top of the head, feet)."""


class UnsuitableError(ValueError):
    """This person, or this pose for this person, is nothing to synthesise from; says why."""


@dataclass(frozen=True)
class Plan:
    """One person to synthesise. Keypoints and matrices are in pixels of the image as loaded.

    Attributes:
        condition: (h, w, 3) uint8 BGR, the source person in the canonical crop.
        condition_matrix: (2, 3) float32, image to the condition's crop.
        target_matrix: (2, 3) float32, image to the crop in which the person is synthesised.
        source_keypoints: (K, 2) float32, the person as annotated.
        source_visible: (K,) float32, greater than 0 where labelled.
        target_keypoints: (K, 2) float32, the new pose, fitted to this person.
        target_visible: (K,) float32, greater than 0 where labelled and inside the image.
        limb_radius: (1,) float32, radius of this person's limbs.
        image_size: (2,) float32, width and height of the image.
        pose_index: (1,) int64, index of the pose in its bank.
        neighbour_keypoints: (M, K, 2) float32, other people who overlap what changes and stay in
            front of it; M is the same for all plans, rows without anybody are 0.
        neighbour_visible: (M, K) float32, greater than 0 where labelled and in front.
        neighbour_radius: (M,) float32, radius of their limbs; 0 where there is nobody.
    """

    condition: NDArray[np.uint8]
    condition_matrix: NDArray[np.float32]
    target_matrix: NDArray[np.float32]
    source_keypoints: NDArray[np.float32]
    source_visible: NDArray[np.float32]
    target_keypoints: NDArray[np.float32]
    target_visible: NDArray[np.float32]
    limb_radius: NDArray[np.float32]
    image_size: NDArray[np.float32]
    pose_index: NDArray[np.int64]
    neighbour_keypoints: NDArray[np.float32]
    neighbour_visible: NDArray[np.float32]
    neighbour_radius: NDArray[np.float32]

    @property
    def bbox(self) -> NDArray[np.float32]:
        """(4,) float32 x1, y1, x2, y2 of the person in the new pose, clipped to the image."""
        shape = int(self.image_size[1]), int(self.image_size[0])
        return keypoints_bbox(self.target_keypoints, self.target_visible, BOX_MARGIN, shape)

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def check_source(visible: NDArray[Any], skeleton: Skeleton, min_visible: int) -> None:
    """Raise UnsuitableError unless enough of a person is labelled to cut it out and remove it.

    A limb of which one end alone is labelled would stay in the picture, beside the new pose.

    Args:
        visible: (K,), greater than 0 where labelled.
        skeleton: Skeleton of K joints.
        min_visible: Least number of labelled joints.
    """
    labelled = np.asarray(visible) > 0
    if labelled.sum() < min_visible:
        raise UnsuitableError(f'{int(labelled.sum())} labelled joints, fewer than {min_visible}')
    if skeleton.torso and not labelled[list(skeleton.torso)].all():
        raise UnsuitableError('the torso is not labelled')
    if skeleton.head and not labelled[list(skeleton.head)].any():
        raise UnsuitableError('no joint of the head is labelled')
    for a, b in skeleton.limbs:
        if labelled[a] != labelled[b] and not {a, b} & set(skeleton.head):
            name = skeleton.keypoint_names[b if labelled[a] else a]
            raise UnsuitableError(f'{name} is not labelled: where a limb is cannot be told')


def suitable_targets(visible: NDArray[Any], skeleton: Skeleton, min_visible: int) -> NDArray[Any]:
    """Which poses (N, K) of a bank show enough of a person to be drawn: (N,) bool.

    The rule of :func:`check_source`, but that limbs may be cut off: nothing has to be removed.
    """
    labelled = np.asarray(visible) > 0
    enough = labelled.sum(axis=1) >= min_visible
    if skeleton.torso:
        enough &= labelled[:, list(skeleton.torso)].all(axis=1)
    if skeleton.head:
        enough &= labelled[:, list(skeleton.head)].any(axis=1)
    return enough


def restrict_bank(bank: PoseBank, skeleton: Skeleton, min_visible: int, context: str) -> PoseBank:
    """The bank, with the same indices, drawing suitable poses of the skeleton's joints alone.

    Args:
        bank: Bank of target poses.
        skeleton: Skeleton of the generator.
        min_visible: Least number of labelled joints of a target pose.
        context: Names the bank in errors.

    Raises:
        ValueError: If the bank has other joints, or no suitable pose.
    """
    check_same_joints(skeleton, bank.skeleton, context)
    try:
        return bank.restrict(suitable_targets(bank.visible, skeleton, min_visible))
    except ValueError as error:
        raise ValueError(
            f'{context}: {error}; a pose must show a torso, a head and at least '
            f'min_visible={min_visible} joints'
        ) from error


def make_plan(
    image: NDArray[np.uint8],
    bbox: NDArray[Any],
    keypoints: NDArray[Any],
    visible: NDArray[Any],
    target: NDArray[Any],
    target_visible: NDArray[Any],
    skeleton: Skeleton,
    size: tuple[int, int],
    padding: float,
    min_visible: int,
    pose_index: int = -1,
    others: People | None = None,
) -> Plan:
    """Fit a pose to a person and cut out what the generator needs.

    Args:
        image: (H, W, 3) uint8 BGR.
        bbox: (4,) x1, y1, x2, y2 of the person.
        keypoints: (K, 2) of the person, image pixels.
        visible: (K,), greater than 0 where labelled.
        target: (K, 2), the pose wanted, pixels of any frame.
        target_visible: (K,).
        skeleton: Skeleton of K joints.
        size: (width, height) of the generator's crops.
        padding: Factor on a person's box that makes the crop, as in the generator's training.
        min_visible: Least number of joints that source and fitted target must show.
        pose_index: Index of the target in its bank, for provenance.
        others: (P, K, 3), the other people of the image: x, y and COCO's visibility flag. None
            where they are not known.

    Returns:
        The plan.

    Raises:
        UnsuitableError: If too little of the person or of the fitted pose is to be seen.
    """
    check_source(visible, skeleton, min_visible)
    shape = image.shape[0], image.shape[1]
    try:
        fitted = fit_pose(target, target_visible, keypoints, visible, skeleton)
        fitted = shift_into_image(fitted, target_visible, shape, BOX_MARGIN)
        shown = (np.asarray(target_visible) > 0) & inside_image(fitted, shape)
        recover_affine(fitted, fitted, shown)
        source_matrix = crop_matrix(bbox, size, padding)
    except ValueError as error:
        raise UnsuitableError(str(error)) from error
    if shown.sum() < min_visible:
        raise UnsuitableError(f'only {int(shown.sum())} joints of the new pose are in the image')
    target_matrix = crop_matrix(keypoints_bbox(fitted, shown, BOX_MARGIN, shape), size, padding)
    labelled = np.asarray(visible) > 0
    radius = max(
        person_limb_radius(keypoints, labelled, skeleton.limbs),
        person_limb_radius(fitted, shown, skeleton.limbs),
    )
    bodies = (keypoints, labelled), (fitted, shown)
    people = np.zeros((0, len(labelled), 3), np.float32) if others is None else others
    in_front = overlapping_neighbours(people, bodies, radius, skeleton)
    return Plan(
        condition=crop_person(image, source_matrix, size),
        condition_matrix=source_matrix,
        target_matrix=target_matrix,
        source_keypoints=np.where(labelled[:, None], keypoints, 0).astype(np.float32),
        source_visible=labelled.astype(np.float32),
        target_keypoints=np.where(shown[:, None], fitted, 0).astype(np.float32),
        target_visible=shown.astype(np.float32),
        limb_radius=np.array([radius], np.float32),
        image_size=np.array(shape[::-1], np.float32),
        pose_index=np.array([pose_index], np.int64),
        neighbour_keypoints=in_front[0],
        neighbour_visible=in_front[1],
        neighbour_radius=in_front[2],
    )


def to_crop(plan: Plan) -> NDArray[np.float32]:
    """(K, 2) target keypoints in the crop in which the person is synthesised."""
    return transform_keypoints(plan.target_keypoints, plan.target_matrix)
