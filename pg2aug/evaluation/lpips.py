"""LPIPS by torchmetrics, with AlexNet from a file."""

from typing import Any

import torch
from torch import Tensor, nn

from pg2aug.compat import load_checkpoint
from pg2aug.evaluation.pairs import EvaluatedPairs
from pg2aug.evaluation.scores import Columns, Score, library_versions
from pg2aug.evaluation.weights import ALEXNET, check_weights, note_weights

SMALLEST_SIDE = 31
"""Images below lose all their pixels in AlexNet's pooling."""


def load_lpips(path: str) -> nn.Module:
    """Build torchmetrics' LPIPS network on AlexNet with weights from a file.

    Its linear layers (version 0.1 of the LPIPS authors) are part of torchmetrics.

    Args:
        path: ImageNet weights of torchvision's AlexNet.

    Returns:
        A network in evaluation mode, see :func:`lpips`.

    Raises:
        ValueError: If the file cannot be read safely, or holds no such weights.
    """
    # The public metric downloads AlexNet; the network below it can be built without.
    from torchmetrics.functional.image.lpips import _NoTrainLpips

    network: Any = _NoTrainLpips(net='alex', pnet_rand=True)
    content = load_checkpoint(path)
    layers = {
        name.removeprefix('features.'): value
        for name, value in content.items()
        if name.startswith('features.')
    }
    try:
        for part in network.net.children():
            own = {name: v for name, v in layers.items() if name.split('.')[0] in part._modules}
            part.load_state_dict(own)
    except RuntimeError as error:
        message = ' '.join(str(error).split())
        raise ValueError(f'{path} does not hold {ALEXNET.name}: {message}') from error
    checked: nn.Module = network
    return checked


def lpips(network: nn.Module, images: Tensor, references: Tensor) -> Tensor:
    """Perceptual distances of pairs of images (Zhang et al., CVPR 2018), at their own size.

    Args:
        network: See :func:`load_lpips`.
        images: (N, 3, H, W) uint8 RGB.
        references: (N, 3, H, W) uint8 RGB.

    Returns:
        (N,) float32, 0 for equal images.

    Raises:
        ValueError: If the images are too small for AlexNet.
    """
    if min(images.shape[-2:]) < SMALLEST_SIDE:
        raise ValueError(
            f'LPIPS needs images of at least {SMALLEST_SIDE} pixels a side, got '
            f'{images.shape[-1]}x{images.shape[-2]}: leave out lpips_weights'
        )
    with torch.no_grad():
        distances: Tensor = network(images / 255, references / 255, normalize=True)
    return distances.flatten()


class PerceptualMeasure:
    """LPIPS; None without weights.

    Args:
        path: Weights, see :func:`load_lpips`; None for none.
        other_weights: Whether weights with another hash than the published ones' are accepted.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the weights are not those.
    """

    def __init__(self, path: str | None, other_weights: bool = False) -> None:
        self.versions = library_versions('torchmetrics', 'torchvision', 'torch')
        self.weights: dict[str, Any] | None = None
        self.network: nn.Module | None = None
        if path is not None:
            self.weights = check_weights(path, ALEXNET, 'lpips_weights', other_weights)
            self.network = load_lpips(path)

    def measure(self, pairs: EvaluatedPairs) -> Columns:
        """See :class:`pg2aug.evaluation.scores.Measure`."""
        if self.network is None:
            return {}
        network = self.network.to(pairs.synthesised.device)
        return {'lpips': lpips(network, pairs.synthesised, pairs.target).cpu().numpy()}

    def scores(self, columns: Columns) -> list[Score]:
        """See :class:`pg2aug.evaluation.scores.Measure`."""
        value, note = None, 'no weights'
        if 'lpips' in columns:
            value = float(columns['lpips'].mean(dtype='float64'))
            note = note_weights(self.weights, '')
        settings = 'AlexNet, linear layers of version 0.1 as in torchmetrics, images at their size'
        score = Score('LPIPS', value, 'LPIPS', settings, self.versions, self.weights, note=note)
        return [score]
