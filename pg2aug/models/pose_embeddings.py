"""The two ways of giving G1 its pose that the paper compares its own with (Table 1)."""

from collections.abc import Sequence

from torch import Tensor, nn

from pg2aug.models.blocks import Encoder


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
