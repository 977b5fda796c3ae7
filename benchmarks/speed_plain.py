"""The slow paths that speed.py compares with: eager, float32, contiguous, an array at a time."""

import copy
from typing import Any

import torch
from speed_setup import Batch
from torch import Tensor, nn

from pg2aug.augment import LabelCheck, Synthesis
from pg2aug.augment.compositing import inside_mask
from pg2aug.augment.neighbours import neighbours_alpha
from pg2aug.augment.synthesizer import HOLE_RADIUS, PERSON_RADIUS
from pg2aug.models.affine import (
    affine_scale,
    compose_affines,
    invert_affine,
    transform_points,
    warp,
)
from pg2aug.models.assembly import coarse_image, refined_image
from pg2aug.models.hole_filling import fill_holes
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
        replaced = self._composite(images, made, on_device, matrices)
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

    def _composite(self, images: Tensor, made: Tensor, arrays: Arrays, matrices: Tensor) -> Tensor:
        shape = images.shape[-2], images.shape[-1]
        inside = inside_mask(shape, matrices, arrays['image_size'])
        free = inside * (1 - self._in_front(arrays, matrices, shape))
        hole = self._body(arrays, 'source', matrices, shape, HOLE_RADIUS)
        known = ((hole <= 0) & (free >= 1)).float()
        images = torch.lerp(images, fill_holes(images, known), hole * free)
        coverage = made[:, 3:] if made.shape[1] == 4 else torch.ones_like(made[:, :1])
        placement = compose_affines(matrices, invert_affine(arrays['target_matrix']))
        pasted = warp(torch.cat([made[:, :3] * coverage, coverage], dim=1), placement, shape)
        if made.shape[1] == 3:
            pasted = pasted * self._body(arrays, 'target', matrices, shape, PERSON_RADIUS, False)
        pasted = pasted * free
        return images * (1 - pasted[:, 3:]) + pasted[:, :3]

    def _body(
        self,
        arrays: Arrays,
        person: str,
        matrices: Tensor,
        shape: tuple[int, int],
        radius: float,
        hands_and_feet: bool = True,
    ) -> Tensor:
        return body_alpha(
            transform_points(arrays[f'{person}_keypoints'], matrices),
            arrays['target_drawn' if person == 'target' else 'source_visible'],
            shape,
            self.model.skeleton,
            radius * arrays['limb_radius'][:, 0] * affine_scale(matrices),
            hands_and_feet=hands_and_feet,
        )

    def _in_front(self, arrays: Arrays, matrices: Tensor, shape: tuple[int, int]) -> Tensor:
        most = max(int((radius > 0).sum()) for radius in arrays['neighbour_radius'])
        keypoints = arrays['neighbour_keypoints'][:, :most]
        return neighbours_alpha(
            transform_points(keypoints.flatten(1, 2), matrices).reshape(keypoints.shape),
            arrays['neighbour_visible'][:, :most],
            arrays['neighbour_radius'][:, :most] * affine_scale(matrices)[:, None],
            shape,
            self.model.skeleton,
        )
