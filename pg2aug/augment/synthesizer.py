"""Doing: one generator call for a batch of plans, labels checked, composited where wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from numpy.typing import NDArray
from torch import Tensor

from pg2aug.augment.compositing import (
    affine_scale,
    compose_affines,
    fill_holes,
    inside_mask,
    invert_affine,
    transform_points,
    warp,
)
from pg2aug.augment.label_check import LabelCheck, Synthesis
from pg2aug.augment.plan import Plan
from pg2aug.compat import load_checkpoint
from pg2aug.models.pg2 import PG2
from pg2aug.models.preprocessor import to_image_range
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses.skeleton import Skeleton
from pg2aug.registry import MODELS

HOLE_RADIUS = 2.0
"""Radius of what is removed of the source person, over that of its limbs: clothes and hair too."""

PERSON_RADIUS = 1.3
"""Radius of what is pasted of the synthesised person, over that of its limbs."""


@dataclass(frozen=True)
class GeneratorFile:
    """A trained generator on disk, read but not yet built.

    Attributes:
        config: Model config.
        state_dict: Weights, on the CPU.
        size: (width, height) of its crops.
        padding: Factor on a person's box that made the crops it was trained on.
        skeleton: Skeleton it was trained with.
        source: Path of the checkpoint, for messages and provenance.
    """

    config: Config
    state_dict: dict[str, Tensor]
    size: tuple[int, int]
    padding: float
    skeleton: Skeleton
    source: str

    @classmethod
    def load(cls, config: str, checkpoint: str) -> 'GeneratorFile':
        """Read the config and the checkpoint that ``tools/train_pg2.py`` wrote.

        Raises:
            FileNotFoundError: If one of them is missing.
            ValueError: If the config is not that of a PG2, or the checkpoint does not say how its
                crops were made.
        """
        for key, path in (('config', config), ('checkpoint', checkpoint)):
            if not Path(path).is_file():
                raise FileNotFoundError(
                    f'generator {key} {path!r} does not exist: train one with '
                    f'tools/train_pg2.py, or correct generator=dict({key}=...)'
                )
        cfg = Config.fromfile(config)
        if 'model' not in cfg or cfg.model.get('type') not in ('pg2aug.PG2', 'PG2'):
            raise ValueError(f"generator config {config!r} has no model of type 'pg2aug.PG2'")
        content = load_checkpoint(checkpoint)
        meta = content.get('meta', {}).get('dataset_meta') or {}
        if 'crop' not in meta:
            raise ValueError(
                f"generator checkpoint {checkpoint!r} has no meta['dataset_meta']['crop']: it was "
                'not trained on a PersonPairDataset by tools/train_pg2.py'
            )
        width, height = meta['crop']['size']
        skeleton = Skeleton.from_metainfo(meta)
        padding = float(meta['crop']['padding'])
        state_dict = content['state_dict']
        return cls(cfg.model, state_dict, (width, height), padding, skeleton, str(checkpoint))

    def build(self) -> PG2:
        """Build the model with its weights, in evaluation mode, without gradients.

        Raises:
            ValueError: If the weights do not fit the config.
        """
        # The schedule plays no part in synthesis; a config leaves it to the training tool.
        model: PG2 = MODELS.build(dict(self.config, stage1_iters=0, _scope_='pg2aug'))
        try:
            model.load_state_dict(self.state_dict)
        except RuntimeError as error:
            raise ValueError(
                f'the weights in {self.source} do not fit their config: {error}'
            ) from error
        return model.eval().requires_grad_(False)


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

    @torch.inference_mode()
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

    @torch.inference_mode()
    def generate(self, plans: Sequence[Plan]) -> Persons:
        """Synthesise and check the persons of some plans, without images to put them into."""
        chunks = [
            self._generate(self._to_device(plans[i : i + self.max_batch]))
            for i in range(0, len(plans), self.max_batch)
        ]
        return Persons(*map(torch.cat, zip(*chunks, strict=True)))

    @torch.inference_mode()
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
            target, batch['target_visible'], shape, self.skeleton, radius * PERSON_RADIUS
        )
        placement = compose_affines(matrices, invert_affine(batch['target_matrix']))
        pasted = warp(
            torch.cat([persons, torch.ones_like(persons[:, :1])], dim=1), placement, shape
        )
        alpha = alpha * pasted[:, 3:] * inside
        return torch.lerp(images, pasted[:, :3], alpha)


def synthesize_in_image(
    synthesizer: Synthesizer, image: NDArray[np.uint8], plan: Plan
) -> tuple[NDArray[np.uint8], NDArray[Any], bool]:
    """Replace one person in a whole image; only the part around the person is computed.

    Args:
        synthesizer: What does it.
        image: (H, W, 3) uint8 BGR.
        plan: A plan made from this image.

    Returns:
        The new image, same shape (the image itself where the person was refused); (K,) bool,
        joints that passed the check; and whether the person was accepted.
    """
    return synthesize_in_images(synthesizer, [image], [plan])[0]


def synthesize_in_images(
    synthesizer: Synthesizer, images: Sequence[NDArray[np.uint8]], plans: Sequence[Plan]
) -> list[tuple[NDArray[np.uint8], NDArray[Any], bool]]:
    """Replace one person in each of some images of any sizes; generated as one batch.

    Args:
        synthesizer: What does it.
        images: (H, W, 3) uint8 BGR each.
        plans: One for each image, made from it.

    Returns:
        What :func:`synthesize_in_image` returns, for each image.
    """
    if not plans:
        return []
    generated = synthesizer.generate(plans)
    joints_ok, accepted = generated.joints_ok.cpu().numpy(), generated.accepted.tolist()
    replaced = [
        _replace(synthesizer, image, plan, generated.persons[i : i + 1]) if accepted[i] else image
        for i, (image, plan) in enumerate(zip(images, plans, strict=True))
    ]
    return list(zip(replaced, joints_ok, accepted, strict=True))


def _replace(
    synthesizer: Synthesizer, image: NDArray[np.uint8], plan: Plan, person: Tensor
) -> NDArray[np.uint8]:
    """The image with a synthesised person (1, 3, h, w) in the place of the original."""
    left, top, right, bottom = affected_window(plan)
    window = image[top:bottom, left:right]
    tensor = torch.from_numpy(window.transpose(2, 0, 1).copy())[None]
    matrix = torch.tensor([[[1.0, 0.0, -left], [0.0, 1.0, -top]]])
    pixels = synthesizer.composite(tensor, [plan], person, matrix)[0].permute(1, 2, 0)
    replaced = image.copy()
    replaced[top:bottom, left:right] = pixels.round().to(torch.uint8).cpu().numpy()
    return replaced


def affected_window(plan: Plan) -> tuple[int, int, int, int]:
    """Box around everything that changes, and some background to fill the hole from.

    Returns:
        Left, top, right and bottom in image pixels, the latter two exclusive.
    """
    joints = np.concatenate(
        [
            plan.source_keypoints[plan.source_visible > 0],
            plan.target_keypoints[plan.target_visible > 0],
        ]
    )
    margin = 4 * HOLE_RADIUS * float(plan.limb_radius[0])
    low = np.maximum(np.floor(joints.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(joints.max(axis=0) + margin) + 1, plan.image_size).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
