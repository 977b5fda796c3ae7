"""Doing: one generator call for a batch of plans, labels checked, composited where wanted."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from pg2aug.augment.checks.label_check import LabelCheck
from pg2aug.augment.extras.detail import Generator
from pg2aug.augment.extras.pool import Kept, PersonPool
from pg2aug.augment.person_plan import PersonPlan
from pg2aug.augment.synthesis.compositing import composite_persons
from pg2aug.augment.synthesis.drawing import generator_data, in_scene, synthesis
from pg2aug.augment.synthesis.graphs import GraphedCall, Tensors, bucket, pad
from pg2aug.augment.synthesis.inference import Precision, inference_model, network_dtype
from pg2aug.augment.synthesis.transfer import send
from pg2aug.poses.skeleton import Skeleton

_R = TypeVar('_R')
_IN_FRONT = 'front_keypoints', 'front_visible', 'front_radius'
# All that a step reads of plans, and no more: what is recorded depends on the shapes of all of it.
_DRAWN_FROM = (
    *('condition', 'condition_matrix', 'target_matrix', 'source_keypoints', 'source_visible'),
    *('target_keypoints', 'target_drawn', 'source_radius', 'target_radius'),
)
_PASTED_FROM = (
    *('target_matrix', 'source_keypoints', 'source_visible', 'target_keypoints', 'target_drawn'),
    *('source_radius', 'target_radius', 'image_size', *_IN_FRONT),
)


@dataclass(frozen=True)
class Result:
    """What became of a batch of plans.

    Attributes:
        images: (N, 3, H, W) float32 BGR in [0, 255]: the person replaced where it was accepted.
        joints_ok: (N, K) bool, labelled joints that passed the label check.
        accepted: (N,) bool, persons with enough of such joints; the others are not to be used.
        persons: (N, 3, h, w) float32 BGR in [0, 255], as they were checked; None from a
            synthesizer with a pool, which does not keep them.
    """

    images: Tensor
    joints_ok: Tensor
    accepted: Tensor
    persons: Tensor | None


class Persons(NamedTuple):
    """Synthesised persons, not yet in any image; see :class:`Result`.

    Attributes:
        made: (N, 3, h, w) float32 BGR in [0, 255], as generated; (N, 4, h, w) from a generator that
            knows the person's matte, which is the last channel.
    """

    made: Tensor
    persons: Tensor
    joints_ok: Tensor
    accepted: Tensor


def _chosen(batch: Tensors, names: Sequence[str]) -> Tensors:
    return {name: batch[name] for name in names}


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
        check: Label check; None accepts everything.
        min_joints_ok: Share of a person's labelled joints that must pass the check.
        refine: Whether to use the refined image (G2) or the coarse one (G1 alone).
        remove_source: Whether the original person is removed from the background first.
        max_batch: Persons synthesised at once, which bounds the memory taken.
        device: Where to do it.
        precision: Number format of the networks, see :func:`network_dtype`; all else is float32.
        compile: Whether to compile the networks (:func:`torch.compile`).
        cuda_graphs: Whether a GPU replays recorded steps in :meth:`__call__`, the only method that
            does. Batches are then padded to a power of two, or to ``max_batch``.

    Raises:
        ValueError: If an argument is out of range, or CUDA graphs are wanted of another device.
    """

    def __init__(
        self,
        model: Generator,
        check: LabelCheck | None,
        min_joints_ok: float = 0.7,
        refine: bool = True,
        remove_source: bool = True,
        max_batch: int = 64,
        device: str | torch.device = 'cpu',
        precision: Precision = 'auto',
        compile: bool = False,
        cuda_graphs: bool = False,
    ) -> None:
        if max_batch < 1:
            raise ValueError(f'max_batch must be at least 1, got {max_batch}')
        self.device = torch.device(device)
        if cuda_graphs and self.device.type != 'cuda':
            raise ValueError(
                f'cuda_graphs=True needs a CUDA device, got {str(self.device)!r}: leave it out'
            )
        dtype = network_dtype(precision, self.device)
        self.model = inference_model(model, self.device, dtype, compile)
        self.skeleton: Skeleton = model.skeleton
        self.check = check
        self.min_joints_ok = min_joints_ok
        self.refine = refine
        self.remove_source = remove_source
        self.max_batch = max_batch
        self.pool: PersonPool | None = None
        """Where persons are kept who will be wanted again; set by PG2Hook."""
        self._padded = cuda_graphs
        steps: list[Callable[[Tensors], Tensors]] = [self._drawn, self._pasted]
        if cuda_graphs:
            steps = [GraphedCall(step, self.device) for step in steps]
        self._draw, self._paste = steps

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
        joined: dict[str, Any] = {}
        for name in Result.__dataclass_fields__:
            parts = [getattr(chunk, name) for chunk in chunks]
            joined[name] = None if parts[0] is None else torch.cat(parts)
        return Result(**joined)

    @_exact
    def generate(self, plans: Sequence[PersonPlan]) -> Persons:
        """Synthesise and check the persons of some plans, without images to put them into.

        Raises:
            ValueError: If there is no plan.
        """
        _check_some(plans)
        chunks = [
            self._generate(plans[i : i + self.max_batch])
            for i in range(0, len(plans), self.max_batch)
        ]
        return Persons(*map(torch.cat, zip(*chunks, strict=True)))

    @_exact
    def composite(
        self, images: Tensor, plans: Sequence[PersonPlan], persons: Tensor, matrices: Tensor
    ) -> Tensor:
        """Put synthesised persons in the place of the original ones.

        Args:
            images: See :meth:`__call__`.
            plans: What the persons were synthesised from.
            persons: (N, 3 or 4, h, w) as generated, on the synthesizer's device.
            matrices: See :meth:`__call__`.

        Returns:
            (N, 3, H, W) float32 BGR in [0, 255].
        """
        images = images.to(self.device, torch.float32)
        matrices = matrices.to(self.device, torch.float32)
        return self._composited(images, persons, self._to_device(plans), matrices)

    def _synthesize(self, images: Tensor, plans: Sequence[PersonPlan], matrices: Tensor) -> Result:
        count, size = len(plans), self._padded_size(len(plans))
        batch = self._to_device([*plans, *[plans[-1]] * (size - count)])
        images = images.to(self.device, torch.float32, non_blocking=True)
        matrices = matrices.to(self.device, torch.float32, non_blocking=True)
        if self.pool is None:
            drawn = self._draw(_chosen(batch, _DRAWN_FROM))
            made = drawn['made']
            persons, joints_ok, accepted = self._checked(drawn, batch, count)
        else:
            kept = self.pool.serve(plans, self._generate_to_keep)
            made, joints_ok, accepted, persons = pad(kept.made, size), *kept[1:], None
        frame = dict(images=pad(images, size), matrices=pad(matrices, size), made=made)
        replaced = self._paste(_chosen(batch, _PASTED_FROM) | frame)['images'][:count]
        images = torch.where(accepted[:, None, None, None], replaced, images)
        return Result(images, joints_ok, accepted, persons)

    def _padded_size(self, count: int) -> int:
        return bucket(count, self.max_batch) if self._padded else count

    def _to_device(self, plans: Sequence[PersonPlan]) -> Tensors:
        arrays = [plan.to_dict() for plan in plans]
        most = max(int((plan.front_radius > 0).sum()) for plan in plans)
        if self._padded and most:
            most = bucket(most, len(plans[0].front_radius))
        for array in arrays:
            array.update({name: array[name][:most] for name in _IN_FRONT})
        return send(arrays, self.device)

    def _generate(self, plans: Sequence[PersonPlan]) -> Persons:
        batch = self._to_device(plans)
        drawn = self._drawn(batch)
        return Persons(drawn['made'], *self._checked(drawn, batch, len(plans)))

    def _generate_to_keep(self, plans: Sequence[PersonPlan]) -> Kept:
        count, size = len(plans), self._padded_size(len(plans))
        batch = self._to_device([*plans, *[plans[-1]] * (size - count)])
        drawn = self._draw(_chosen(batch, _DRAWN_FROM))
        _, joints_ok, accepted = self._checked(drawn, batch, count)
        return Kept(drawn['made'][:count], joints_ok, accepted)

    def _drawn(self, batch: Tensors) -> Tensors:
        """What the generator takes, what it ``made`` of it, and that in its scene (``persons``)."""
        data = generator_data(batch)
        made = self.model.synthesize(data, self.refine)
        return {**data, 'made': made, 'persons': in_scene(made, data, self.skeleton)}

    def _checked(self, drawn: Tensors, batch: Tensors, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The first persons, their joints that passed the check (N, K), and the accepted (N,)."""
        drawn = {name: values[:count] for name, values in drawn.items()}
        visible = batch['target_visible'][:count]
        labelled = visible > 0
        joints_ok = labelled
        if self.check is not None:
            joints_ok = self.check(synthesis(drawn, visible, self.skeleton)) & labelled
        share = joints_ok.sum(dim=1) / labelled.sum(dim=1).clamp_min(1)
        return drawn['persons'], joints_ok, share >= self.min_joints_ok

    def _pasted(self, batch: Tensors) -> Tensors:
        images, made, matrices = (batch[name] for name in ('images', 'made', 'matrices'))
        return {'images': self._composited(images, made, batch, matrices)}

    def _composited(self, images: Tensor, made: Tensor, batch: Tensors, matrices: Tensor) -> Tensor:
        return composite_persons(
            images, made, batch, matrices, self.skeleton, remove_source=self.remove_source
        )
