"""The canonical crop: upright, of the generator's own size, placed as MMPose places its crops."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]


def crop_matrix(
    bbox_xyxy: FloatArray, size: tuple[int, int], padding: float = 1.25
) -> NDArray[np.float32]:
    """Affine from the image frame to the crop frame of a person's box.

    The box is padded about its centre and grown to the aspect ratio of ``size``, as MMPose's
    ``GetBBoxCenterScale`` and ``TopdownAffine`` do, to the last bit; it is never rotated or
    stretched.

    Args:
        bbox_xyxy: ``(4,)`` left, top, right, bottom in image pixels; may leave the image.
        size: ``(width, height)`` of the crop in pixels.
        padding: Factor on the width and height of the box.

    Returns:
        ``(2, 3)`` float32, image pixels to crop pixels.

    Raises:
        ValueError: If the box is not four finite numbers with a positive width and height, or
            ``size`` or ``padding`` is not positive.
    """
    bbox = np.asarray(bbox_xyxy, dtype=np.float32)
    if bbox.shape != (4,) or not np.isfinite(bbox).all() or (bbox[2:] <= bbox[:2]).any():
        raise ValueError(
            f'a person box must be (left, top, right, bottom) with a positive width and height, '
            f'got {bbox_xyxy}'
        )
    width, height = size
    if min(width, height, padding) <= 0:
        raise ValueError(f'size and padding must be positive, got size={size}, padding={padding}')
    center, scale = (bbox[2:] + bbox[:2]) * 0.5, (bbox[2:] - bbox[:2]) * padding
    grown = max(float(scale[0]), float(scale[1]) * (width / height))
    source = _corners(center, grown)
    target = _corners(np.array([width * 0.5, height * 0.5]), width)
    return np.asarray(cv2.getAffineTransform(source, target), dtype=np.float32)


def _corners(center: FloatArray, width: float) -> NDArray[np.float32]:
    """Three points that tell where a crop is: its centre, left of it, and as far below that."""
    (x, y), (left, _) = np.array([center, center - np.array([width * 0.5, 0.0])], np.float32)
    return np.array([(x, y), (left, y), (left, y + (x - left))], np.float32)


def crop_person(
    image: Image,
    matrix: FloatArray,
    size: tuple[int, int],
    border: tuple[int, int, int] = (0, 0, 0),
) -> Image:
    """Warp an image into the crop frame, bilinearly.

    Args:
        image: ``(H, W, 3)`` uint8 BGR.
        matrix: ``(2, 3)`` image to crop, see :func:`crop_matrix`.
        size: ``(width, height)`` of the crop.
        border: BGR colour of what lies outside the image; black, as MMPose's own crops have it.

    Returns:
        ``(height, width, 3)`` uint8 BGR.

    Raises:
        ValueError: If ``image`` is not a uint8 image of three channels.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f'expected a (H, W, 3) uint8 image, got {image.shape} {image.dtype}')
    warped = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=border)
    return np.asarray(warped, dtype=np.uint8)


def transform_keypoints(keypoints: FloatArray, matrix: FloatArray) -> NDArray[np.float32]:
    """Apply a ``(2, 3)`` affine to ``(..., K, 2)`` keypoints; returns float32 of the same shape."""
    return np.asarray(keypoints @ matrix[:, :2].T + matrix[:, 2], dtype=np.float32)


def inside_crop(keypoints: FloatArray, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether ``(..., K, 2)`` keypoints of the crop frame fall on one of the crop's pixels."""
    # Pixel centres are whole numbers, so that the first pixel begins at -0.5.
    inside = (keypoints >= -0.5) & (keypoints < np.array(size) - 0.5)
    return np.asarray(inside.all(axis=-1))


def flip_crop(
    image: Image, keypoints: FloatArray, visible: FloatArray, flip_indices: Sequence[int]
) -> tuple[Image, NDArray[np.float32], NDArray[np.float32]]:
    """Mirror a crop left to right, and swap the left and right joints.

    Args:
        image: ``(h, w, 3)`` uint8.
        keypoints: ``(K, 2)`` in the crop frame.
        visible: ``(K,)``, greater than 0 where the joint is labelled.
        flip_indices: For each joint the joint that it becomes, of length K.

    Returns:
        The mirrored image (contiguous), keypoints (x becomes w - 1 - x) and visibility.

    Raises:
        ValueError: If there is not one flip index to each joint.
    """
    if len(flip_indices) != len(keypoints):
        raise ValueError(
            f'{len(keypoints)} keypoints need as many flip_indices, got {len(flip_indices)}'
        )
    swapped = keypoints[list(flip_indices)].astype(np.float32)
    swapped[:, 0] = image.shape[1] - 1 - swapped[:, 0]
    flipped = np.ascontiguousarray(image[:, ::-1])
    return flipped, swapped, visible[list(flip_indices)].astype(np.float32)
