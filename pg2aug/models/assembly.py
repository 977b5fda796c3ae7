"""What the generators put out, put together to images."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

WARP_LOGIT = 3.0
"""Logit of the matte, before G1 corrects it, where the warp covers; its negative elsewhere."""


def coarse_image(generator1: nn.Module, batch: Mapping[str, Tensor | None]) -> Tensor:
    """G1's image, and behind it the matte where it predicts one.

    Args:
        generator1: :class:`PoseIntegrationGenerator`.
        batch: Output of :class:`PG2DataPreprocessor`. Where it has a ``warp``, G1 puts out what has
            to be added to it; where it has a ``support``, also the matte.

    Returns:
        (N, 3, H, W) RGB around [-1, 1], or (N, 4, H, W) with the matte in [0, 1].
    """
    warp, support = batch.get('warp'), batch.get('support')
    output: Tensor = generator1(batch['condition'], batch['pose'], warp)
    image = output[:, :3] if warp is None else output[:, :3] + warp[:, :3]
    if support is None:
        return image
    logits = output[:, 3:] if warp is None else output[:, 3:] + WARP_LOGIT * (2 * warp[:, 3:] - 1)
    return torch.cat([image, logits.sigmoid() * support], dim=1)


def refined_image(generator2: nn.Module, coarse: Tensor, condition: Tensor) -> Tensor:
    """The coarse image plus G2's difference map; its matte, if it has any, stays.

    Args:
        generator2: :class:`RefinementGenerator`.
        coarse: Output of :func:`coarse_image`.
        condition: (N, 3, H, W) condition images, RGB in [-1, 1].

    Returns:
        Like ``coarse``.
    """
    difference = generator2(judged_part(coarse, coarse), condition)
    return torch.cat([coarse[:, :3] + difference, coarse[:, 3:]], dim=1)


def judged_part(image: Tensor, coarse: Tensor) -> Tensor:
    """The image, or where there is a matte what the coarse image's leaves of it."""
    return image if coarse.shape[1] == 3 else image[:, :3] * coarse[:, 3:]
