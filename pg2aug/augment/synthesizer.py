"""Doing: one generator call for a batch of plans, labels checked, composited where wanted."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from pg2aug.augment.compositing import inside_mask
from pg2aug.augment.label_check import LabelCheck, Synthesis
from pg2aug.augment.plan import Plan
from pg2aug.models.affine import (
    affine_scale,
    compose_affines,
    invert_affine,
    transform_points,
    warp,
)
from pg2aug.models.hole_filling import fill_holes
from pg2aug.models.pg2 import PG2
from pg2aug.models.preprocessor import to_image_range
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses.skeleton import Skeleton

HOLE_RADIUS = 2.0
"""Radius of what is removed of the source person, over that of its limbs: clothes and hair too."""

PERSON_RADIUS = 1.3
"""Radius of what is pasted of the synthesised person, over that of its limbs."""


_R = TypeVar('_R')


@dataclass(frozen=True)
class Result:
    """What became of a batch of plans.

    Attributes:
        images: (N, 3, H, W) float32 BGR in [0, 255]: the person replaced where it was accepted.
        joints_ok: (N, K) bool, labelled joints that passed the label check.
        accepted: (N,) bool, persons with enough of such joints; the others are not to be used.
        persons: (N, 3, h, w) float32 BGR in [0, 255], as generated.
    """

    images: Tensor
    joints_ok: Tensor
    accepted: Tensor
    persons: Tensor


class Persons(NamedTuple):
    """Synthesised persons, not yet in any image; see :class:`Result`."""

    persons: Tensor
    joints_ok: Tensor
    accepted: Tensor


def _exact(method: Callable[..., _R]) -> Callable[..., _R]:
    """Run a method of Synthesizer without gradients, and out of the caller's autocast.

    A pose model calls its preprocessor, and with it PG2Hook, under autocast. Affines in 16 bits
    miss by pixels.
    """

    @functools.wraps(method)
    def run(self: 'Synthesizer', *args: Any, **kwargs: Any) -> _R:
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            return method(self, *args, **kwargs)

    return run


class Synthesizer:
    """Synthesise persons in new poses and put them into images.

    Args:
        model: A trained PG2 in evaluation mode.
        check: Label check; None accepts everything.
        min_joints_ok: Share of a person's labelled joints that must pass the check.
        refine: Whether to use the refined image (G2) or the coarse one (G1 alone).
        remove_source: Whether the original person is removed from the background first.
        max_batch: Persons synthesised at once, which bounds the memory taken.
        device: Where to do it.
    """

    def __init__(
        self,
        model: PG2,
        check: LabelCheck | None,
        min_joints_ok: float = 0.7,
        refine: bool = True,
        remove_source: bool = True,
        max_batch: int = 64,
        device: str | torch.device = 'cpu',
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.skeleton: Skeleton = model.data_preprocessor.skeleton
        self.check = check
        self.min_joints_ok = min_joints_ok
        self.refine = refine
        self.remove_source = remove_source
        self.max_batch = max_batch

    @_exact
    def __call__(self, images: Tensor, plans: Sequence[Plan], matrices: Tensor) -> Result:
        """Replace the persons of a batch of images.

        Args:
            images: (N, 3, H, W) float BGR in [0, 255], in the final frame, on any device.
            plans: One plan for each image.
            matrices: (N, 2, 3), image as loaded to final frame.

        Returns:
            The result, on the synthesizer's device.
        """
        chunks = [
            self._synthesize(
                images[i : i + self.max_batch],
                plans[i : i + self.max_batch],
                matrices[i : i + self.max_batch],
            )
            for i in range(0, len(plans), self.max_batch)
        ]
        if len(chunks) == 1:
            return chunks[0]
        return Result(
            *(
                torch.cat([getattr(chunk, name) for chunk in chunks])
                for name in Result.__dataclass_fields__
            )
        )

    @_exact
    def generate(self, plans: Sequence[Plan]) -> Persons:
        """Synthesise and check the persons of some plans, without images to put them into."""
        chunks = [
            self._generate(self._to_device(plans[i : i + self.max_batch]))
            for i in range(0, len(plans), self.max_batch)
        ]
        return Persons(*map(torch.cat, zip(*chunks, strict=True)))

    @_exact
    def composite(
        self, images: Tensor, plans: Sequence[Plan], persons: Tensor, matrices: Tensor
    ) -> Tensor:
        """Put synthesised persons (N, 3, h, w) in the place of the original ones.

        Args:
            images: See :meth:`__call__`.
            plans: What the persons were synthesised from.
            persons: Persons as generated, on the synthesizer's device.
            matrices: See :meth:`__call__`.

        Returns:
            (N, 3, H, W) float32 BGR in [0, 255].
        """
        images = images.to(self.device, torch.float32)
        matrices = matrices.to(self.device, torch.float32)
        return self._composite(images, persons, self._to_device(plans), matrices)

    def _synthesize(self, images: Tensor, plans: Sequence[Plan], matrices: Tensor) -> Result:
        batch = self._to_device(plans)
        images = images.to(self.device, torch.float32)
        matrices = matrices.to(self.device, torch.float32)
        persons, joints_ok, accepted = self._generate(batch)
        replaced = self._composite(images, persons, batch, matrices)
        images = torch.where(accepted[:, None, None, None], replaced, images)
        return Result(images, joints_ok, accepted, persons)

    def _to_device(self, plans: Sequence[Plan]) -> dict[str, Tensor]:
        arrays = [plan.to_dict() for plan in plans]
        return {
            name: torch.from_numpy(np.stack([a[name] for a in arrays])).to(self.device)
            for name in arrays[0]
        }

    def _generate(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Persons (N, 3, h, w), their joints that passed the check (N, K), and the accepted."""
        persons, joints_ok = self._generate_checked(batch)
        labelled = batch['target_visible'] > 0
        share = joints_ok.sum(dim=1) / labelled.sum(dim=1).clamp_min(1)
        return persons, joints_ok, share >= self.min_joints_ok

    def _generate_checked(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        conditions = batch['condition'].permute(0, 3, 1, 2)
        keypoints = transform_points(batch['target_keypoints'], batch['target_matrix'])
        source = transform_points(batch['source_keypoints'], batch['condition_matrix'])
        data = dict(
            condition_image=conditions,
            condition_keypoints=source,
            condition_visible=batch['source_visible'],
            target_keypoints=keypoints,
            target_visible=batch['target_visible'],
        )
        inputs = self.model.data_preprocessor(data)
        coarse, refined = self.model(**inputs)
        persons = to_image_range(refined if self.refine else coarse)
        if self.check is None:
            return persons, batch['target_visible'] > 0
        synthesis = Synthesis(
            persons=persons,
            keypoints=keypoints,
            visible=batch['target_visible'],
            conditions=conditions.float(),
            condition_keypoints=source,
            condition_visible=batch['source_visible'],
            skeleton=self.skeleton,
        )
        return persons, self.check(synthesis)

    def _composite(
        self, images: Tensor, persons: Tensor, batch: dict[str, Tensor], matrices: Tensor
    ) -> Tensor:
        """Remove the source persons and paste the synthesised ones, all in the final frame."""
        shape = (images.shape[-2], images.shape[-1])
        radius = batch['limb_radius'][:, 0] * affine_scale(matrices)
        inside = inside_mask(shape, matrices, batch['image_size'])
        if self.remove_source:
            source = transform_points(batch['source_keypoints'], matrices)
            hole = body_alpha(
                source, batch['source_visible'], shape, self.skeleton, radius * HOLE_RADIUS
            )
            images = torch.lerp(images, fill_holes(images, (1 - hole) * inside), hole * inside)
        target = transform_points(batch['target_keypoints'], matrices)
        alpha = body_alpha(
            target,
            batch['target_visible'],
            shape,
            self.skeleton,
            radius * PERSON_RADIUS,
            hands_and_feet=False,
        )
        placement = compose_affines(matrices, invert_affine(batch['target_matrix']))
        pasted = warp(
            torch.cat([persons, torch.ones_like(persons[:, :1])], dim=1), placement, shape
        )
        alpha = alpha * pasted[:, 3:] * inside
        return torch.lerp(images, pasted[:, :3], alpha)
