"""Attempts: each a person and a pose, synthesised or refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pg2aug.augment.eligibility import UnsuitableError, bank_proportions
from pg2aug.augment.people import other_people
from pg2aug.augment.person_plan import PersonPlan, plan_person
from pg2aug.augment.synthesis.synthesizer import Synthesizer
from pg2aug.augment.synthesis.whole_image import synthesize_in_images
from pg2aug.expansion.sources.images import is_of_the_file
from pg2aug.expansion.sources.sources import (
    Annotation,
    Sources,
    annotation_bbox,
    annotation_keypoints,
)
from pg2aug.expansion.write.remaining_people import (
    CoveredError,
    hidden_joints,
    people_in_front_alpha,
    remaining_annotations,
)
from pg2aug.poses import PoseBank

UNUSABLE_IMAGE = 'the source image cannot be used'
"""Why an attempt is refused, and every other at the same image would be."""


NOT_FINITE = 'the synthesised person is not finite'
"""Why an attempt is refused that nobody checks: its generator is broken."""


class Attempt(NamedTuple):
    """An attempt at an item of a plan: a person and the pose to put it into.

    Attributes:
        item: Number of the item.
        number: Of the attempt at it, from 0.
        person: Index into the persons of the sources.
        pose: Index into the pose bank.
        repeated: Whether another attempt has the same person and pose.
    """

    item: int
    number: int
    person: int
    pose: int
    repeated: bool = False


@dataclass(frozen=True)
class Refused:
    """An attempt of which nothing came, and why.

    Attributes:
        attempt: The attempt.
        reason: One of a few, to be counted by.
        detail: The case at hand; may be empty.
        labelled: (K,) bool, joints of the new pose, where the label check has judged them.
        joints_ok: (K,) bool, those of them that passed; None where nothing was judged.
    """

    attempt: Attempt
    reason: str
    detail: str
    labelled: NDArray[np.bool_] | None = None
    joints_ok: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Synthesised:
    """An attempt that gave a new image.

    Attributes:
        attempt: The attempt.
        plan: What was synthesised.
        image: (H, W, 3) uint8 BGR, the source with the person in the new pose.
        joints_ok: (K,) bool, joints that the new label may name.
        hidden: (K,) bool, joints of the new pose that are behind somebody who stays in front.
        annotations: All of the image: the person's as it was, the others' without the joints that
            were painted over. Other annotations of the same person are not among them.
    """

    attempt: Attempt
    plan: PersonPlan
    image: NDArray[np.uint8]
    joints_ok: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    annotations: Sequence[Annotation]


class Prepared(NamedTuple):
    """An attempt that can be synthesised; see :class:`Synthesised`."""

    attempt: Attempt
    image: NDArray[np.uint8]
    plan: PersonPlan
    hidden: NDArray[np.bool_]
    annotations: Sequence[Annotation]


Outcome = Synthesised | Refused


@dataclass(frozen=True)
class Job:
    """What all attempts of an expansion share.

    Attributes:
        sources: Persons.
        bank: Target poses, restricted to suitable ones.
        synthesizer: What synthesises.
        size: (width, height) of the generator's crops.
        padding: Factor on a person's box that makes the crop.
        min_visible: Least number of joints that a person and a new pose must show.
        max_view_change: Largest difference of the sides from which a person and a new pose are
            seen, in degrees; None for any.
    """

    sources: Sources
    bank: PoseBank
    synthesizer: Synthesizer
    size: tuple[int, int]
    padding: float
    min_visible: int = 8
    max_view_change: float | None = None

    @cached_property
    def typical(self) -> NDArray[np.float64]:
        """Typical proportions of the bodies in the bank."""
        return bank_proportions(self.bank, self.synthesizer.skeleton)


def prepare(job: Job, attempt: Attempt) -> Prepared | Refused:
    """Read an attempt's image and fit the pose to the person; all that needs no device.

    Raises:
        OSError: If images cannot be read for a reason that is not the image's.
    """
    person = job.sources.persons[attempt.person]
    if attempt.repeated:
        return Refused(attempt, 'the same person in the same pose was tried before', '')
    try:
        image = _read(job.sources, person)
    except (OSError, ValueError) as error:
        # Of a folder that is gone no image is to blame, and none is given up.
        there = job.sources.folder.is_there
        if isinstance(error, OSError) and not (there and is_of_the_file(error)):
            raise
        return Refused(attempt, UNUSABLE_IMAGE, _describe(error))
    try:
        plan = _plan(job, attempt, person, image)
        in_front = people_in_front_alpha(plan, job.synthesizer.skeleton)
        annotations = _remaining(job, person, plan, in_front)
        return Prepared(attempt, image, plan, hidden_joints(plan, in_front), annotations)
    except UnsuitableError as error:
        return Refused(attempt, 'the person cannot take the pose', str(error))
    except CoveredError as error:
        return Refused(attempt, 'the new person covers somebody else', str(error))


def synthesize(job: Job, prepared: Sequence[Prepared]) -> list[Outcome]:
    """Synthesise and check a batch of attempts."""
    images, plans = [item.image for item in prepared], [item.plan for item in prepared]
    results = synthesize_in_images(job.synthesizer, images, plans)
    outcomes = [_outcome(item, *result) for item, result in zip(prepared, results, strict=True)]
    if job.synthesizer.check is not None:
        return outcomes
    return [
        replace(outcome, reason=NOT_FINITE, detail='') if isinstance(outcome, Refused) else outcome
        for outcome in outcomes
    ]


def _read(sources: Sources, person: Annotation) -> NDArray[np.uint8]:
    image = sources.read_image(person)
    sources.check_size(person, (image.shape[1], image.shape[0]))
    return image


def _plan(job: Job, attempt: Attempt, person: Annotation, image: NDArray[np.uint8]) -> PersonPlan:
    keypoints, skeleton = annotation_keypoints(person), job.synthesizer.skeleton
    bbox = annotation_bbox(person, (image.shape[1], image.shape[0]))
    if (bbox[2:] <= bbox[:2]).any():
        raise UnsuitableError('its box lies outside the image')
    return plan_person(
        image=image,
        bbox=bbox,
        keypoints=keypoints[:, :2],
        visible=keypoints[:, 2],
        target=job.bank.keypoints[attempt.pose],
        target_visible=job.bank.flags(attempt.pose),
        skeleton=skeleton,
        size=job.size,
        padding=job.padding,
        min_visible=job.min_visible,
        pose_index=attempt.pose,
        others=other_people(job.sources.around(person), person, skeleton.keypoint_names),
        typical=job.typical,
        max_view_change=job.max_view_change,
    )


def _remaining(
    job: Job, person: Annotation, plan: PersonPlan, in_front: Tensor
) -> list[Annotation]:
    annotations = job.sources.around(person)
    skeleton, settings = job.synthesizer.skeleton, job.synthesizer.settings
    return remaining_annotations(
        annotations, person, plan, skeleton, in_front, settings.remove_source
    )


def _outcome(
    prepared: Prepared, image: NDArray[np.uint8], joints_ok: NDArray[Any], accepted: bool
) -> Outcome:
    attempt, _, plan, hidden, annotations = prepared
    labelled = plan.target_visible > 0
    shown = np.asarray(joints_ok, bool) & labelled
    if not accepted:
        detail = f'{int(shown.sum())} of {int(labelled.sum())} joints passed'
        return Refused(attempt, 'the label check failed', detail, labelled, shown)
    return Synthesised(attempt, plan, image, shown, hidden, annotations)


def _describe(error: Exception) -> str:
    # Not the path, which the user's folders are part of: the report travels with the data set.
    return (error.strerror or 'I/O error') if isinstance(error, OSError) else str(error)
