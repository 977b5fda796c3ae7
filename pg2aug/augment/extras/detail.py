"""Persons finer than the generator's crops."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pg2aug.models.limbs.generator import laid_limbs
from pg2aug.models.pg2 import PG2
from pg2aug.poses.skeleton import Skeleton

_COLOUR_TOLERANCE = 25.0
_MATTE_TOLERANCE = 0.25
_TINY = 1e-3


class DetailedGenerator(nn.Module):
    """Give synthesised persons the detail of the source image that the crops have no room for.

    The person is synthesised at the size of the generator's crops and enlarged. The limbs laid into
    the target pose (:func:`pg2aug.models.limbs.warp`) are known as finely as the source image is:
    what they have that would be lost in the crop is added where the generator agrees with them, and
    the less the more it changed them. So joints stay where the generator saw them, and its blur is
    not the mark of the synthesised.

    Not in the paper. What is added is the finest level of a Laplacian pyramid (Burt and Adelson,
    1983).

    Args:
        model: A PG2 with a matte.
        detail: How many times finer than the model's crops the persons are, in width and height.
    """

    def __init__(self, model: PG2, detail: int) -> None:
        super().__init__()
        self.model = model
        self.detail = detail

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the poses."""
        return self.model.skeleton

    def synthesize(self, data: dict[str, Any], refine: bool = True) -> Tensor:
        """Synthesise the persons of a batch as images.

        Args:
            data: See :class:`pg2aug.models.PG2DataPreprocessor`; images, joints and radii in crops
                that are ``detail`` times as large as the model's.
            refine: Whether to use the refined image (G2) or the coarse one (G1 alone).

        Returns:
            (N, 4, H, W) float32, BGR in [0, 255] and matte in [0, 1], as large as the crops.
        """
        made = self.model.synthesize(self._reduced(data), refine)
        limbs = laid_limbs(data, self.skeleton)
        return add_detail(made, limbs, self.detail)

    def _reduced(self, data: dict[str, Any]) -> dict[str, Any]:
        """The same in the model's crops."""
        reduced = dict(data)
        for role in ('condition', 'target'):
            if f'{role}_image' in data:
                images = data[f'{role}_image'].float()
                reduced[f'{role}_image'] = F.avg_pool2d(images, self.detail)
            # Whole coordinates are centres of pixels.
            places = data[f'{role}_keypoints'] - (self.detail - 1) / 2
            reduced[f'{role}_keypoints'] = places / self.detail
            reduced[f'{role}_radius'] = data[f'{role}_radius'] / self.detail
        return reduced


def add_detail(made: Tensor, limbs: Tensor, factor: int) -> Tensor:
    """Enlarge persons and add the detail of limbs that agree with them.

    Args:
        made: (N, 4, h, w), BGR in [0, 255] and matte in [0, 1].
        limbs: (N, 4, h * factor, w * factor), BGR in [0, 255] multiplied by the matte, and it.
        factor: How many times finer the limbs are.

    Returns:
        (N, 4, h * factor, w * factor), BGR in [0, 255] and matte in [0, 1].
    """
    coarse = F.avg_pool2d(limbs, factor)
    matte, coarse_matte = limbs[:, 3:], coarse[:, 3:]
    colours, coarse_colours = _colours(limbs), _colours(coarse)
    change = (made[:, :3] - coarse_colours).square().mean(dim=1, keepdim=True)
    same = coarse_matte * torch.exp(change / (-2 * _COLOUR_TOLERANCE**2))
    moved = (made[:, 3:] - coarse_matte).square()
    same_edge = torch.exp(moved / (-2 * _MATTE_TOLERANCE**2))
    # Colours times matte: beyond the person they mean nothing and must not bleed in.
    made = torch.cat([made[:, :3] * made[:, 3:], made[:, 3:]], dim=1)
    both = torch.cat([made, coarse, same, same_edge], dim=1)
    enlarged = F.interpolate(both, scale_factor=factor, mode='bilinear', align_corners=False)
    made_colours, coarse_colours = _colours(enlarged[:, :4]), _colours(enlarged[:, 4:8])
    same, same_edge = enlarged[:, 8:9], enlarged[:, 9:]
    fine = made_colours + matte * same * (colours - coarse_colours)
    edges = enlarged[:, 3:4] + same_edge * (matte - enlarged[:, 7:8])
    return torch.cat([fine.clamp(0, 255), edges.clamp(0, 1)], dim=1)


def _colours(premultiplied: Tensor) -> Tensor:
    return premultiplied[:, :3] / premultiplied[:, 3:].clamp_min(_TINY)
