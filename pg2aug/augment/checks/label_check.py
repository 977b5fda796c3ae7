"""Does the synthesised person honour its label? Checks that decide joint by joint."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from pg2aug.models.tensor_cache import cached_tensor, select
from pg2aug.poses.read.coco import flagged_hidden
from pg2aug.poses.skeleton import Skeleton
from pg2aug.registry import MODELS


@dataclass(frozen=True)
class Synthesis:
    """A batch of synthesised persons and what they were made from.

    Attributes:
        persons: (N, 3, h, w) float32 BGR in [0, 255].
        keypoints: (N, K, 2) target pose in pixels of ``persons``.
        visible: (N, K), greater than 0 where labelled; COCO's flags, if they are known.
        conditions: (N, 3, h, w) float32 BGR in [0, 255].
        condition_keypoints: (N, K, 2) in pixels of ``conditions``.
        condition_visible: (N, K), likewise.
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
    """Compare the colours at the joints with those at the same joints in the condition image.

    A cheap check that needs no pose model. A joint fails whose colour is too far from its own in
    the condition image: background where a limb should be. A whole person fails whose colours do
    not vary from joint to joint as the source's do: a smear, a copy of the source in its old pose,
    somebody else. The check cannot tell a joint from another of the same colour, as a pose model
    can, and it refuses many people who are dressed in one colour from head to foot.

    A joint that the condition image does not show, or that is hidden there, is compared with its
    mirrored partner, since clothes and skin are about symmetric; where neither is seen, the joint
    fails, for nobody knows how it looks. A joint that is hidden in the new pose passes if the
    person does: what is in front of it is seen there.

    Args:
        max_distance: Largest distance at which a joint passes: mean over BGR of the absolute
            difference of mean colours, in [0, 255].
        min_correlation: Least correlation, over joints and channels, between a person's colours
            and the source's, each channel less its mean over the joints.
        radius: Radius of a joint's neighbourhood as a share of the crop's height.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, max_distance: float = 50.0, min_correlation: float = 0.3, radius: float = 0.03
    ) -> None:
        if not 0 < max_distance <= 255:
            raise ValueError(f'max_distance must be in (0, 255], got {max_distance}')
        if not -1 <= min_correlation <= 1:
            raise ValueError(f'min_correlation must be in [-1, 1], got {min_correlation}')
        self.max_distance = max_distance
        self.min_correlation = min_correlation
        self.radius = radius

    def __call__(self, synthesis: Synthesis) -> Tensor:
        """See :class:`LabelCheck`."""
        made = self._colours(synthesis.persons, synthesis.keypoints)
        true = self._colours(synthesis.conditions, synthesis.condition_keypoints)
        flip = synthesis.skeleton.flip_indices
        known = synthesis.condition_visible > 0
        seen = known & ~flagged_hidden(synthesis.condition_visible)
        true = torch.where(seen[..., None], true, select(true, flip))
        labelled, hidden = synthesis.visible > 0, flagged_hidden(synthesis.visible)
        comparable = (seen | select(seen, flip)) & labelled & ~hidden
        near = (made - true).abs().mean(dim=-1) <= self.max_distance
        alike = _correlation(made, true, comparable) >= self.min_correlation
        return ((near & comparable) | hidden) & alike[:, None]

    def _colours(self, images: Tensor, keypoints: Tensor) -> Tensor:
        """Mean colour in a square around each joint: (N, K, 3)."""
        margin = max(1, round(self.radius * images.shape[-2]))
        offset = torch.arange(-margin, margin + 1, device=images.device)
        square = torch.cartesian_prod(offset, offset)
        limit = cached_tensor([images.shape[-1] - 1, images.shape[-2] - 1], keypoints)
        grid = (keypoints[:, :, None] + square) / limit * 2 - 1
        # Few squares, instead of a blurred image to look them up in.
        colours = F.grid_sample(images, grid, padding_mode='border', align_corners=True)
        return colours.mean(dim=-1).transpose(1, 2)


def _correlation(made: Tensor, true: Tensor, comparable: Tensor) -> Tensor:
    """Correlation of (N, K, 3) colours over the comparable joints: (N,), 0 where nothing varies."""
    weight = comparable[..., None].float()
    count = weight.sum(dim=1, keepdim=True).clamp_min(1)
    made, true = (
        (c - (c * weight).sum(dim=1, keepdim=True) / count) * weight for c in (made, true)
    )
    norm = made.square().sum(dim=(1, 2)).sqrt() * true.square().sum(dim=(1, 2)).sqrt()
    return (made * true).sum(dim=(1, 2)) / norm.clamp_min(1.0)
