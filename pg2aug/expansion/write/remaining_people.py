"""The other people of an image: what a new person leaves of their labels."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pg2aug.augment.people_in_front import in_front_alpha
from pg2aug.augment.person_plan import PersonPlan
from pg2aug.augment.synthesis.compositing import HOLE_RADIUS
from pg2aug.augment.synthesis.whole_image import affected_window
from pg2aug.expansion.sources.sources import Annotation, annotation_keypoints
from pg2aug.models.preprocessor import SUPPORT_RADIUS
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses import Skeleton

MAX_LOST = 0.5
"""Share of a neighbour's labelled joints that may be painted over."""


class CoveredError(ValueError):
    """Somebody who stays would lose too many of their joints; says whose and how many."""


def remaining_annotations(
    annotations: Sequence[Annotation],
    person: Annotation,
    plan: PersonPlan,
    skeleton: Skeleton,
    in_front: Tensor,
    remove_source: bool = True,
) -> list[Annotation]:
    """The annotations of an image without the joints whose pixels a new person changes.

    Such a joint becomes unlabelled: 0, 0, 0. Boxes, areas and segmentations stay.

    Args:
        annotations: All of the image.
        person: The one of them that is replaced; returned as it is.
        plan: What is synthesised.
        skeleton: Skeleton of the plan's joints.
        in_front: From :func:`people_in_front_alpha`.
        remove_source: Whether the original person is removed.

    Returns:
        As many annotations, in order; those that lose nothing are returned as they are.

    Raises:
        CoveredError: If somebody loses more than half of their labelled joints.
    """
    posed = [a for a in annotations if a is not person and _is_well_formed(a)]
    if not posed:
        return list(annotations)
    changed = changed_pixels(plan, skeleton, in_front, remove_source)
    without = {id(annotation): _without_changed(annotation, changed) for annotation in posed}
    return [without.get(id(annotation), annotation) for annotation in annotations]


def changed_pixels(
    plan: PersonPlan, skeleton: Skeleton, in_front: Tensor, remove_source: bool = True
) -> NDArray[np.bool_]:
    """(H, W) bool, in the image's frame: where the old person is removed or the new one may be.

    Not where people stay in front, as :func:`people_in_front_alpha` has them.
    """
    left, top, right, bottom = affected_window(plan)
    corner, shape = np.array([left, top], np.float32), (bottom - top, right - left)
    changed = np.zeros(plan.image_size[::-1].astype(int), bool)
    bodies = [(plan.target_keypoints, plan.target_drawn, SUPPORT_RADIUS * plan.target_radius[0])]
    if remove_source:
        hole = HOLE_RADIUS * plan.source_radius[0]
        bodies.append((plan.source_keypoints, plan.source_visible, hole))
    alpha = body_alpha(
        torch.from_numpy(np.stack([body[0] for body in bodies]) - corner),
        torch.from_numpy(np.stack([body[1] for body in bodies])),
        shape,
        skeleton,
        torch.tensor([body[2] for body in bodies]),
    )
    covered = alpha.amax(dim=0, keepdim=True) * (1 - in_front)
    changed[top:bottom, left:right] = (covered > 0.5)[0, 0].numpy()
    return changed


def hidden_joints(plan: PersonPlan, in_front: Tensor) -> NDArray[np.bool_]:
    """Which joints of the new pose lie behind people who stay in front: (K,) bool."""
    corner = np.array(affected_window(plan)[:2], np.float32)
    return _look_up((in_front > 0.5)[0, 0].numpy(), plan.target_keypoints - corner)


def people_in_front_alpha(plan: PersonPlan, skeleton: Skeleton) -> Tensor:
    """Where people stay in front of the new person, in the affected window: (1, 1, h, w)."""
    left, top, right, bottom = affected_window(plan)
    corner, shape = np.array([left, top], np.float32), (bottom - top, right - left)
    count = int((plan.front_radius > 0).sum())
    return in_front_alpha(
        torch.from_numpy(plan.front_keypoints[:count] - corner)[None],
        torch.from_numpy(plan.front_visible[:count])[None],
        torch.from_numpy(plan.front_radius[:count])[None],
        shape,
        skeleton,
    )


def _is_well_formed(annotation: Annotation) -> bool:
    values = annotation.get('keypoints') or ()
    return len(values) > 0 and len(values) % 3 == 0


def _without_changed(annotation: Annotation, changed: NDArray[np.bool_]) -> Annotation:
    keypoints = annotation_keypoints(annotation)
    labelled = keypoints[:, 2] > 0
    lost = labelled & _look_up(changed, keypoints[:, :2])
    if lost.sum() > MAX_LOST * labelled.sum():
        raise CoveredError(
            f'{int(lost.sum())} of {int(labelled.sum())} joints of annotation {annotation["id"]}'
        )
    if not lost.any():
        return annotation
    values = list(annotation['keypoints'])
    for joint in np.flatnonzero(lost).tolist():
        values[3 * joint : 3 * joint + 3] = [0, 0, 0]
    return {**annotation, 'keypoints': values, 'num_keypoints': int((labelled & ~lost).sum())}


def _look_up(mask: NDArray[np.bool_], points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Values of the mask at the pixels nearest to points (K, 2); False outside of it."""
    nearest = np.round(points)
    # Compared as floats: a NaN is inside of nothing.
    inside = ((nearest >= 0) & (nearest < mask.shape[::-1])).all(axis=1)
    found = np.zeros(len(points), bool)
    columns, rows = nearest[inside].astype(int).T
    found[inside] = mask[rows, columns]
    return found
