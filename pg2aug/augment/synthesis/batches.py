"""What the steps of a synthesis take and give, as tensors of N persons on one device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from pg2aug.augment.person_plan import PersonPlan
from pg2aug.augment.synthesis.transfer import send

_B = TypeVar('_B', bound='TensorBatch')
_IN_FRONT = 'front_keypoints', 'front_visible', 'front_radius'


class TensorBatch:
    """Base of frozen dataclasses whose fields are tensors of N rows, or None."""

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in values.items() if value is not None}

    def map(self: _B, function: Callable[[Tensor], Tensor]) -> _B:
        """The same of what a function makes of each tensor."""
        made = {name: function(value) for name, value in self.tensors().items()}
        return replace(self, **made)  # type: ignore[type-var]


@dataclass(frozen=True)
class CropPlans(TensorBatch):
    """What a generator's input is made of: fields of :class:`PersonPlan`, stacked."""

    condition: Tensor
    condition_matrix: Tensor
    target_matrix: Tensor
    source_keypoints: Tensor
    source_visible: Tensor
    source_radius: Tensor
    target_keypoints: Tensor
    target_drawn: Tensor
    target_radius: Tensor


@dataclass(frozen=True)
class ScenePlans(TensorBatch):
    """What decides where in an image a person goes: fields of :class:`PersonPlan`, stacked."""

    target_matrix: Tensor
    source_keypoints: Tensor
    source_visible: Tensor
    source_radius: Tensor
    target_keypoints: Tensor
    target_drawn: Tensor
    target_radius: Tensor
    image_size: Tensor
    front_keypoints: Tensor
    front_visible: Tensor
    front_radius: Tensor


@dataclass(frozen=True)
class Scenes(ScenePlans):
    """Images, and the persons that are put into them.

    Attributes:
        images: (N, 3, H, W) float32 BGR in [0, 255], in the final frame.
        matrices: (N, 2, 3) float32, image as loaded to final frame.
        made: (N, 3 or 4, h, w) float32, see :class:`Persons`.
    """

    images: Tensor
    matrices: Tensor
    made: Tensor


@dataclass(frozen=True)
class GeneratorInput(TensorBatch):
    """Crops of the source persons and both poses, in pixels of the crops.

    Attributes:
        condition_image: (N, 3, h, w) uint8 BGR.
        condition_keypoints: (N, K, 2) the source person's joints in it.
        condition_visible: (N, K), greater than 0 where labelled; COCO's flags, if known.
        condition_radius: (N,) radius of the limbs.
        target_keypoints: (N, K, 2) the new pose.
        target_visible: (N, K), greater than 0 where parts of the body are drawn to a joint.
        target_radius: (N,) radius of the limbs.
    """

    condition_image: Tensor
    condition_keypoints: Tensor
    condition_visible: Tensor
    condition_radius: Tensor
    target_keypoints: Tensor
    target_visible: Tensor
    target_radius: Tensor


@dataclass(frozen=True)
class Drawn(GeneratorInput):
    """What a generator was given, and what it drew.

    Attributes:
        made: (N, 3 or 4, h, w) float32, see :class:`Persons`.
        in_scene: (N, 3, h, w) float32 BGR in [0, 255], the persons before the source's
            surroundings; None where nobody checks them.
    """

    made: Tensor
    in_scene: Tensor | None


class Persons(NamedTuple):
    """Synthesised persons, not yet in any image.

    Attributes:
        made: (N, 3, h, w) float32 BGR in [0, 255], as generated; (N, 4, h, w) from a generator that
            knows the person's matte, which is the last channel, in [0, 1].
        joints_ok: (N, K) bool, labelled joints that passed the label check.
        accepted: (N,) bool, persons with enough of such joints, all of whose pixels are finite; the
            others are not to be used.
    """

    made: Tensor
    joints_ok: Tensor
    accepted: Tensor


@dataclass(frozen=True)
class PlanBatch:
    """N plans on a device, as its steps read them.

    Attributes:
        crops: What the generator's input is made of.
        scenes: What the compositing reads.
        target_visible: (N, K), greater than 0 where labelled; COCO's flags, if known.
    """

    crops: CropPlans
    scenes: ScenePlans
    target_visible: Tensor

    @classmethod
    def send(
        cls, plans: Sequence[PersonPlan], device: torch.device, people_in_front: int | None = None
    ) -> 'PlanBatch':
        """Send plans to a device in one copy; see :func:`send_scenes`."""
        names = {*_names(CropPlans), *_names(ScenePlans), 'target_visible'}
        sent = _send(plans, device, names, people_in_front)
        return cls(
            CropPlans(**{name: sent[name] for name in _names(CropPlans)}),
            ScenePlans(**{name: sent[name] for name in _names(ScenePlans)}),
            sent['target_visible'],
        )


def send_scenes(
    plans: Sequence[PersonPlan], device: torch.device, people_in_front: int | None = None
) -> ScenePlans:
    """Send to a device what the compositing reads of plans, without their crops.

    Args:
        plans: At least one.
        device: Where to.
        people_in_front: Room for so many people in front of each person; None for as many as the
            plan with the most of them has.
    """
    return ScenePlans(**_send(plans, device, set(_names(ScenePlans)), people_in_front))


def most_in_front(plans: Sequence[PersonPlan]) -> int:
    """Number of people in front of the person who has the most of them."""
    return max(int((plan.front_radius > 0).sum()) for plan in plans)


def _send(
    plans: Sequence[PersonPlan],
    device: torch.device,
    names: set[str],
    people_in_front: int | None,
) -> dict[str, Tensor]:
    # Places without anybody come last.
    most = most_in_front(plans) if people_in_front is None else people_in_front
    arrays = [{name: getattr(plan, name) for name in sorted(names)} for plan in plans]
    for array in arrays:
        array.update({name: array[name][:most] for name in _IN_FRONT})
    return send(arrays, device)


def _names(batch: type[TensorBatch]) -> list[str]:
    return [field.name for field in fields(batch)]  # type: ignore[arg-type]
