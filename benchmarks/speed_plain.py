"""The slow paths that speed.py compares with: eager, float32, contiguous, an array at a time."""

import copy
from typing import Any

import torch
from speed_setup import Batch
from torch import Tensor, nn

from pg2aug.augment import LabelCheck, Synthesis
from pg2aug.augment.compositing import HOLE_RADIUS, composite_persons
from pg2aug.models.affine import affine_scale, transform_points
from pg2aug.models.assembly import coarse_image, refined_image
from pg2aug.models.preprocessor import smooth_background, to_image_range
from pg2aug.models.rasterize import body_alpha

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
        data = self._data(on_device)
        made = self._generate(data)
        labelled = on_device['target_visible'] > 0
        joints_ok = self.check(self._synthesis(made, data, on_device))
        share = joints_ok.sum(dim=1) / labelled.sum(dim=1).clamp_min(1)
        _drop_nobody(on_device)
        replaced = composite_persons(images, made, on_device, matrices, self.model.skeleton)
        return torch.where((share >= self.min_joints_ok)[:, None, None, None], replaced, images)

    def _generate(self, data: Arrays) -> Tensor:
        batch = self.model.data_preprocessor(data)
        coarse = coarse_image(self.model.generator1, batch)
        made = refined_image(self.model.generator2, coarse, batch['condition'])
        return torch.cat([to_image_range(made[:, :3]), made[:, 3:]], dim=1)

    def _data(self, arrays: Arrays) -> Arrays:
        data = {'condition_image': arrays['condition'].permute(0, 3, 1, 2).contiguous()}
        roles = ('condition', 'source', 'source_visible'), ('target', 'target', 'target_drawn')
        for role, person, shown in roles:
            matrix = arrays[f'{role}_matrix']
            data[f'{role}_keypoints'] = transform_points(arrays[f'{person}_keypoints'], matrix)
            data[f'{role}_visible'] = arrays[shown]
            data[f'{role}_radius'] = arrays['limb_radius'][:, 0] * affine_scale(matrix)
        return data

    def _synthesis(self, made: Tensor, data: Arrays, arrays: Arrays) -> Synthesis:
        images, skeleton = data['condition_image'].float(), self.model.skeleton
        pose = data['condition_keypoints'], data['condition_visible']
        persons = made
        if made.shape[1] == 4:
            shape = images.shape[-2], images.shape[-1]
            hole = body_alpha(*pose, shape, skeleton, data['condition_radius'] * HOLE_RADIUS)
            persons = torch.lerp(smooth_background(images, hole), made[:, :3], made[:, 3:])
        target = data['target_keypoints'], arrays['target_visible']
        return Synthesis(persons, *target, images, *pose, skeleton)


def _drop_nobody(arrays: Arrays) -> None:
    """Leave out the places of neighbours at which no person has one."""
    most = max(int((radius > 0).sum()) for radius in arrays['neighbour_radius'])
    for name in ('neighbour_keypoints', 'neighbour_visible', 'neighbour_radius'):
        arrays[name] = arrays[name][:, :most]
