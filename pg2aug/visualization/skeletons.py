"""Skeletons and contact sheets, drawn on BGR uint8 images with OpenCV."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pg2aug.poses.skeleton import Skeleton, joint_key
from pg2aug.utils.files import replacing

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

LEFT_COLOR: Color = (255, 170, 40)
RIGHT_COLOR: Color = (40, 130, 255)
CENTER_COLOR: Color = (225, 225, 225)
CANVAS_COLOR: Color = (36, 32, 30)
TEXT_COLOR: Color = (40, 40, 40)
SHEET_COLOR: Color = (255, 255, 255)

_SUBPIXEL_BITS = 4
_GAP_PX = 4
_STRIP_PX = 22


def draw_skeleton(
    image: Image,
    keypoints: NDArray[np.floating[Any]],
    visible: NDArray[np.floating[Any]],
    skeleton: Skeleton,
    thickness_px: int | None = None,
) -> Image:
    """Draw limbs and joints: the person's left in blue, right in orange, the middle in white.

    Args:
        image: ``(H, W, 3)`` uint8 BGR; it is not changed.
        keypoints: ``(K, 2)`` in the pixels of ``image``.
        visible: ``(K,)``; joints that are 0, and their limbs, are left out.
        skeleton: Joints and limbs.
        thickness_px: Width of a limb; a hundredth of the image height if None.

    Returns:
        A new image of the same shape.

    Raises:
        ValueError: If keypoints or visibility do not fit the skeleton.
    """
    expected = skeleton.num_keypoints
    if keypoints.shape != (expected, 2) or visible.shape != (expected,):
        raise ValueError(
            f'the skeleton has {expected} joints, got keypoints {keypoints.shape} and visible '
            f'{visible.shape}'
        )
    canvas = np.ascontiguousarray(image).copy()
    thickness = thickness_px or max(1, round(image.shape[0] / 100))
    shown = (np.asarray(visible) > 0) & np.isfinite(keypoints).all(axis=-1)
    for start, end in skeleton.limbs:
        if shown[start] and shown[end]:
            ends = (_fixed_point(keypoints[start]), _fixed_point(keypoints[end]))
            color = _limb_color(skeleton, start, end)
            cv2.line(canvas, *ends, color, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    for joint in np.flatnonzero(shown):
        radius = round((0.5 + 0.9 * thickness) * 2**_SUBPIXEL_BITS)
        center, color = _fixed_point(keypoints[joint]), _joint_color(skeleton, int(joint))
        cv2.circle(canvas, center, radius, color, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)
    return canvas


def skeleton_image(
    size: tuple[int, int],
    keypoints: NDArray[np.floating[Any]],
    visible: NDArray[np.floating[Any]],
    skeleton: Skeleton,
) -> Image:
    """Draw a pose alone on a dark canvas of ``size`` (width, height); see :func:`draw_skeleton`."""
    canvas = np.full((size[1], size[0], 3), CANVAS_COLOR, dtype=np.uint8)
    return draw_skeleton(canvas, keypoints, visible, skeleton)


def contact_sheet(
    rows: Sequence[Sequence[Image]],
    titles: Sequence[str],
    cell: tuple[int, int] | None = None,
    captions: Sequence[str] | None = None,
) -> Image:
    """Lay images out in a grid with a title above each column.

    Args:
        rows: Rows of ``(H, W, 3)`` uint8 BGR images of any size, each as long as ``titles``.
        titles: One per column; shrunk to the column's width.
        cell: ``(width, height)`` that every image is scaled into, keeping its aspect ratio; the
            largest width and height among the images if None.
        captions: One line above each row.

    Returns:
        ``(H, W, 3)`` uint8 BGR on white.

    Raises:
        ValueError: If there is no row or no column, or rows, titles and captions do not match.
    """
    if not rows or not titles or any(len(row) != len(titles) for row in rows):
        raise ValueError(
            f'every row needs one image for each of the {len(titles)} titles, got rows of '
            f'{[len(row) for row in rows]}'
        )
    if captions is not None and len(captions) != len(rows):
        raise ValueError(f'{len(rows)} rows but {len(captions)} captions')
    images = [image for row in rows for image in row]
    width, height = cell or (
        max(image.shape[1] for image in images),
        max(image.shape[0] for image in images),
    )
    bands = [np.hstack([_text_strip(title, width + 2 * _GAP_PX) for title in titles])]
    for index, row in enumerate(rows):
        if captions is not None:
            bands.append(_text_strip(captions[index], bands[0].shape[1]))
        bands.append(np.hstack([_letterbox(image, (width, height)) for image in row]))
    return np.vstack(bands)


def write_png(path: str | os.PathLike[str], image: Image) -> None:
    """Write a PNG, whole or not at all; an existing file is replaced, folders are made.

    Raises:
        ValueError: If the name does not end with ``.png`` or OpenCV cannot encode the image.
        OSError: If the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() != '.png':
        raise ValueError(f'{target} must end with .png')
    data = encode_png(image)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target, sync=False) as file:
        file.write(data)


def encode_png(image: Image) -> bytes:
    """An image as a PNG file.

    Raises:
        ValueError: If OpenCV cannot encode it.
    """
    done, encoded = cv2.imencode('.png', image)
    if not done:
        raise ValueError(f'cannot encode an image of {image.shape} {image.dtype} as PNG')
    return encoded.tobytes()


def _fixed_point(keypoint: NDArray[np.floating[Any]]) -> tuple[int, int]:
    # Far outside joints would overflow OpenCV's fixed-point coordinates.
    x, y = np.clip(keypoint, -(2**15), 2**15) * 2**_SUBPIXEL_BITS
    return round(float(x)), round(float(y))


def _joint_color(skeleton: Skeleton, joint: int) -> Color:
    side = joint_key(skeleton.keypoint_names[joint])[0]
    return {'left': LEFT_COLOR, 'right': RIGHT_COLOR}.get(side, CENTER_COLOR)


def _limb_color(skeleton: Skeleton, start: int, end: int) -> Color:
    """The colour of the side that the limb is on: a limb across the body has none."""
    colors = {_joint_color(skeleton, joint) for joint in (start, end)} - {CENTER_COLOR}
    return colors.pop() if len(colors) == 1 else CENTER_COLOR


def _letterbox(image: Image, size: tuple[int, int]) -> Image:
    """Scale an image into ``size`` and centre it in a cell with a white margin."""
    width, height = size
    scale = min(width / image.shape[1], height / image.shape[0])
    fitted = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    if fitted != (image.shape[1], image.shape[0]):
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(image, fitted, interpolation=method), dtype=np.uint8)
    shape = (height + 2 * _GAP_PX, width + 2 * _GAP_PX, 3)
    canvas = np.full(shape, SHEET_COLOR, dtype=np.uint8)
    top, left = (shape[0] - fitted[1]) // 2, (shape[1] - fitted[0]) // 2
    canvas[top : top + fitted[1], left : left + fitted[0]] = image
    return canvas


def _text_strip(text: str, width: int) -> Image:
    strip = np.full((_STRIP_PX, width, 3), SHEET_COLOR, dtype=np.uint8)
    (full_width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    scale = min(0.5, (width - 2 * _GAP_PX) / max(full_width, 1))
    origin = (_GAP_PX, _STRIP_PX - 7)
    cv2.putText(strip, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, TEXT_COLOR, 1, cv2.LINE_AA)
    return strip
