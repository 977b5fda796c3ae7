"""Doing: one generator call for a batch of plans, labels checked, composited where wanted."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from pg2aug.augment.checks.label_check import LabelCheck
from pg2aug.augment.extras.pool import PersonPool
from pg2aug.augment.person_plan import PersonPlan
from pg2aug.augment.settings import SynthesisSettings
from pg2aug.augment.synthesis.batches import (
    CropPlans,
    Drawn,
    Persons,
    PlanBatch,
    ScenePlans,
    Scenes,
    TensorBatch,
    most_in_front,
    send_scenes,
)
from pg2aug.augment.synthesis.compositing import composite_persons
from pg2aug.augment.synthesis.drawing import generator_input, in_scene, synthesis
from pg2aug.augment.synthesis.graphs import GraphedCall, bucket, pad
from pg2aug.augment.synthesis.inference import Generator, inference_model, network_dtype
from pg2aug.poses.skeleton import Skeleton

_R = TypeVar('_R')


@dataclass(frozen=True)
class Result:
    """What became of a batch of plans.

    Attributes:
        images: (N, 3, H, W) float32 BGR in [0, 255]: the person replaced where it was accepted.
        made: (N, 3 or 4, h, w), the persons as generated; see :class:`Persons`.
        joints_ok: (N, K) bool, labelled joints that passed the label check.
        accepted: (N,) bool, persons with enough of such joints, all of whose pixels are finite; the
            others are not to be used.
    """

    images: Tensor
    made: Tensor
    joints_ok: Tensor
    accepted: Tensor


@dataclass(frozen=True)
class _Images(TensorBatch):
    images: Tensor


def _check_some(plans: Sequence[PersonPlan]) -> None:
    if not len(plans):
        raise ValueError(
            'Synthesizer was given an empty list of plans: give it at least one, or leave out the '
            'call where nobody is to be replaced'
        )


def _exact(method: Callable[..., _R]) -> Callable[..., _R]:
    """Run a method of Synthesizer without gradients, and out of the caller's autocast.

    A pose model calls its preprocessor, and with it PG2Hook, under autocast. The precision of the
    generator's networks is the synthesizer's own, and all else is exact.
    """

    @functools.wraps(method)
    def run(self: 'Synthesizer', *args: Any, **kwargs: Any) -> _R:
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            return method(self, *args, **kwargs)

    return run


class Synthesizer:
    """Synthesise persons in new poses and put them into images.

    Args:
        model: A trained PG2 in evaluation mode, or a generator that needs no training.
        check: Label check; None accepts all that is finite. That of the settings is built by
            :meth:`SynthesisSettings.build_check`.
        settings: What else there is to set.
        max_batch: Persons synthesised at once, which bounds the memory taken.
        device: Where to do it.

    Raises:
        ValueError: If an argument is out of range, or CUDA graphs are wanted of another device.
    """

    def __init__(
        self,
        model: Generator,
        check: LabelCheck | None,
        settings: SynthesisSettings | None = None,
        max_batch: int = 64,
        device: str | torch.device = 'cpu',
    ) -> None:
        if max_batch < 1:
            raise ValueError(f'max_batch must be at least 1, got {max_batch}')
        self.settings = SynthesisSettings() if settings is None else settings
        self.device = torch.device(device)
        graphs = self.settings.cuda_graphs
        if graphs and self.device.type != 'cuda':
            raise ValueError(
                f'cuda_graphs=True needs a CUDA device, got {str(self.device)!r}: leave it out'
            )
        dtype = network_dtype(self.settings.precision, self.device)
        self.model = inference_model(model, self.device, dtype, self.settings.compile)
        self.skeleton: Skeleton = model.skeleton
        self.check = check
        self.max_batch = max_batch
        self.pool: PersonPool | None = None
        """Where persons are kept who will be wanted again; set by PG2Hook."""
        self._not_finite = torch.zeros((), dtype=torch.int64, device=self.device)
        self.padded = graphs
        """Whether batches are padded to a power of two, or to ``max_batch``: for CUDA graphs."""
        self._draw: Callable[[CropPlans], Drawn] = self._drawn
        self._paste: Callable[[Scenes], _Images] = self._pasted
        if graphs:
            self._draw = GraphedCall(self._drawn, self.device)
            self._paste = GraphedCall(self._pasted, self.device)

    @_exact
    def __call__(self, images: Tensor, plans: Sequence[PersonPlan], matrices: Tensor) -> Result:
        """Replace the persons of a batch of images.

        Args:
            images: (N, 3, H, W) float BGR in [0, 255], in the final frame, on any device.
            plans: One plan for each image.
            matrices: (N, 2, 3), image as loaded to final frame.

        Returns:
            The result, on the synthesizer's device.

        Raises:
            ValueError: If there is no plan.
        """
        _check_some(plans)
        results = [
            self._synthesize(images[rows], plans[rows], matrices[rows])
            for rows in self._chunks(plans)
        ]
        if len(results) == 1:
            return results[0]
        names = Result.__dataclass_fields__
        return Result(*(torch.cat([getattr(r, name) for r in results]) for name in names))

    @_exact
    def generate(self, plans: Sequence[PersonPlan]) -> Persons:
        """Synthesise and check the persons of some plans, without images to put them into.

        Raises:
            ValueError: If there is no plan.
        """
        _check_some(plans)
        chunks = [self._generate(plans[rows]) for rows in self._chunks(plans)]
        return Persons(*map(torch.cat, zip(*chunks, strict=True)))

    @_exact
    def in_scene(self, plans: Sequence[PersonPlan], made: Tensor) -> Tensor:
        """Synthesised persons as a label check sees them: before the source's surroundings.

        Args:
            plans: What they were synthesised from.
            made: (N, 3 or 4, h, w) as generated, on the synthesizer's device.

        Returns:
            (N, 3, h, w) float32 BGR in [0, 255].
        """
        given = generator_input(PlanBatch.send(plans, self.device).crops)
        return in_scene(made, given, self.skeleton)

    @_exact
    def composite(
        self, images: Tensor, plans: Sequence[PersonPlan], made: Tensor, matrices: Tensor
    ) -> Tensor:
        """Put synthesised persons in the place of the original ones.

        Args:
            images: See :meth:`__call__`.
            plans: What the persons were synthesised from.
            made: (N, 3 or 4, h, w) as generated, on the synthesizer's device.
            matrices: See :meth:`__call__`.

        Returns:
            (N, 3, H, W) float32 BGR in [0, 255].
        """
        images = images.to(self.device, torch.float32)
        matrices = matrices.to(self.device, torch.float32)
        plans_there = send_scenes(plans, self.device)
        return self._pasted(_scenes(plans_there, images, matrices, made)).images

    def take_not_finite(self) -> int:
        """How many persons were refused since the last call because they were not finite."""
        count = int(self._not_finite)
        self._not_finite.zero_()
        return count

    def _accepted(self, accepted: Tensor, pixels: Tensor) -> Tensor:
        """Which of N accepted persons have nothing but finite values in (N, C, H, W) pixels.

        Without waiting for the device. Nothing else keeps out what a generator or an estimator
        with a weight that is not a number makes: it would be trained on.
        """
        finite = torch.isfinite(pixels).flatten(1).all(1)
        self._not_finite += (accepted & ~finite).sum()
        return accepted & finite

    def _chunks(self, plans: Sequence[PersonPlan]) -> list[slice]:
        return [slice(i, i + self.max_batch) for i in range(0, len(plans), self.max_batch)]

    def _synthesize(self, images: Tensor, plans: Sequence[PersonPlan], matrices: Tensor) -> Result:
        count, size = len(plans), self._padded_size(len(plans))
        images = images.to(self.device, torch.float32, non_blocking=True)
        matrices = matrices.to(self.device, torch.float32, non_blocking=True)
        persons, there = self._persons(plans, size)
        made = pad(persons.made, size)
        scenes = _scenes(there, pad(images, size), pad(matrices, size), made)
        replaced = self._paste(scenes).images[:count]
        accepted = self._accepted(persons.accepted, replaced)
        images = torch.where(accepted[:, None, None, None], replaced, images)
        return Result(images, persons.made, persons.joints_ok, accepted)

    def _persons(self, plans: Sequence[PersonPlan], size: int) -> tuple[Persons, ScenePlans]:
        """The persons of some plans, and where they go: ``size`` rows, the last one repeated."""
        padded = [*plans, *[plans[-1]] * (size - len(plans))]
        room = self._people_in_front(plans)
        if self.pool is not None:
            persons = self.pool.serve(plans, self._generate_to_keep)
            return persons, send_scenes(padded, self.device, room)
        batch = PlanBatch.send(padded, self.device, room)
        return self._checked(self._draw(batch.crops), batch, len(plans)), batch.scenes

    def _padded_size(self, count: int) -> int:
        return bucket(count, self.max_batch) if self.padded else count

    def _people_in_front(self, plans: Sequence[PersonPlan]) -> int:
        most = most_in_front(plans)
        return bucket(most, len(plans[0].front_radius)) if self.padded and most else most

    def _generate(self, plans: Sequence[PersonPlan]) -> Persons:
        batch = PlanBatch.send(plans, self.device)
        return self._checked(self._drawn(batch.crops), batch, len(plans))

    def _generate_to_keep(self, plans: Sequence[PersonPlan]) -> Persons:
        size = self._padded_size(len(plans))
        padded = [*plans, *[plans[-1]] * (size - len(plans))]
        batch = PlanBatch.send(padded, self.device, self._people_in_front(plans))
        return self._checked(self._draw(batch.crops), batch, len(plans))

    def _drawn(self, plans: CropPlans) -> Drawn:
        given = generator_input(plans)
        made = self.model.synthesize(given.tensors(), self.settings.refine)
        # Only a check looks at persons before they are put anywhere.
        scene = None if self.check is None else in_scene(made, given, self.skeleton)
        return Drawn(**given.tensors(), made=made, in_scene=scene)

    def _checked(self, drawn: Drawn, batch: PlanBatch, count: int) -> Persons:
        """The first persons, with the verdict of the check."""
        drawn = drawn.map(lambda tensor: tensor[:count])
        visible = batch.target_visible[:count]
        labelled = visible > 0
        joints_ok = labelled
        if self.check is not None:
            joints_ok = self.check(synthesis(drawn, visible, self.skeleton)) & labelled
        share = joints_ok.sum(dim=1) / labelled.sum(dim=1).clamp_min(1)
        accepted = self._accepted(share >= self.settings.min_joints_ok, drawn.made)
        return Persons(drawn.made, joints_ok, accepted)

    def _pasted(self, scenes: Scenes) -> _Images:
        return _Images(composite_persons(scenes, self.skeleton, self.settings.remove_source))


def _scenes(plans: ScenePlans, images: Tensor, matrices: Tensor, made: Tensor) -> Scenes:
    return Scenes(**plans.tensors(), images=images, matrices=matrices, made=made)
