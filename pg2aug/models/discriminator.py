"""The discriminator of PG2: is this image real, as one of the person of the condition image?"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from pg2aug.models.blocks import init_dcgan


class Discriminator(nn.Module):
    """DCGAN discriminator (paper, section 3.2).

    5x5 stride-2 convolutions with LeakyReLU 0.2, batch norm in all but the first, then one linear
    layer to one logit.

    Args:
        size: (width, height) of the images.
        channels: Width of each convolution: (64, 128, 256, 512) for Market-1501, one more 512 for
            DeepFashion.
        scheme: 'pairs', as in the paper: it sees the condition image beside the image it judges.
            'triplet', as in the authors' code: it sees one image alone, and learns that the
            condition image is a fake, too.

    Raises:
        ValueError: If the scheme is neither.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: tuple[int, ...] = (64, 128, 256, 512),
        scheme: Literal['pairs', 'triplet'] = 'pairs',
    ) -> None:
        super().__init__()
        if scheme not in ('pairs', 'triplet'):
            raise ValueError(f"scheme must be 'pairs' or 'triplet', got {scheme!r}")
        self.scheme = scheme
        images = 2 if scheme == 'pairs' else 1
        layers: list[nn.Module] = []
        for i, (c_in, c_out) in enumerate(zip((3 * images, *channels[:-1]), channels, strict=True)):
            layers.append(nn.Conv2d(c_in, c_out, 5, stride=2, padding=2))
            if i > 0:
                layers.append(nn.BatchNorm2d(c_out))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.features = nn.Sequential(*layers)
        scale = 2 ** len(channels)
        area = math.ceil(size[0] / scale) * math.ceil(size[1] / scale)
        self.head = nn.Linear(channels[-1] * area, 1)
        init_dcgan(self)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """Score images.

        Args:
            image: (N, 3, H, W) real target or synthesised image, RGB in [-1, 1].
            condition: (N, 3, H, W) condition image; not read with the scheme 'triplet'.

        Returns:
            (N, 1) logits, before any sigmoid; large for "real".
        """
        shown = torch.cat([image, condition], dim=1) if self.scheme == 'pairs' else image
        features = self.features(shown)
        out: Tensor = self.head(features.flatten(1))
        return out
