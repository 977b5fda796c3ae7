"""Asking one of MMPose's top-down estimators where the joints are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.model import ImgDataPreprocessor
from torch import Tensor, nn

from pg2aug.models.affine import invert_affine, transform_points, warp
from pg2aug.poses import BOX_MARGIN

BOX_PADDING = 1.25
"""MMPose's factor on a person's box (``GetBBoxCenterScale``)."""


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


def check_predicts(model: nn.Module, context: str) -> None:
    """Raise ValueError unless a model predicts keypoints from images.

    Args:
        model: MMPose model.
        context: Names it in errors.
    """
    decoder = _decoder(model)
    if decoder is None:
        name = type(getattr(model, 'head', None)).__name__
        raise ValueError(
            f'the head of {context} ({name}) does not predict keypoints: set decoder=codec in the '
            'head of the config'
        )
    if not isinstance(model.data_preprocessor, ImgDataPreprocessor):
        raise ValueError(
            f'{context} has a {type(model.data_preprocessor).__name__}, which takes no images: '
            "use data_preprocessor=dict(type='PoseDataPreprocessor', ...)"
        )
    if _size(decoder) is None:
        raise ValueError(
            f'the codec of {context} ({type(decoder).__name__}) has no input_size, so that the '
            "size of the network's input cannot be told: use another codec"
        )


def input_size(model: nn.Module) -> tuple[int, int]:
    """(width, height) of the input of a network that passed :func:`check_predicts`."""
    width, height = _size(_decoder(model))
    return int(width), int(height)


def _decoder(model: nn.Module) -> Any:
    head = getattr(model, 'head', None)
    head = getattr(head, 'pose_head', head)  # VisPredictHead wraps another
    return getattr(head, 'decoder', None)


def _size(codec: Any) -> Any:
    # IntegralRegressionLabel keeps it in one of the two codecs that it is made of.
    size = getattr(codec, 'input_size', None)
    return size or getattr(getattr(codec, 'keypoint_codec', None), 'input_size', None)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, 32 bits, no gradients; afterwards each module is in the mode it was in.

    Not in inference mode, in which a model that is being trained could cache tensors that its
    training cannot use.
    """
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    model.eval()
    try:
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            torch.autocast(device.type, enabled=False),
        ):
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def predict_keypoints(model: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Keypoints as the model's own head and codec decode them, without test-time augmentation.

    Args:
        model: Top-down MMPose model; its mode is restored.
        inputs: (N, 3, H, W), normalised, N at least 1.

    Returns:
        (N, K, 2) float32 keypoints in pixels of ``inputs``, and their (N, K) scores, whose range is
        the head's; on the device of the inputs.
    """
    network: Any = model
    with evaluating(model):
        # A copy made here is an ordinary tensor, whatever the caller's mode.
        features = network.extract_feat(inputs.clone())
        test_cfg = {**network.test_cfg, 'flip_test': False, 'output_heatmaps': False}
        predictions = network.head.predict(features, None, test_cfg=test_cfg)
    stacked = [
        np.concatenate([torch.as_tensor(p[name]).cpu().numpy() for p in predictions])
        for name in ('keypoints', 'keypoint_scores')
    ]
    keypoints, scores = (torch.from_numpy(array).to(inputs.device).float() for array in stacked)
    return keypoints[..., :2], scores


def estimate_poses(
    model: nn.Module, images: Tensor, keypoints: Tensor, visible: Tensor
) -> tuple[Tensor, Tensor]:
    """Estimate the pose of one person an image, framed by a pose as MMPose frames its boxes.

    Args:
        model: Top-down MMPose model that passed :func:`check_predicts`.
        images: (N, 3, h, w) float BGR in [0, 255], N at least 1.
        keypoints: (N, K, 2) pose that says where the person is, pixels of ``images``.
        visible: (N, K), greater than 0 where labelled.

    Returns:
        (N, J, 2) float32 keypoints of the model's J joints in pixels of ``images``, and their
        (N, J) scores.
    """
    size = input_size(model)
    matrices = framing(keypoints, visible, size)
    framed = warp(images, matrices, (size[1], size[0]))
    preprocessor: Any = model.data_preprocessor
    found, scores = predict_keypoints(model, to_inputs(framed, preprocessor))
    return transform_points(found, invert_affine(matrices)), scores


def framing(keypoints: Tensor, visible: Tensor, size: tuple[int, int]) -> Tensor:
    """Affines to a network's input that put persons where MMPose puts them.

    Args:
        keypoints: (N, K, 2) pixels.
        visible: (N, K), greater than 0 where labelled, at least one joint of each person.
        size: (width, height) of the network's input.

    Returns:
        (N, 2, 3) affines, pixels of the keypoints to pixels of the input.
    """
    low, high = keypoint_extent(keypoints, visible)
    margin = BOX_MARGIN * (high - low).amax(dim=1, keepdim=True)
    side = (high - low + 2 * margin).clamp_min(1) * BOX_PADDING
    target = keypoints.new_tensor(size)
    scale = (target / side).amin(dim=1)
    linear = scale[:, None, None] * torch.eye(2, device=keypoints.device)
    offset = target / 2 - scale[:, None] * (low + high) / 2
    return torch.cat([linear, offset[..., None]], dim=2)


def keypoint_extent(keypoints: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Corners (N, 2) of the box of each person's labelled joints; 0 where there is none."""
    labelled = (visible > 0)[..., None]
    low = keypoints.masked_fill(~labelled, torch.inf).amin(dim=1)
    high = keypoints.masked_fill(~labelled, -torch.inf).amax(dim=1)
    return torch.nan_to_num(low, posinf=0.0), torch.nan_to_num(high, neginf=0.0)
