"""What a generator is given, and what the label check is given of what it makes."""

import torch
from torch import Tensor

from pg2aug.augment.checks.label_check import Synthesis
from pg2aug.augment.synthesis.batches import CropPlans, Drawn, GeneratorInput
from pg2aug.augment.synthesis.compositing import HOLE_RADIUS
from pg2aug.models.affine import affine_scale, transform_points
from pg2aug.models.preprocessor import smooth_background
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses.skeleton import Skeleton


def generator_input(plans: CropPlans) -> GeneratorInput:
    """Crops of the sources, and both poses in them.

    In the image there are a source person and a target pose, in the crops a condition image with
    its pose, and the target's. What the generator is told to be visible of the target is what is
    drawn, labelled or not.
    """
    source, target = plans.condition_matrix, plans.target_matrix
    return GeneratorInput(
        condition_image=plans.condition.permute(0, 3, 1, 2),
        condition_keypoints=transform_points(plans.source_keypoints, source),
        condition_visible=plans.source_visible,
        condition_radius=plans.source_radius[:, 0] * affine_scale(source),
        target_keypoints=transform_points(plans.target_keypoints, target),
        target_visible=plans.target_drawn,
        target_radius=plans.target_radius[:, 0] * affine_scale(target),
    )


def in_scene(made: Tensor, given: GeneratorInput, skeleton: Skeleton) -> Tensor:
    """Persons in front of the source's surroundings, without the source.

    Args:
        made: (N, 4, h, w), BGR in [0, 255] and matte in [0, 1]; what has 3 channels is whole.
        given: What they were made from.
        skeleton: Of the poses.

    Returns:
        (N, 3, h, w) float BGR in [0, 255].
    """
    if made.shape[1] == 3:
        return made
    conditions = given.condition_image.float()
    hole = body_alpha(
        given.condition_keypoints,
        given.condition_visible,
        (conditions.shape[-2], conditions.shape[-1]),
        skeleton,
        given.condition_radius * HOLE_RADIUS,
    )
    return torch.lerp(smooth_background(conditions, hole), made[:, :3], made[:, 3:])


def synthesis(drawn: Drawn, target_visible: Tensor, skeleton: Skeleton) -> Synthesis:
    """What the label check is given of synthesised persons.

    Args:
        drawn: The persons, in their scenes.
        target_visible: (N, K) visibility of the joints as labelled.
        skeleton: Of the poses.

    Raises:
        ValueError: If the persons are in no scene.
    """
    if drawn.in_scene is None:
        raise ValueError('persons are checked in their scenes: see in_scene')
    return Synthesis(
        persons=drawn.in_scene,
        keypoints=drawn.target_keypoints,
        visible=target_visible,
        conditions=drawn.condition_image.float(),
        condition_keypoints=drawn.condition_keypoints,
        condition_visible=drawn.condition_visible,
        skeleton=skeleton,
    )
