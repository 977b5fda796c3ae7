"""PG2, the whole model: two generators, a discriminator, and how they are trained."""

from typing import Any

import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn

from pg2aug.models.discriminator import PairDiscriminator
from pg2aug.models.generators import PoseIntegrationGenerator, RefinementGenerator
from pg2aug.models.losses import adversarial_loss, masked_l1
from pg2aug.registry import MODELS


@MODELS.register_module()
class PG2(BaseModel):
    """Pose Guided Person Image Generation (Ma et al., NIPS 2017).

    Training has two stages inside one run: for ``stage1_iters`` iterations G1 learns the pose with
    the masked L1 loss; after that G1 is frozen, and G2 and D learn in turn.

    Args:
        size: (width, height) of all images.
        num_keypoints: Number of joints of the skeleton.
        generator1: Arguments of :class:`PoseIntegrationGenerator`.
        generator2: Arguments of :class:`RefinementGenerator`.
        discriminator: Arguments of :class:`PairDiscriminator`.
        stage1_iters: Iterations of stage I (``stage1_iters`` of the config, through
            :func:`pg2aug.engine.training.build_runner`).
        l1_weight: Lambda of equation 3: weight of the masked L1 against the adversarial loss; 10
            for Market-1501 and 50 for DeepFashion in the authors' code.
        data_preprocessor: Config of :class:`PG2DataPreprocessor`.
    """

    def __init__(
        self,
        size: tuple[int, int],
        num_keypoints: int,
        generator1: dict[str, Any],
        generator2: dict[str, Any],
        discriminator: dict[str, Any],
        stage1_iters: int,
        l1_weight: float,
        data_preprocessor: dict[str, Any],
    ) -> None:
        super().__init__(data_preprocessor=MODELS.build(dict(data_preprocessor, _scope_='pg2aug')))
        self.size = tuple(size)
        self.generator1: nn.Module = PoseIntegrationGenerator(size, num_keypoints, **generator1)
        self.generator2: nn.Module = RefinementGenerator(size, **generator2)
        self.discriminator: nn.Module = PairDiscriminator(size, **discriminator)
        # Convolutions in 16 bits are several times faster in this layout, and never slower.
        self.to(memory_format=torch.channels_last)
        self.stage1_iters = stage1_iters
        self.l1_weight = l1_weight
        skeleton = self.data_preprocessor.skeleton
        if skeleton.num_keypoints != num_keypoints:
            raise ValueError(
                f'model.num_keypoints is {num_keypoints}, but the skeleton of '
                f'model.data_preprocessor.metainfo has {skeleton.num_keypoints} joints'
            )

    def forward(
        self,
        condition: Tensor,
        pose: Tensor,
        mask: Tensor | None = None,
        target: Tensor | None = None,
        mode: str = 'tensor',
    ) -> tuple[Tensor, Tensor]:
        """Synthesise persons.

        Args:
            condition: (N, 3, H, W) condition images, RGB in [-1, 1].
            pose: (N, K, H, W) heatmaps of the target poses.
            mask: Not used; part of a preprocessed batch.
            target: Not used; part of a preprocessed batch.
            mode: 'tensor' or 'predict', which are the same here.

        Returns:
            Coarse and refined images, (N, 3, H, W), linear output around [-1, 1].

        Raises:
            ValueError: For mode 'loss': training goes through :meth:`train_step`, because two
                optimisers step on different losses.
        """
        if mode not in ('tensor', 'predict'):
            raise ValueError(f"mode must be 'tensor' or 'predict', got {mode!r}; see train_step")
        coarse = self.generator1(condition, pose)
        return coarse, coarse + self.generator2(coarse, condition)

    def train_step(
        self, data: dict[str, Any], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """One iteration of the stage that the running iteration belongs to.

        The discriminator step reuses the batch and the image of the generator step: one forward
        pass of G1 and G2 an iteration.

        Args:
            data: A batch of :class:`pg2aug.datasets.PersonPairDataset`.
            optim_wrapper: Wrappers named 'generator1', 'generator2' and 'discriminator'.

        Returns:
            Losses to log.
        """
        batch = self.data_preprocessor(data, training=True)
        if self._iteration() < self.stage1_iters:
            return self._train_stage1(batch, optim_wrapper)
        return self._train_stage2(batch, optim_wrapper)

    def _iteration(self) -> int:
        # The Runner keeps its iteration in the message hub and restores it on resume.
        return int(MessageHub.get_current_instance().get_info('iter', 0))

    def _train_stage1(
        self, batch: dict[str, Tensor], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        wrapper = optim_wrapper['generator1']
        with wrapper.optim_context(self.generator1):
            coarse = self.generator1(batch['condition'], batch['pose'])
            loss = masked_l1(coarse, batch['target'], batch['mask'])
        wrapper.update_params(loss)
        return {'loss_g1': loss.detach()}

    def _train_stage2(
        self, batch: dict[str, Tensor], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        condition, target = batch['condition'], batch['target']
        # Without gradients G1 is frozen by construction: nothing can reach its optimiser.
        with torch.no_grad(), optim_wrapper['generator1'].optim_context(self.generator1):
            coarse = _unwrap(self.generator1)(condition, batch['pose'])

        wrapper = optim_wrapper['generator2']
        # The bare module: a distributed wrapper would wait for gradients that D must not get here.
        judge = _unwrap(self.discriminator).requires_grad_(False)
        with wrapper.optim_context(self.generator2):
            refined = coarse + self.generator2(coarse, condition)
            loss_adv = adversarial_loss(judge(refined, condition), real=True)
            loss_l1 = masked_l1(refined, target, batch['mask'])
            loss_g2 = loss_adv + self.l1_weight * loss_l1
        wrapper.update_params(loss_g2)
        judge.requires_grad_(True)

        wrapper = optim_wrapper['discriminator']
        fake = refined.detach()
        with wrapper.optim_context(self.discriminator):
            loss_real = adversarial_loss(self.discriminator(target, condition), real=True)
            loss_fake = adversarial_loss(self.discriminator(fake, condition), real=False)
            loss_d = (loss_real + loss_fake) / 2
        wrapper.update_params(loss_d)
        # The coarse image's loss beside the refined one's: stage II must not undo stage I.
        loss_g1 = masked_l1(coarse, target, batch['mask'])
        losses = dict(loss_g1=loss_g1, loss_l1=loss_l1, loss_adv=loss_adv, loss_d=loss_d)
        return {name: loss.detach() for name, loss in losses.items()}

    def val_step(self, data: dict[str, Any]) -> list[tuple[Tensor, Tensor]]:
        """Synthesise a batch; returns one (coarse, refined) pair of (3, H, W) images a sample."""
        batch = self.data_preprocessor(data, training=False)
        return list(zip(*self(**batch, mode='predict'), strict=True))

    test_step = val_step


def _unwrap(module: nn.Module) -> nn.Module:
    """The module itself, out of a distributed wrapper if it is in one."""
    return module.module if is_model_wrapper(module) else module  # type: ignore[return-value]
