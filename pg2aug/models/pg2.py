"""PG2, the whole model: two generators, a discriminator, and how they are trained."""

from typing import Any

import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from pg2aug.models.assembly import coarse_image, judged_part, refined_image
from pg2aug.models.discriminator import Discriminator
from pg2aug.models.generators import PoseIntegrationGenerator, RefinementGenerator
from pg2aug.models.losses import adversarial_loss, masked_l1, matte_l1
from pg2aug.models.preprocessor import to_image_range
from pg2aug.poses.skeleton import Skeleton
from pg2aug.registry import MODELS

_WARP_CHANNELS = 4


@MODELS.register_module()
class PG2(BaseModel):
    """Pose Guided Person Image Generation (Ma et al., NIPS 2017).

    Training has two stages inside one run: for ``stage1_iters`` iterations G1 learns the pose with
    the masked L1 loss; after that G1 is frozen, and G2 and D learn in turn. The systems that the
    paper compares it with (Table 1) leave parts out: without G2, stage II is the one-stage model
    in which G1 and D learn in turn; without D there is stage I only.

    Not in the paper, and named options of the data preprocessor: with ``aligned``, G1 corrects the
    condition's limbs laid into the target pose; with ``matte``, it also predicts a matte, and
    only the person is judged by D.

    Args:
        size: (width, height) of all images.
        num_keypoints: Number of joints of the skeleton.
        generator1: Arguments of :class:`PoseIntegrationGenerator`.
        generator2: Arguments of :class:`RefinementGenerator`; None for none.
        discriminator: Arguments of :class:`Discriminator`; None for none.
        stage1_iters: Iterations of stage I (``stage1_iters`` of the config, through
            :func:`pg2aug.engine.training.build_runner`).
        l1_weight: Lambda of equation 3: weight of the masked L1 against the adversarial loss; 10
            for Market-1501 and 50 for DeepFashion in the authors' code.
        data_preprocessor: Config of :class:`PG2DataPreprocessor`.
        mask_weight: Weight of the pose mask in the L1 loss; with 0 it is the plain L1 loss.

    Raises:
        ValueError: If the number of joints is not the metainfo's, or there is a G2 without a D.
    """

    def __init__(
        self,
        size: tuple[int, int],
        num_keypoints: int,
        generator1: dict[str, Any],
        generator2: dict[str, Any] | None,
        discriminator: dict[str, Any] | None,
        stage1_iters: int,
        l1_weight: float,
        data_preprocessor: dict[str, Any],
        mask_weight: float = 1.0,
    ) -> None:
        coordinates = generator1.get('pose_embedding') == 'coordinates'
        settings = dict(data_preprocessor, coordinates=coordinates, _scope_='pg2aug')
        super().__init__(data_preprocessor=MODELS.build(settings))
        self.size = tuple(size)
        aligned, matte = self.data_preprocessor.aligned, self.data_preprocessor.matte
        self.generator1: nn.Module = PoseIntegrationGenerator(
            size,
            num_keypoints,
            extra_channels=_WARP_CHANNELS if aligned else 0,
            out_channels=4 if matte else 3,
            **generator1,
        )
        if aligned:
            # What it starts to correct is the warp itself, not noise added to it.
            nn.init.zeros_(self.generator1.head.weight)
        if generator2 is not None and discriminator is None:
            raise ValueError('a generator2 without a discriminator has nothing to learn from')
        self.generator2: nn.Module | None = (
            None if generator2 is None else RefinementGenerator(size, **generator2)
        )
        self.discriminator: nn.Module | None = (
            None if discriminator is None else Discriminator(size, **discriminator)
        )
        # Convolutions in 16 bits are several times faster in this layout, and never slower.
        self.to(memory_format=torch.channels_last)
        self.stage1_iters = stage1_iters
        self.l1_weight = l1_weight
        self.mask_weight = mask_weight
        if self.skeleton.num_keypoints != num_keypoints:
            raise ValueError(
                f'model.num_keypoints is {num_keypoints}, but the skeleton of '
                f'model.data_preprocessor.metainfo has {self.skeleton.num_keypoints} joints'
            )

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the poses."""
        skeleton: Skeleton = self.data_preprocessor.skeleton
        return skeleton

    def forward(
        self,
        condition: Tensor,
        pose: Tensor,
        warp: Tensor | None = None,
        support: Tensor | None = None,
        mode: str = 'tensor',
        **training: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Synthesise persons.

        Args:
            condition: (N, 3, H, W) condition images, RGB in [-1, 1].
            pose: (N, K, H, W) heatmaps of the target poses.
            warp: (N, 4, H, W), if aligned; see :class:`PG2DataPreprocessor`.
            support: (N, 1, H, W), with a matte.
            mode: 'tensor' or 'predict', which are the same here.
            training: Not used; the rest of a preprocessed batch.

        Returns:
            Coarse and refined images, (N, 3, H, W), linear output around [-1, 1]; with a matte
            (N, 4, H, W), the last channel being the matte in [0, 1]. Without G2 they are the
            same.

        Raises:
            ValueError: For mode 'loss': training goes through :meth:`train_step`, because two
                optimisers step on different losses.
        """
        if mode not in ('tensor', 'predict'):
            raise ValueError(f"mode must be 'tensor' or 'predict', got {mode!r}; see train_step")
        batch = dict(condition=condition, pose=pose, warp=warp, support=support)
        coarse = coarse_image(self.generator1, batch)
        return coarse, self._refined_image(coarse, condition)

    def synthesize(self, data: dict[str, Any], refine: bool = True) -> Tensor:
        """Synthesise the persons of a batch as images.

        Args:
            data: See :class:`PG2DataPreprocessor`.
            refine: Whether to use the refined image, where there is a G2, or the coarse one (G1).

        Returns:
            (N, 3, H, W) float32 BGR in [0, 255]; with a matte (N, 4, H, W), the last channel being
            the matte in [0, 1].
        """
        batch = self.data_preprocessor(data)
        made = coarse_image(self.generator1, batch)
        if refine and self.generator2 is not None:
            made = refined_image(self.generator2, made, batch['condition'])
        return torch.cat([to_image_range(made[:, :3]), made[:, 3:].float()], dim=1)

    def train_step(
        self, data: dict[str, Any], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """One iteration of the stage that the running iteration belongs to.

        The discriminator step reuses the batch, the image and the verdict on it of the generator
        step: one forward pass of G1 and G2 an iteration, and of D one an image.

        Args:
            data: A batch of :class:`pg2aug.datasets.PersonPairDataset`.
            optim_wrapper: Wrappers named 'generator1', 'generator2' and 'discriminator'.

        Returns:
            Losses to log.
        """
        batch = self.data_preprocessor(data, training=True)
        if self._iteration() < self.stage1_iters:
            return self._train_stage1(batch, optim_wrapper)
        return self._train_adversarial(batch, optim_wrapper)

    def _iteration(self) -> int:
        # The Runner keeps its iteration in the message hub and restores it on resume.
        return int(MessageHub.get_current_instance().get_info('iter', 0))

    def _train_stage1(
        self, batch: dict[str, Tensor], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        wrapper = optim_wrapper['generator1']
        with wrapper.optim_context(self.generator1):
            loss = self._image_loss(coarse_image(self.generator1, batch), batch)
        wrapper.update_params(loss)
        return {'loss_g1': loss.detach()}

    def _train_adversarial(
        self, batch: dict[str, Tensor], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """A step of G2 and then one of D; in the one-stage model of G1 and then of D."""
        discriminator = self.discriminator
        if discriminator is None:
            raise ValueError('this model has no discriminator: it has no stage II to train')
        name = 'generator1' if self.generator2 is None else 'generator2'
        generator, wrapper = getattr(self, name), optim_wrapper[name]
        wrapper_d = optim_wrapper['discriminator']
        frozen = self._frozen_coarse_image(batch, optim_wrapper['generator1'])

        with wrapper.optim_context(generator), wrapper_d.optim_context(discriminator):
            coarse = coarse_image(self.generator1, batch) if frozen is None else frozen
            made = self._refined_image(coarse, batch['condition'])
            # One verdict on the fake serves both steps: D does not change before its own.
            verdict = discriminator(judged_part(made, coarse), batch['condition'])
            loss_adv = adversarial_loss(verdict, real=True)
            loss_l1 = self._image_loss(made, batch)
        _update(wrapper, generator, loss_adv + self.l1_weight * loss_l1, retain_graph=True)

        with wrapper_d.optim_context(discriminator):
            real = judged_part(batch['target'], coarse.detach())
            loss_d = _discriminator_loss(discriminator, real, verdict, batch['condition'])
        _update(wrapper_d, discriminator, loss_d)

        losses = dict(loss_l1=loss_l1, loss_adv=loss_adv, loss_d=loss_d)
        if frozen is not None:
            # The coarse image's loss beside the refined one's: stage II must not undo stage I.
            losses = dict(loss_g1=self._image_loss(frozen, batch), **losses)
        return {name: loss.detach() for name, loss in losses.items()}

    def _frozen_coarse_image(
        self, batch: dict[str, Tensor], wrapper: OptimWrapper
    ) -> Tensor | None:
        """What G1 gives G2 to refine; None without G2, where G1 is not frozen."""
        if self.generator2 is None:
            return None
        # Without gradients G1 is frozen by construction: nothing can reach its optimiser.
        with torch.no_grad(), wrapper.optim_context(self.generator1):
            return coarse_image(_unwrap(self.generator1), batch)

    def _refined_image(self, coarse: Tensor, condition: Tensor) -> Tensor:
        """The coarse image itself without G2."""
        if self.generator2 is None:
            return coarse
        return refined_image(self.generator2, coarse, condition)

    def _image_loss(self, image: Tensor, batch: dict[str, Tensor]) -> Tensor:
        if image.shape[1] == 3:
            return masked_l1(image, batch['target'], batch['mask'], self.mask_weight)
        parts = {name: batch[name] for name in ('target', 'background', 'mask', 'core')}
        return matte_l1(image, **parts, mask_weight=self.mask_weight)

    def val_step(self, data: dict[str, Any]) -> list[tuple[Tensor, Tensor]]:
        """Synthesise a batch; returns one (coarse, refined) pair of (3, H, W) images a sample.

        With a matte the persons stand in the background of their target images, on grey without.
        """
        batch = self.data_preprocessor(data, training=False)
        made = self(**batch, mode='predict')
        if self.data_preprocessor.matte:
            scene = batch.get('background', torch.zeros_like(batch['condition']))
            made = tuple(torch.lerp(scene, m[:, :3], m[:, 3:]) for m in made)
        return list(zip(*made, strict=True))

    test_step = val_step


def _discriminator_loss(
    discriminator: nn.Module, real: Tensor, verdict: Tensor, condition: Tensor
) -> Tensor:
    """Equation 2 of the paper; half of it for what is real and half for all fakes together."""
    loss_real = adversarial_loss(discriminator(real, condition), real=True)
    verdicts = [verdict]
    if _unwrap(discriminator).scheme == 'triplet':
        verdicts.append(discriminator(condition, condition))
    losses = [adversarial_loss(logits, real=False) for logits in verdicts]
    return (loss_real + torch.stack(losses).mean()) / 2


def _update(
    wrapper: OptimWrapper, network: nn.Module, loss: Tensor, retain_graph: bool = False
) -> None:
    """``wrapper.update_params(loss)``, with gradients of this network's parameters alone."""
    inputs = list(network.parameters())
    wrapper.backward(wrapper.scale_loss(loss), inputs=inputs, retain_graph=retain_graph)
    if wrapper.should_update():
        wrapper.step()
        wrapper.zero_grad()


def _unwrap(module: nn.Module) -> nn.Module:
    """The module itself, out of a distributed wrapper if it is in one."""
    return module.module if is_model_wrapper(module) else module  # type: ignore[return-value]
