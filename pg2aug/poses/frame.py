"""A pose in its image: the box around it, moving it inside, and how it came to another frame."""

from typing import Any

import numpy as np
import numpy.typing as npt

BOX_MARGIN = 0.1
"""Share of a pose's extent by which a person's box exceeds its joints (top of the head, feet)."""

_Array = npt.NDArray[Any]
_Pose = npt.NDArray[np.float32]
_MIN_JOINTS = 3
_LEAST_SHRINKING = 0.5
# Below this ratio of their spreads, joints lie on a line to within what float32 pixels resolve.
_COLLINEAR = 1e-4
_TOO_FEW = f'an affine needs {_MIN_JOINTS} labelled joints, got {{}}'
_ON_A_LINE = 'the {} labelled joints lie on a line, no affine can be recovered'


def keypoints_bbox(
    keypoints: _Array,
    visible: _Array,
    margin: float,
    image_shape: tuple[int, int] | None = None,
) -> _Pose:
    """Box around the labelled joints, padded, for a head's top and the feet lie outside them.

    Args:
        keypoints: ``(K, 2)`` pixels.
        visible: ``(K,)``, greater than 0 where labelled.
        margin: Padding on every side, as a share of the larger side of the joints' own box.
        image_shape: ``(height, width)``; clips the box to the pixel centres if given.

    Returns:
        ``(4,)`` float32, ``x1, y1, x2, y2`` in the frame of ``keypoints``.

    Raises:
        ValueError: If no joint is labelled, or the box lies outside the image.
    """
    low, high = _padded_extent(keypoints, visible, margin)
    if image_shape is not None:
        limit = np.array([image_shape[1] - 1, image_shape[0] - 1])
        if (high < 0).any() or (low > limit).any():
            raise ValueError(
                f'the pose, from {low} to {high}, lies outside its image of (height, width) '
                f'{tuple(image_shape)}: bring it inside with shift_into_image'
            )
        low, high = np.clip(low, 0, limit), np.clip(high, 0, limit)
    return np.concatenate([low, high]).astype(np.float32)


def shift_into_image(
    keypoints: _Array, visible: _Array, image_shape: tuple[int, int], margin: float
) -> _Pose:
    """Move a pose into the image by the smallest translation.

    Where the padded pose is larger than the image along an axis, it is moved so far that it covers
    the image along it: joints may then remain outside, see :func:`inside_image`.

    Args:
        keypoints: ``(K, 2)`` pixels.
        visible: ``(K,)``, greater than 0 where labelled.
        image_shape: ``(height, width)``.
        margin: Padding that has to fit too, see :func:`keypoints_bbox`.

    Returns:
        ``(K, 2)`` float32, 0 where unlabelled.

    Raises:
        ValueError: If no joint is labelled.
    """
    low, high = _padded_extent(keypoints, visible, margin)
    to_start = -low
    to_end = np.array([image_shape[1] - 1, image_shape[0] - 1]) - high
    shift = np.clip(0, np.minimum(to_start, to_end), np.maximum(to_start, to_end))
    known = np.asarray(visible) > 0
    moved = np.zeros(np.shape(keypoints), np.float32)
    moved[known] = np.asarray(keypoints, np.float64)[known] + shift
    return moved


def shrink_into_image(
    keypoints: _Array, visible: _Array, image_shape: tuple[int, int], margin: float
) -> tuple[_Pose, float]:
    """Make a pose that is larger than the image as small as the image is, and move it inside.

    Someone who fills the image standing leaves it with raised arms: who takes a picture of that
    steps back. A pose whose joints have room is as large as it was; one of which less than half the
    size would fit is seen from near. Both are only moved, see :func:`shift_into_image`.

    Args:
        keypoints: ``(K, 2)`` pixels.
        visible: ``(K,)``, greater than 0 where labelled.
        image_shape: ``(height, width)``.
        margin: Padding, see :func:`keypoints_bbox`: what of it there is room for, and all of it if
            the pose becomes smaller.

    Returns:
        ``(K, 2)`` float32, 0 where unlabelled; and the factor, in [0.5, 1], by which it became
        smaller, around the middle of its box.

    Raises:
        ValueError: If no joint is labelled.
    """
    limit = np.array([image_shape[1] - 1, image_shape[0] - 1])
    low, high = _padded_extent(keypoints, visible, 0)
    room = float((limit - (high - low)).min()) / 2 / max(float((high - low).max()), 1e-6)
    if room >= 0:
        return shift_into_image(keypoints, visible, image_shape, min(margin, room)), 1.0
    low, high = _padded_extent(keypoints, visible, margin)
    scale = float((limit / (high - low)).min())
    if scale < _LEAST_SHRINKING:
        scale = 1.0
    middle = (low + high) / 2
    smaller = middle + (np.asarray(keypoints, np.float64) - middle) * scale
    return shift_into_image(smaller, visible, image_shape, margin), scale


def inside_image(keypoints: _Array, image_shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Tell which joints lie in the image, between the centres of its border pixels.

    Args:
        keypoints: ``(..., K, 2)`` pixels.
        image_shape: ``(height, width)``.

    Returns:
        ``(..., K)`` bool; says nothing about unlabelled joints.
    """
    limit = np.array([image_shape[1] - 1, image_shape[0] - 1])
    inside: npt.NDArray[np.bool_] = ((keypoints >= 0) & (keypoints <= limit)).all(axis=-1)
    return inside


def recover_affine(
    before: _Array, after: _Array, visible: _Array
) -> tuple[npt.NDArray[np.float64], float]:
    """Find the affine that took a pose to another frame, by least squares.

    Args:
        before: ``(K, 2)`` pixels.
        after: ``(K, 2)`` pixels of the other frame.
        visible: ``(K,)``, greater than 0 where labelled.

    Returns:
        The ``(2, 3)`` float64 matrix that maps ``before`` to ``after``, and the residual: the
        largest distance of a mapped joint from ``after``, in pixels of the other frame.

    Raises:
        ValueError: If fewer than 3 joints are labelled, or they lie on a line.
    """
    matrices, residuals = recover_affines(*(np.asarray(a)[None] for a in (before, after, visible)))
    return matrices[0], float(residuals[0])


def recover_affines(
    before: _Array, after: _Array, visible: _Array
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Find the affines that took some poses to other frames; see :func:`recover_affine`.

    Args:
        before: ``(N, K, 2)`` pixels.
        after: ``(N, K, 2)`` pixels of the other frames.
        visible: ``(N, K)``, greater than 0 where labelled.

    Returns:
        ``(N, 2, 3)`` float64 matrices and ``(N,)`` residuals.

    Raises:
        ValueError: If a pose has fewer than 3 labelled joints, or they lie on a line.
    """
    known = (np.asarray(visible) > 0)[..., None]
    count = known.sum(axis=1, keepdims=True)
    if (count < _MIN_JOINTS).any():
        raise ValueError(_TOO_FEW.format(count.min()))
    x, y = (np.where(known, np.asarray(a, np.float64), 0.0) for a in (before, after))
    x_mean, y_mean = (a.sum(axis=1, keepdims=True) / count for a in (x, y))
    x, y = np.where(known, x - x_mean, 0.0), np.where(known, y - y_mean, 0.0)
    spreads = x.transpose(0, 2, 1) @ x
    on_a_line = _on_a_line(spreads)
    if on_a_line.any():
        raise ValueError(_ON_A_LINE.format(count[int(on_a_line.argmax()), 0, 0]))
    linear = np.linalg.solve(spreads, x.transpose(0, 2, 1) @ y)
    matrices = np.concatenate([linear, y_mean - x_mean @ linear], axis=1).transpose(0, 2, 1)
    residuals = np.linalg.norm(x @ linear - y, axis=2).max(axis=1)
    return matrices, residuals


def check_affine_joints(keypoints: _Array, visible: _Array) -> None:
    """Raise the ValueError of :func:`recover_affine` if a pose (K, 2) would tell no affine."""
    joints = np.asarray(keypoints, np.float64)[np.asarray(visible) > 0]
    if len(joints) < _MIN_JOINTS:
        raise ValueError(_TOO_FEW.format(len(joints)))
    centred = joints - joints.sum(axis=0) / len(joints)
    if _on_a_line(centred.T @ centred):
        raise ValueError(_ON_A_LINE.format(len(joints)))


def _on_a_line(spreads: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Whether joints with these sums of squares and products (..., 2, 2) lie on a line."""
    eigenvalues = np.linalg.eigvalsh(spreads)
    on_a_line: npt.NDArray[np.bool_] = eigenvalues[..., 0] <= _COLLINEAR**2 * eigenvalues[..., 1]
    return on_a_line


def _padded_extent(
    keypoints: _Array, visible: _Array, margin: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    labelled = np.asarray(keypoints, np.float64)[np.asarray(visible) > 0]
    if not len(labelled):
        raise ValueError('no joint is labelled, so the pose has no extent')
    low, high = labelled.min(axis=0), labelled.max(axis=0)
    padding = margin * (high - low).max()
    return low - padding, high + padding
