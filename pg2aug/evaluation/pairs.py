"""What is evaluated: synthesised and target images as they would be saved, and the pose mask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pg2aug.models.preprocessor import FOREGROUND_RADIUS, to_image_range, to_model_range
from pg2aug.models.rasterize import body_alpha, pose_mask
from pg2aug.poses.skeleton import Skeleton

ImageChoice = Literal['refined', 'coarse']


@dataclass(frozen=True)
class EvaluatedPairs:
    """N pairs, all on one device.

    Attributes:
        synthesised: (N, 3, H, W) uint8 RGB.
        target: (N, 3, H, W) uint8 RGB.
        mask: (N, 1, H, W) uint8, 1 on the body in the target pose and 0 outside.
        keypoints: (N, K, 2) target poses in pixels.
        visible: (N, K), greater than 0 where the joint is labelled.
    """

    synthesised: Tensor
    target: Tensor
    mask: Tensor
    keypoints: Tensor
    visible: Tensor


def evaluated_pairs(
    data: dict[str, Any],
    outputs: Sequence[tuple[Tensor, Tensor]],
    skeleton: Skeleton,
    image: ImageChoice = 'refined',
    foreground: bool = False,
) -> EvaluatedPairs:
    """Gather what the metrics read from a batch and what the model made of it.

    Args:
        data: A collated batch of :class:`pg2aug.datasets.PersonPairDataset`.
        outputs: What :meth:`PG2.test_step` made of it.
        skeleton: Skeleton of the poses.
        image: Which of the two images is evaluated.
        foreground: Whether the target is cut out of its background, see :func:`target_images`.
    """
    synthesised = to_uint8(torch.stack([pair[image == 'refined'] for pair in outputs]))
    device = synthesised.device
    keypoints, visible = (data[f'target_{name}'].to(device) for name in ('keypoints', 'visible'))
    shape = (synthesised.shape[-2], synthesised.shape[-1])
    mask = pose_mask(keypoints, visible, shape, skeleton.mask_limbs, skeleton.torso)
    target = target_images(data, skeleton, foreground).to(device)
    return EvaluatedPairs(synthesised, target, mask.to(torch.uint8), keypoints, visible)


def to_uint8(images: Tensor) -> Tensor:
    """RGB around [-1, 1], (N, 3, H, W), to RGB uint8 as it is saved: clipped and rounded."""
    return to_image_range(images).flip(1).round_().to(torch.uint8)


def target_images(data: dict[str, Any], skeleton: Skeleton, foreground: bool = False) -> Tensor:
    """Target images as a model is to synthesise them.

    Args:
        data: A collated batch of :class:`pg2aug.datasets.PersonPairDataset`.
        skeleton: Skeleton of the poses.
        foreground: Whether they are cut out of their background, which becomes grey: what a
            preprocessor with ``foreground`` and without ``matte`` trains its model on.

    Returns:
        (N, 3, H, W) uint8 RGB.
    """
    images: Tensor = data['target_image']
    if not foreground:
        return images.flip(1)
    shape = (images.shape[-2], images.shape[-1])
    pose = data['target_keypoints'], data['target_visible'], shape, skeleton
    radius = FOREGROUND_RADIUS * data['target_radius']
    return to_uint8(to_model_range(images) * body_alpha(*pose, radius, hands_and_feet=False))
