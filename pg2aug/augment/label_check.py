"""Does the synthesised person honour its label? Checks that decide joint by joint."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from pg2aug.poses.skeleton import Skeleton
from pg2aug.registry import MODELS


@dataclass(frozen=True)
class Synthesis:
    """A batch of synthesised persons and what they were made from.

    Attributes:
        persons: (N, 3, h, w) float32 BGR in [0, 255].
        keypoints: (N, K, 2) target pose in pixels of ``persons``.
        visible: (N, K), greater than 0 where labelled.
        conditions: (N, 3, h, w) float32 BGR in [0, 255].
        condition_keypoints: (N, K, 2) in pixels of ``conditions``.
        condition_visible: (N, K).
        skeleton: Skeleton of K joints.
    """

    persons: Tensor
    keypoints: Tensor
    visible: Tensor
    conditions: Tensor
    condition_keypoints: Tensor
    condition_visible: Tensor
    skeleton: Skeleton


class LabelCheck(Protocol):
    """Tells which joints of synthesised persons are where their labels say."""

    def __call__(self, synthesis: Synthesis) -> Tensor:
        """Return (N, K) bool: True where a joint passed. Joints without a label do not count."""
        ...


@MODELS.register_module()
class AppearanceCheck:
    """Compare the colour around each joint with that of the same joint in the condition image.

    A cheap check that needs no pose model. It finds what a generator that copies its input or
    loses a limb does wrong: background where a joint should be. It cannot tell a joint from
    another of the same colour; a pose model can.

    A joint that the condition image does not show is compared with its mirrored partner, since
    clothes and skin are about symmetric; where that is not shown either, the joint fails.

    Args:
        max_distance: Largest distance that passes: mean over BGR of the absolute difference of
            mean colours, in [0, 255].
        radius: Radius of the neighbourhood as a share of the crop's height.
    """

    def __init__(self, max_distance: float = 50.0, radius: float = 0.03) -> None:
        if not 0 < max_distance <= 255:
            raise ValueError(f'max_distance must be in (0, 255], got {max_distance}')
        self.max_distance = max_distance
        self.radius = radius

    def __call__(self, synthesis: Synthesis) -> Tensor:
        """See :class:`LabelCheck`."""
        made = self._colours(synthesis.persons, synthesis.keypoints)
        true = self._colours(synthesis.conditions, synthesis.condition_keypoints)
        flip = list(synthesis.skeleton.flip_indices)
        known = synthesis.condition_visible > 0
        own = (made - true).abs().mean(dim=-1)
        mirrored = (made - true[:, flip]).abs().mean(dim=-1)
        distance = torch.where(known, own, torch.where(known[:, flip], mirrored, torch.inf))
        return (distance <= self.max_distance) & (synthesis.visible > 0)

    def _colours(self, images: Tensor, keypoints: Tensor) -> Tensor:
        """Mean colour in a square around each joint: (N, K, 3)."""
        margin = max(1, round(self.radius * images.shape[-2]))
        blurred = F.avg_pool2d(
            images, 2 * margin + 1, stride=1, padding=margin, count_include_pad=False
        )
        limit = keypoints.new_tensor([images.shape[-1] - 1, images.shape[-2] - 1])
        grid = (keypoints / limit * 2 - 1)[:, :, None]
        colours = F.grid_sample(blurred, grid, padding_mode='border', align_corners=True)
        return colours[..., 0].transpose(1, 2)
