"""What a generator is given, and what the label check is given of what it makes."""

import torch
from torch import Tensor

from pg2aug.augment.checks.label_check import Synthesis
from pg2aug.augment.synthesis.compositing import HOLE_RADIUS
from pg2aug.augment.synthesis.graphs import Tensors
from pg2aug.models.affine import affine_scale, transform_points
from pg2aug.models.preprocessor import smooth_background
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses.skeleton import Skeleton

_ROLES = ('condition', 'source', 'source_visible'), ('target', 'target', 'target_drawn')


def generator_data(batch: Tensors) -> Tensors:
    """Crops of the sources, and both poses in them, of a batch of plans.

    Args:
        batch: Arrays of :meth:`pg2aug.augment.Plan.to_dict`, stacked.

    Returns:
        What :meth:`pg2aug.models.PG2.synthesize` takes.
    """
    data = {'condition_image': batch['condition'].permute(0, 3, 1, 2)}
    for role, person, shown in _ROLES:
        matrix = batch[f'{role}_matrix']
        data[f'{role}_keypoints'] = transform_points(batch[f'{person}_keypoints'], matrix)
        data[f'{role}_visible'] = batch[shown]
        data[f'{role}_radius'] = batch[f'{person}_radius'][:, 0] * affine_scale(matrix)
    return data


def in_scene(made: Tensor, data: Tensors, skeleton: Skeleton) -> Tensor:
    """Persons in front of the source's surroundings, without the source.

    Args:
        made: (N, 4, h, w), BGR in [0, 255] and matte in [0, 1]; what has 3 channels is whole.
        data: See :func:`generator_data`.
        skeleton: Of the poses.

    Returns:
        (N, 3, h, w) float BGR in [0, 255].
    """
    if made.shape[1] == 3:
        return made
    conditions = data['condition_image'].float()
    hole = body_alpha(
        data['condition_keypoints'],
        data['condition_visible'],
        (conditions.shape[-2], conditions.shape[-1]),
        skeleton,
        data['condition_radius'] * HOLE_RADIUS,
    )
    return torch.lerp(smooth_background(conditions, hole), made[:, :3], made[:, 3:])


def synthesis(drawn: Tensors, target_visible: Tensor, skeleton: Skeleton) -> Synthesis:
    """What the label check is given of synthesised persons.

    Args:
        drawn: Of :func:`generator_data`, with ``persons`` (N, 3, h, w), BGR in [0, 255].
        target_visible: (N, K) visibility of the joints as labelled.
        skeleton: Of the poses.
    """
    return Synthesis(
        persons=drawn['persons'],
        keypoints=drawn['target_keypoints'],
        visible=target_visible,
        conditions=drawn['condition_image'].float(),
        condition_keypoints=drawn['condition_keypoints'],
        condition_visible=drawn['condition_visible'],
        skeleton=skeleton,
    )
