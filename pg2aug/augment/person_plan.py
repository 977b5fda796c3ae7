"""Deciding: which person gets which pose, as plain arrays that a worker can send on."""

import hashlib
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.augment.eligibility import (
    Body,
    UnsuitableError,
    UnsuitablePersonError,
    check_fit,
    check_size,
    check_source,
    check_view,
    drawn_joints,
)
from pg2aug.augment.people import People
from pg2aug.augment.people_in_front import people_in_front
from pg2aug.datasets.crop import crop_matrix, crop_person, transform_keypoints
from pg2aug.poses import (
    BOX_MARGIN,
    Skeleton,
    check_affine_joints,
    fit_pose,
    inside_image,
    keypoints_bbox,
    person_limb_radius,
    shrink_into_image,
)

_MADE_FROM = (
    *('condition_matrix', 'target_matrix', 'source_keypoints', 'source_visible'),
    *('target_keypoints', 'target_visible', 'target_drawn', 'source_radius', 'target_radius'),
)


@dataclass(frozen=True)
class PersonPlan:
    """One person to synthesise. Keypoints and matrices are in pixels of the image as loaded.

    Attributes:
        condition: (h, w, 3) uint8 BGR, the source person in the canonical crop.
        condition_matrix: (2, 3) float32, image to the condition's crop.
        target_matrix: (2, 3) float32, image to the crop in which the person is synthesised.
        source_keypoints: (K, 2) float32, the person as annotated.
        source_visible: (K,) float32, greater than 0 where labelled; COCO's flags, if known.
        target_keypoints: (K, 2) float32, the new pose, fitted to this person.
        target_visible: (K,) float32, greater than 0 where drawn and inside the image: the labels;
            COCO's flags, if the pose's are known.
        target_drawn: (K,) float32, likewise for joints that parts of the body are drawn to, which
            may lie beyond the image: a limb is then drawn up to its border.
        source_radius: (1,) float32, radius of this person's limbs.
        target_radius: (1,) float32, the same in the new pose, which is smaller where it would
            otherwise not fit into the image.
        image_size: (2,) float32, width and height of the image.
        pose_index: (1,) int64, index of the pose in its bank.
        front_keypoints: (M, K, 2) float32, other people who overlap what changes and stay in
            front of it; M is the same for all plans, rows without anybody are 0.
        front_visible: (M, K) float32, greater than 0 where labelled and in front.
        front_radius: (M,) float32, radius of their limbs; 0 where there is nobody.
        repeats: (1,) int64, how often this very plan will come again; -1 if it is not among those
            that come more than once.
    """

    condition: NDArray[np.uint8]
    condition_matrix: NDArray[np.float32]
    target_matrix: NDArray[np.float32]
    source_keypoints: NDArray[np.float32]
    source_visible: NDArray[np.float32]
    target_keypoints: NDArray[np.float32]
    target_visible: NDArray[np.float32]
    target_drawn: NDArray[np.float32]
    source_radius: NDArray[np.float32]
    target_radius: NDArray[np.float32]
    image_size: NDArray[np.float32]
    pose_index: NDArray[np.int64]
    front_keypoints: NDArray[np.float32]
    front_visible: NDArray[np.float32]
    front_radius: NDArray[np.float32]
    repeats: NDArray[np.int64] = field(default_factory=lambda: np.full(1, -1, np.int64))

    @property
    def bbox(self) -> NDArray[np.float32]:
        """(4,) float32 x1, y1, x2, y2 of the person in the new pose, clipped to the image."""
        shape = int(self.image_size[1]), int(self.image_size[0])
        return keypoints_bbox(self.target_keypoints, self.target_drawn, BOX_MARGIN, shape)

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def digest(self) -> bytes:
        """A fingerprint of all that the synthesised crop, and its check, are made from."""
        made_from = hashlib.sha256(self.condition.data)
        for name in _MADE_FROM:
            made_from.update(getattr(self, name))
        return made_from.digest()


def plan_person(
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
    typical: NDArray[np.float64] | None = None,
    max_view_change: float | None = None,
) -> PersonPlan:
    """Fit a pose to a person and cut out what the generator needs.

    Args:
        image: (H, W, 3) uint8 BGR.
        bbox: (4,) x1, y1, x2, y2 of the person.
        keypoints: (K, 2) of the person, image pixels.
        visible: (K,), greater than 0 where labelled; COCO's flags, if known.
        target: (K, 2), the pose wanted, pixels of any frame.
        target_visible: (K,), likewise.
        skeleton: Skeleton of K joints.
        size: (width, height) of the generator's crops.
        padding: Factor on a person's box that makes the crop, as in the generator's training.
        min_visible: Least number of joints that source and fitted target must show.
        pose_index: Index of the target in its bank, for provenance.
        others: (P, K, 3), the other people of the image: x, y and COCO's visibility flag. None
            where they are not known.
        typical: (S,) from :func:`pg2aug.poses.typical_proportions`, which the person's own
            proportions are told by; None keeps those of the target.
        max_view_change: Largest difference in degrees of the sides from which person and target are
            seen, see :func:`pg2aug.poses.view_angles`; None for any.

    Returns:
        The plan.

    Raises:
        UnsuitableError: If too little of the person or of the fitted pose is to be seen, or the
            pose is from too different a side.
    """
    check_source(visible, skeleton, min_visible)
    labelled = np.asarray(visible) > 0
    source, pose = (keypoints, labelled), (target, np.asarray(target_visible) > 0)
    if not np.isfinite(np.asarray(keypoints)[labelled]).all():
        raise UnsuitablePersonError('a labelled joint of the person is not at a finite place')
    check_size(source)
    if max_view_change is not None:
        check_view(source, pose, skeleton, max_view_change)
    shape = image.shape[0], image.shape[1]
    try:
        fitted, drawn, shown, scale = _fit_into_image(pose, source, skeleton, shape, typical)
        source_matrix = crop_matrix(bbox, size, padding)
    except ValueError as error:
        raise UnsuitableError(str(error)) from error
    if shown.sum() < min_visible:
        raise UnsuitableError(f'only {int(shown.sum())} joints of the new pose are in the image')
    check_fit((fitted, shown), skeleton)
    target_matrix = crop_matrix(keypoints_bbox(fitted, drawn, BOX_MARGIN, shape), size, padding)
    radius = max(
        person_limb_radius(keypoints, labelled, skeleton.limbs),
        person_limb_radius(fitted, drawn, skeleton.limbs) / scale,
    )
    people = np.zeros((0, len(labelled), 3), np.float32) if others is None else others
    in_front = people_in_front(people, (source, (fitted, drawn)), radius, skeleton)
    return PersonPlan(
        condition=crop_person(image, source_matrix, size),
        condition_matrix=source_matrix,
        target_matrix=target_matrix,
        source_keypoints=np.where(labelled[:, None], keypoints, 0).astype(np.float32),
        source_visible=np.where(labelled, visible, 0).astype(np.float32),
        target_keypoints=fitted,
        target_visible=np.where(shown, target_visible, 0).astype(np.float32),
        target_drawn=np.where(drawn, target_visible, 0).astype(np.float32),
        source_radius=np.array([radius], np.float32),
        target_radius=np.array([radius * scale], np.float32),
        image_size=np.array(shape[::-1], np.float32),
        pose_index=np.array([pose_index], np.int64),
        front_keypoints=in_front[0],
        front_visible=in_front[1],
        front_radius=in_front[2],
    )


def _fit_into_image(
    pose: Body,
    source: Body,
    skeleton: Skeleton,
    shape: tuple[int, int],
    typical: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], float]:
    """The pose as this person would take it (K, 2), 0 where nothing is drawn.

    And which of its joints are drawn, which of these are in the image, and how much smaller than
    this person it is, for there to be room for it.
    """
    drawn = drawn_joints(pose[1], skeleton)
    fitted = fit_pose(*pose, *source, skeleton, typical)
    fitted, scale = shrink_into_image(fitted, drawn, shape, BOX_MARGIN)
    shown = drawn & inside_image(fitted, shape)
    check_affine_joints(fitted, shown)
    return fitted, drawn, shown, scale


def to_crop(plan: PersonPlan) -> NDArray[np.float32]:
    """(K, 2) target keypoints in the crop in which the person is synthesised."""
    return transform_keypoints(plan.target_keypoints, plan.target_matrix)
