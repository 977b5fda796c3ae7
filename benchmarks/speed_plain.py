"""The slow paths that speed.py compares with: eager, float32, contiguous, an array at a time."""

import copy
from typing import Any

import torch
from speed_setup import Batch
from torch import Tensor, nn

from pg2aug.augment import LabelCheck
from pg2aug.augment.synthesis.compositing import composite_persons
from pg2aug.augment.synthesis.drawing import generator_data, in_scene, synthesis
from pg2aug.models.assembly import coarse_image, refined_image
from pg2aug.models.preprocessor import to_image_range

Arrays = dict[str, Tensor]


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
        data = generator_data(on_device)
        data['condition_image'] = data['condition_image'].contiguous()
        made = self._generate(data)
        drawn = {**data, 'persons': in_scene(made, data, self.model.skeleton)}
        visible = on_device['target_visible']
        labelled = visible > 0
        joints_ok = self.check(synthesis(drawn, visible, self.model.skeleton))
        share = joints_ok.sum(dim=1) / labelled.sum(dim=1).clamp_min(1)
        _drop_nobody(on_device)
        replaced = composite_persons(images, made, on_device, matrices, self.model.skeleton)
        return torch.where((share >= self.min_joints_ok)[:, None, None, None], replaced, images)

    def _generate(self, data: Arrays) -> Tensor:
        batch = self.model.data_preprocessor(data)
        coarse = coarse_image(self.model.generator1, batch)
        made = refined_image(self.model.generator2, coarse, batch['condition'])
        return torch.cat([to_image_range(made[:, :3]), made[:, 3:]], dim=1)


def _drop_nobody(arrays: Arrays) -> None:
    """Leave out the places of neighbours at which no person has one."""
    most = max(int((radius > 0).sum()) for radius in arrays['front_radius'])
    for name in ('front_keypoints', 'front_visible', 'front_radius'):
        arrays[name] = arrays[name][:, :most]
