"""The slow paths that are compared with: eager, float32, contiguous, an array at a time."""

import copy
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed.setup import Batch
from pg2aug.augment import LabelCheck
from pg2aug.augment.synthesis.batches import (
    CropPlans,
    Drawn,
    GeneratorInput,
    ScenePlans,
    Scenes,
    most_in_front,
)
from pg2aug.augment.synthesis.compositing import composite_persons
from pg2aug.augment.synthesis.drawing import generator_input, in_scene, synthesis
from pg2aug.models.assembly import coarse_image, judged_part, refined_image
from pg2aug.models.losses import adversarial_loss, masked_l1, matte_l1
from pg2aug.models.preprocessor import to_image_range


def plain_copy(model: nn.Module, device: str) -> Any:
    """A model of its own, with its weights in the plain layout."""
    return copy.deepcopy(model).to(device, torch.float32, memory_format=torch.contiguous_format)


class PlainSynthesizer:
    """What :class:`pg2aug.augment.Synthesizer` does, step by step, with the same modules.

    Args:
        model: From :func:`plain_copy`.
        check: Label check.
        device: Where to do it.
        min_joints_ok: Share of a person's labelled joints that must pass the check.
    """

    def __init__(
        self, model: Any, check: LabelCheck, device: str, min_joints_ok: float = 0.7
    ) -> None:
        self.model, self.check, self.device = model, check, device
        self.min_joints_ok = min_joints_ok

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Tensor:
        """(N, 3, H, W) images with the persons replaced where they were accepted."""
        arrays = [plan.to_dict() for plan in batch.plans]
        on_device = {
            name: torch.stack([torch.from_numpy(a[name]) for a in arrays]).to(self.device)
            for name in arrays[0]
        }
        images, matrices = batch.images.to(self.device), batch.matrices.to(self.device)
        for name in ('front_keypoints', 'front_visible', 'front_radius'):
            on_device[name] = on_device[name][:, : most_in_front(batch.plans)]
        crops, places = (
            kind(**{field.name: on_device[field.name] for field in fields(kind)})
            for kind in (CropPlans, ScenePlans)
        )
        skeleton, visible = self.model.skeleton, on_device['target_visible']
        given = generator_input(crops).map(Tensor.contiguous)
        made = self._generate(given)
        drawn = Drawn(**given.tensors(), made=made, in_scene=in_scene(made, given, skeleton))
        joints_ok = self.check(synthesis(drawn, visible, skeleton))
        share = joints_ok.sum(dim=1) / (visible > 0).sum(dim=1).clamp_min(1)
        scenes = Scenes(**places.tensors(), images=images, matrices=matrices, made=made)
        replaced = composite_persons(scenes, skeleton)
        return torch.where((share >= self.min_joints_ok)[:, None, None, None], replaced, images)

    def _generate(self, given: GeneratorInput) -> Tensor:
        batch = self.model.data_preprocessor(given.tensors())
        coarse = coarse_image(self.model.generator1, batch)
        made = refined_image(self.model.generator2, coarse, batch['condition'])
        return torch.cat([to_image_range(made[:, :3]), made[:, 3:]], dim=1)


class PlainTraining:
    """Both stages of PG2 as they are written down, for the scheme 'pairs'.

    Float32, contiguous, one Adam a network without fused or grouped updates, and in stage II the
    generators run once for their own step and once more for the discriminator's.

    Args:
        model: From :func:`plain_copy`; trained in place.
        lr: Learning rate.
    """

    def __init__(self, model: Any, lr: float = 2e-5) -> None:
        self.model = model
        self.optimizers = {
            name: torch.optim.Adam(
                getattr(model, name).parameters(), lr, betas=(0.5, 0.999), foreach=False
            )
            for name in ('generator1', 'generator2', 'discriminator')
        }

    def step(self, data: dict[str, Any], stage: str) -> dict[str, Tensor]:
        """Train on a batch of PersonPairDataset; losses by the names of PG2's own."""
        batch = self.model.data_preprocessor(data, training=True)
        return self._stage1(batch) if stage == 'stage1' else self._stage2(batch)

    def _stage1(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        loss = self._image_loss(coarse_image(self.model.generator1, batch), batch)
        self._update('generator1', loss)
        return {'loss_g1': loss}

    def _stage2(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        model, condition = self.model, batch['condition']
        made, coarse = self._generate(batch)
        loss_adv = adversarial_loss(model.discriminator(judged_part(made, coarse), condition), True)
        loss_l1 = self._image_loss(made, batch)
        self._update('generator2', loss_adv + model.l1_weight * loss_l1)

        with torch.no_grad():
            made, coarse = self._generate(batch)
        real, fake = judged_part(batch['target'], coarse), judged_part(made, coarse)
        loss_real = adversarial_loss(model.discriminator(real, condition), True)
        loss_fake = adversarial_loss(model.discriminator(fake, condition), False)
        loss_d = (loss_real + loss_fake) / 2
        self._update('discriminator', loss_d)
        return {'loss_l1': loss_l1, 'loss_adv': loss_adv, 'loss_d': loss_d}

    def _generate(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            coarse = coarse_image(self.model.generator1, batch)
        return refined_image(self.model.generator2, coarse, batch['condition']), coarse

    def _image_loss(self, image: Tensor, batch: dict[str, Tensor]) -> Tensor:
        if image.shape[1] == 3:
            return masked_l1(image, batch['target'], batch['mask'], self.model.mask_weight)
        return matte_l1(image, *(batch[n] for n in ('target', 'background', 'mask', 'core')))

    def _update(self, name: str, loss: Tensor) -> None:
        self.model.zero_grad()
        loss.backward()
        self.optimizers[name].step()
