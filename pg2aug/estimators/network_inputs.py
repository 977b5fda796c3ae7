"""Images to the inputs of an MMPose network and back, as its preprocessor normalises them."""

from mmengine.model import ImgDataPreprocessor
from torch import Tensor


def to_inputs(images: Tensor, preprocessor: ImgDataPreprocessor) -> Tensor:
    """Network inputs of (N, 3, H, W) float BGR images in [0, 255]."""
    images = images.flip(1) if preprocessor._channel_conversion else images
    if preprocessor._enable_normalize:
        images = (images - preprocessor.mean) / preprocessor.std
    return images


def to_images(inputs: Tensor, preprocessor: ImgDataPreprocessor) -> Tensor:
    """(N, 3, H, W) float BGR images in [0, 255] of network inputs."""
    if preprocessor._enable_normalize:
        inputs = inputs * preprocessor.std + preprocessor.mean
    return inputs.flip(1) if preprocessor._channel_conversion else inputs
