"""Building blocks shared by the generators."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def conv_relu(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution followed by a ReLU; a stride of 2 halves height and width."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1), nn.ReLU(inplace=True)
    )


class ResidualBlock(nn.Module):
    """Two 3x3 conv-ReLU and the residual addition, without normalisation (paper, section 3.1).

    Args:
        channels: Number of channels of input and output, shape (N, channels, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv_relu(channels, channels), conv_relu(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` plus its residual, same shape."""
        out: Tensor = x + self.layers(x)
        return out


class Encoder(nn.Module):
    """Residual blocks, each but the last followed by a stride-2 convolution (paper, section 3.1).

    Args:
        in_channels: Channels of the input.
        widths: Channels of each block.
    """

    def __init__(self, in_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.stem = conv_relu(in_channels, widths[0])
        self.blocks = nn.ModuleList(ResidualBlock(width) for width in widths)
        self.downs = nn.ModuleList(conv_relu(a, b, stride=2) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encode (N, in_channels, H, W): what each block puts out, from full resolution down."""
        features = [self.blocks[0](self.stem(x))]
        for down, block in zip(self.downs, list(self.blocks)[1:], strict=True):
            features.append(block(down(features[-1])))
        return features


def upsample(x: Tensor) -> Tensor:
    """Nearest-neighbour upsampling of (N, C, H, W) by 2."""
    return nn.functional.interpolate(x, scale_factor=2, mode='nearest')


def init_xavier(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases in every convolution and linear layer."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def init_dcgan(module: nn.Module) -> None:
    """DCGAN initialisation: N(0, 0.02) weights, batch norm gains N(1, 0.02), zero biases."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def check_divisible(size: tuple[int, int], num_blocks: int, name: str) -> None:
    """Raise ValueError unless width and height survive ``num_blocks - 1`` halvings."""
    factor = 2 ** (num_blocks - 1)
    if size[0] % factor or size[1] % factor:
        raise ValueError(
            f'{name} with {num_blocks} blocks needs a width and height divisible by {factor}, '
            f'got size={tuple(size)} (width, height): change the size or num_blocks'
        )


def concat_skip(x: Tensor, skip: Tensor | None) -> Tensor:
    """Concatenate a skip connection to ``x`` along the channels, where there is one."""
    return x if skip is None else torch.cat([x, skip], dim=1)
