"""A smooth continuation of what is known: pure, batched, on any device."""

import torch
from torch import Tensor
from torch.nn import functional as F


def push_pull(images: Tensor, known: Tensor) -> Tensor:
    """Fill unknown pixels smoothly from their surroundings.

    Known pixels are averaged into ever coarser levels; unknown ones take the value of the finest
    level at which anything near them is known (Gortler et al., The Lumigraph, 1996).

    Args:
        images: (N, C, H, W); values of unknown pixels are not read.
        known: (N, 1, H, W) in [0, 1], how much of each pixel is known.

    Returns:
        (N, C, H, W) float32, equal to ``images`` where ``known`` is 1.
    """
    images = torch.where(known > 0, images.float(), 0.0)
    if min(images.shape[-2:]) <= 1:
        total = known.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
        mean = (images * known).sum(dim=(2, 3), keepdim=True) / total
        return torch.lerp(mean.expand_as(images), images, known)
    size = (images.shape[-2] + 1) // 2, (images.shape[-1] + 1) // 2
    weight = F.adaptive_avg_pool2d(known, size)
    coarse = F.adaptive_avg_pool2d(images * known, size) / weight.clamp_min(1e-6)
    coarse = push_pull(coarse, (4 * weight).clamp_max(1))
    smooth = F.interpolate(coarse, images.shape[-2:], mode='bilinear', align_corners=False)
    return torch.lerp(smooth, images, known)
