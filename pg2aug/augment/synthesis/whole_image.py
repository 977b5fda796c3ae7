"""Persons replaced in whole images, of any sizes: direct mode and offline expansion."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pg2aug.augment.person_plan import PersonPlan
from pg2aug.augment.synthesis.compositing import HOLE_RADIUS
from pg2aug.augment.synthesis.synthesizer import Synthesizer


def synthesize_in_image(
    synthesizer: Synthesizer, image: NDArray[np.uint8], plan: PersonPlan
) -> tuple[NDArray[np.uint8], NDArray[Any], bool]:
    """Replace one person in a whole image; only the part around the person is computed.

    Args:
        synthesizer: What does it.
        image: (H, W, 3) uint8 BGR.
        plan: A plan made from this image.

    Returns:
        The new image, same shape (the image itself where the person was refused); (K,) bool,
        joints that passed the check; and whether the person was accepted.
    """
    return synthesize_in_images(synthesizer, [image], [plan])[0]


def synthesize_in_images(
    synthesizer: Synthesizer, images: Sequence[NDArray[np.uint8]], plans: Sequence[PersonPlan]
) -> list[tuple[NDArray[np.uint8], NDArray[Any], bool]]:
    """Replace one person in each of some images of any sizes; generated as one batch.

    Args:
        synthesizer: What does it.
        images: (H, W, 3) uint8 BGR each.
        plans: One for each image, made from it.

    Returns:
        What :func:`synthesize_in_image` returns, for each image.
    """
    if not plans:
        return []
    generated = synthesizer.generate(plans)
    joints_ok, accepted = generated.joints_ok.cpu().numpy(), generated.accepted.tolist()
    replaced = [
        _replace(synthesizer, image, plan, generated.made[i : i + 1]) if accepted[i] else image
        for i, (image, plan) in enumerate(zip(images, plans, strict=True))
    ]
    return list(zip(replaced, joints_ok, accepted, strict=True))


def _replace(
    synthesizer: Synthesizer, image: NDArray[np.uint8], plan: PersonPlan, person: Tensor
) -> NDArray[np.uint8]:
    """The image with a synthesised person (1, 3, h, w) in the place of the original."""
    left, top, right, bottom = affected_window(plan)
    window = image[top:bottom, left:right]
    tensor = torch.from_numpy(window.transpose(2, 0, 1).copy())[None]
    matrix = torch.tensor([[[1.0, 0.0, -left], [0.0, 1.0, -top]]])
    pixels = synthesizer.composite(tensor, [plan], person, matrix)[0].permute(1, 2, 0)
    replaced = image.copy()
    replaced[top:bottom, left:right] = pixels.round().to(torch.uint8).cpu().numpy()
    return replaced


def affected_window(plan: PersonPlan) -> tuple[int, int, int, int]:
    """Box around everything that changes, and some background to fill the hole from.

    Returns:
        Left, top, right and bottom in image pixels, the latter two exclusive.
    """
    joints = np.concatenate(
        [
            plan.source_keypoints[plan.source_visible > 0],
            plan.target_keypoints[plan.target_drawn > 0],
        ]
    )
    margin = 4 * HOLE_RADIUS * float(plan.source_radius[0])
    low = np.maximum(np.floor(joints.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(joints.max(axis=0) + margin) + 1, plan.image_size).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
