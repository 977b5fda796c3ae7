"""PG2's training step as the paper has it, slow and plain, for speed.py to compare with."""

from typing import Any

import torch
from torch import Tensor

from pg2aug.models.assembly import coarse_image, judged_part, refined_image
from pg2aug.models.losses import adversarial_loss, masked_l1, matte_l1


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
