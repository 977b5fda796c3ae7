"""The two generators of PG2: pose integration (G1) and refinement (G2)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pg2aug.models.blocks import (
    Encoder,
    ResidualBlock,
    check_divisible,
    concat_skip,
    conv_relu,
    init_xavier,
    upsample,
)


class CoordinateEmbedding(nn.Sequential):
    """CE: joint coordinates to a feature vector, by two fully connected layers.

    The paper does not say what is between the two; a ReLU is here, for without it they are one.

    Args:
        num_keypoints: Number of joints, K.
        features: Length of the vector.

    Takes (N, 2 K) coordinates ``x0, y0, x1, ...`` in [0, 1] of the image's width and height, -1 for
    a missing joint; returns (N, features).
    """

    def __init__(self, num_keypoints: int, features: int) -> None:
        super().__init__(
            nn.Linear(2 * num_keypoints, features),
            nn.ReLU(inplace=True),
            nn.Linear(features, features),
        )


class HeatmapEmbedding(nn.Module):
    """HME: heatmaps to a feature vector, by an encoder like G1's and a fully connected layer.

    Args:
        size: (width, height) of the heatmaps.
        num_keypoints: Number of joints, K.
        widths: Channels of the encoder's blocks.
        features: Length of the vector.
    """

    def __init__(
        self, size: tuple[int, int], num_keypoints: int, widths: Sequence[int], features: int
    ) -> None:
        super().__init__()
        self.encoder = Encoder(num_keypoints, widths)
        scale = 2 ** (len(widths) - 1)
        area = (size[0] // scale) * (size[1] // scale)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(widths[-1] * area, features))

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Embed (N, K, H, W) heatmaps: (N, features)."""
        out: Tensor = self.head(self.encoder(heatmaps)[-1])
        return out


PoseEmbedding = Literal['concatenated', 'heatmaps', 'coordinates']


class PoseIntegrationGenerator(nn.Module):
    """G1: condition image and target heatmaps to a coarse image of that person in that pose.

    A U-Net of residual blocks whose bottleneck is fully connected, so that every output pixel can
    depend on the whole pose (paper, section 3.1). Neither batch norm nor dropout; all levels skip.

    Args:
        size: (width, height) of the images; both divisible by ``2 ** (num_blocks - 1)``.
        num_keypoints: Number of heatmap channels.
        num_blocks: N of the paper: 5 for Market-1501, 6 for DeepFashion.
        base_channels: Width of the first block; block ``i`` has ``(i + 1)`` times as many.
        bottleneck_features: Output features of the fully connected bottleneck.
        pose_embedding: How the target pose comes in (paper, Table 1): 'concatenated', its
            heatmaps beside the image, is the paper's own; 'heatmaps' (HME) sends them through an
            encoder of their own, and 'coordinates' (CE) the coordinates through fully connected
            layers, to join the image at the bottleneck only.
        extra_channels: Channels of further conditions; none in the paper.
        out_channels: Channels of the output; 3 in the paper.

    Raises:
        ValueError: If the size cannot be halved ``num_blocks - 1`` times, or the embedding is none
            of these.
    """

    def __init__(
        self,
        size: tuple[int, int],
        num_keypoints: int,
        num_blocks: int = 5,
        base_channels: int = 128,
        bottleneck_features: int = 64,
        pose_embedding: PoseEmbedding = 'concatenated',
        extra_channels: int = 0,
        out_channels: int = 3,
    ) -> None:
        super().__init__()
        check_divisible(size, num_blocks, type(self).__name__)
        width = size[0] // 2 ** (num_blocks - 1)
        height = size[1] // 2 ** (num_blocks - 1)
        widths = [base_channels * (i + 1) for i in range(num_blocks)]

        features = bottleneck_features
        channels = 3 + extra_channels
        self.pose_embedding: nn.Module | None = None
        if pose_embedding == 'concatenated':
            channels += num_keypoints
        elif pose_embedding == 'heatmaps':
            self.pose_embedding = HeatmapEmbedding(size, num_keypoints, widths, features)
        elif pose_embedding == 'coordinates':
            self.pose_embedding = CoordinateEmbedding(num_keypoints, features)
        else:
            raise ValueError(
                "pose_embedding must be 'concatenated', 'heatmaps' or 'coordinates', got "
                f'{pose_embedding!r}'
            )
        self.encoder = Encoder(channels, widths)
        self.squeeze = nn.Sequential(
            nn.Flatten(), nn.Linear(widths[-1] * height * width, bottleneck_features)
        )
        joined = features if self.pose_embedding is None else 2 * features
        self.expand = nn.Sequential(
            nn.Linear(joined, base_channels * height * width),
            nn.Unflatten(1, (base_channels, height, width)),
        )
        self.decoder = nn.ModuleList()
        self.ups = nn.ModuleList()
        channels = base_channels
        for w in reversed(widths):
            channels += w
            self.decoder.append(ResidualBlock(channels))
            if w > base_channels:
                self.ups.append(
                    nn.Sequential(nn.Conv2d(channels, w - base_channels, 1), nn.ReLU(inplace=True))
                )
                channels = w - base_channels
        self.head = nn.Conv2d(channels, out_channels, 3, padding=1)
        init_xavier(self)

    def forward(self, condition: Tensor, pose: Tensor, extra: Tensor | None = None) -> Tensor:
        """Synthesise the coarse image.

        Args:
            condition: (N, 3, H, W), RGB in [-1, 1].
            pose: (N, K, H, W) target heatmaps; of a coordinate embedding (N, 2 K) coordinates, see
                :class:`CoordinateEmbedding`.
            extra: (N, ``extra_channels``, H, W), None without.

        Returns:
            (N, ``out_channels``, H, W) coarse image, linear output around [-1, 1].
        """
        inputs = [condition] if self.pose_embedding is not None else [condition, pose]
        skips = self.encoder(torch.cat([*inputs, *([] if extra is None else [extra])], dim=1))
        x = self.squeeze(skips[-1])
        if self.pose_embedding is not None:
            x = torch.cat([x, self.pose_embedding(pose)], dim=1)
        x = self.expand(x)
        for i, block in enumerate(self.decoder):
            x = block(concat_skip(x, skips.pop()))
            if i < len(self.ups):
                # The paper's order is the other one: a convolution of 1x1 commutes with copying
                # pixels, and here it has a quarter of them to do.
                x = upsample(self.ups[i](x))
        out: Tensor = self.head(x)
        return out


class RefinementGenerator(nn.Module):
    """G2: coarse image and condition image to a difference map that sharpens the coarse image.

    A fully convolutional U-Net of N - 2 blocks without a fully connected layer, so that details of
    the condition image can be copied (paper, section 3.2).

    Args:
        size: (width, height) of the images; both divisible by ``2 ** (num_blocks - 1)``.
        num_blocks: N - 2 of the paper: 3 for Market-1501, 4 for DeepFashion.
        base_channels: Width of the first encoder block and of the whole decoder.
        skip_full_resolution: Whether the level of full resolution has a skip connection. In the
            authors' code it has one for DeepFashion and none for Market-1501.

    Raises:
        ValueError: If the size cannot be halved ``num_blocks - 1`` times.
    """

    def __init__(
        self,
        size: tuple[int, int],
        num_blocks: int = 3,
        base_channels: int = 128,
        skip_full_resolution: bool = True,
    ) -> None:
        super().__init__()
        check_divisible(size, num_blocks, type(self).__name__)
        self.skip_full_resolution = skip_full_resolution
        widths = [base_channels * (i + 1) for i in range(num_blocks)]

        self.stem = conv_relu(6, base_channels)
        self.encoder = nn.ModuleList()
        channels = base_channels
        for w in widths:
            self.encoder.append(nn.Sequential(conv_relu(channels, w), conv_relu(w, w)))
            channels = w
        self.downs = nn.ModuleList(conv_relu(w, w, stride=2) for w in widths[:-1])
        self.decoder = nn.ModuleList()
        for level in reversed(range(num_blocks)):
            channels += widths[level] if self._skips(level) else 0
            self.decoder.append(
                nn.Sequential(
                    conv_relu(channels, base_channels), conv_relu(base_channels, base_channels)
                )
            )
            channels = base_channels
        self.head = nn.Conv2d(base_channels, 3, 3, padding=1)
        init_xavier(self)
        # Stage II starts from the coarse image instead of first having to unlearn a random map.
        nn.init.zeros_(self.head.weight)

    def _skips(self, level: int) -> bool:
        return level > 0 or self.skip_full_resolution

    def forward(self, coarse: Tensor, condition: Tensor) -> Tensor:
        """Predict the difference map.

        Args:
            coarse: (N, 3, H, W), output of G1.
            condition: (N, 3, H, W), RGB in [-1, 1].

        Returns:
            (N, 3, H, W) difference map; the refined image is ``coarse`` plus it.
        """
        x = self.stem(torch.cat([coarse, condition], dim=1))
        skips = []
        for i, block in enumerate(self.encoder):
            x = block(x)
            skips.append(x if self._skips(i) else None)
            if i < len(self.downs):
                x = self.downs[i](x)
        for i, block in enumerate(self.decoder):
            if i > 0:
                x = upsample(x)
            x = block(concat_skip(x, skips.pop()))
        out: Tensor = self.head(x)
        return out
