"""The discriminator of PG2: is this pair (image, condition image) real?"""

import math

import torch
from torch import Tensor, nn

from pg2aug.models.blocks import init_dcgan


class PairDiscriminator(nn.Module):
    """DCGAN discriminator on pairs of images (paper, section 3.2).

    5x5 stride-2 convolutions with LeakyReLU 0.2, batch norm in all but the first, then one linear
    layer to one logit.

    Args:
        size: (width, height) of the images.
        channels: Width of each convolution: (64, 128, 256, 512) for Market-1501, one more 512 for
            DeepFashion.
    """

    def __init__(
        self, size: tuple[int, int], channels: tuple[int, ...] = (64, 128, 256, 512)
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (c_in, c_out) in enumerate(zip((6, *channels[:-1]), channels, strict=True)):
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
        """Score pairs.

        Args:
            image: (N, 3, H, W) real target or synthesised image, RGB in [-1, 1].
            condition: (N, 3, H, W) condition image.

        Returns:
            (N, 1) logits, before any sigmoid; large for "real".
        """
        features = self.features(torch.cat([image, condition], dim=1))
        out: Tensor = self.head(features.flatten(1))
        return out
