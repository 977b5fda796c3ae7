"""Cluttered backgrounds for the procedural people: rooms, streets and shapes."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def paint_background(
    size: tuple[int, int], palette: NDArray[np.float64], rng: np.random.Generator
) -> Image:
    """Paint a background.

    Args:
        size: (width, height) in pixels.
        palette: BGR colours (C, 3), range [0, 255]. Some of the clutter is painted in them, so that
            colour alone does not tell a person who wears them from the background.
        rng: all that is random.

    Returns:
        BGR (height, width, 3) uint8.
    """
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    horizon = int(height * rng.uniform(0.5, 0.92))
    _fill_gradient(image[:horizon], rng)
    _fill_gradient(image[horizon:], rng)
    if rng.random() < 0.6:
        _tile(image[horizon:] if rng.random() < 0.5 else image[:horizon], rng)
    for _ in range(rng.integers(5, 16)):
        _draw_clutter(image, horizon, _pick_colour(palette, rng), rng)
    if rng.random() < 0.5:
        cv2.GaussianBlur(image, (0, 0), height * float(rng.uniform(0.003, 0.012)), dst=image)
    return _add_texture(image, rng)


def _pick_colour(palette: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, ...]:
    if rng.random() < 0.45:
        colour = palette[rng.integers(len(palette))] + rng.normal(0, 12, 3)
    else:
        colour = rng.uniform(25, 235) + rng.normal(0, 28, 3)
    return tuple(np.clip(colour, 0, 255).tolist())


def _fill_gradient(region: Image, rng: np.random.Generator) -> None:
    if region.size == 0:
        return
    corners = rng.uniform(50, 225) + rng.normal(0, 16, 3) + rng.normal(0, 20, (2, 2, 1))
    corners = np.clip(corners, 0, 255).astype(np.uint8)
    region[:] = cv2.resize(corners, (region.shape[1], region.shape[0]))


def _tile(region: Image, rng: np.random.Generator) -> None:
    """Lines of bricks, boards or tiles."""
    height, width = region.shape[:2]
    step = int(max(4, width * rng.uniform(0.07, 0.3)))
    shade = float(rng.uniform(-45, 45))
    lines = np.zeros((height, width), np.bool_)
    if rng.random() < 0.7:
        lines[:: max(3, step // 2)] = True
    if rng.random() < 0.7:
        lines[:, int(rng.integers(step)) :: step] = True
    region[lines] = np.clip(region[lines] + shade, 0, 255).astype(np.uint8)


def _draw_clutter(
    image: Image, horizon: int, colour: tuple[float, ...], rng: np.random.Generator
) -> None:
    height, width = image.shape[:2]
    x, y = (rng.random(2) * (1.1 * width, 1.1 * height) - (0.05 * width, 0.05 * height)).tolist()
    w, h = (rng.uniform(0.05, 0.38, 2) * (width, height)).tolist()
    kind = rng.integers(6)
    if kind == 0:
        _draw_panel(image, (x, y, w, h), colour, rng)
    elif kind == 1:  # furniture that stands on the floor
        _draw_panel(image, (x, horizon - h, w, h * rng.uniform(1, 1.5)), colour, rng)
    elif kind == 2:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        ring = np.stack((x + w * np.cos(angles), y + 0.6 * h * np.sin(angles)), axis=1)
        cv2.fillPoly(image, [np.round(16 * ring).astype(np.int32)], colour, cv2.LINE_AA, 4)
    elif kind == 3:
        axes = (max(1, int(w / 2)), max(1, int(h / 3)))
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(image, (int(x), int(y)), axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
    else:  # limb-like bars
        reach = rng.normal(0, 0.25 * height, 2)
        thickness = max(1, int(height * rng.uniform(0.008, 0.07)))
        end = (int(x + reach[0]), int(y + reach[1]))
        cv2.line(image, (int(x), int(y)), end, colour, thickness, cv2.LINE_AA)


def _draw_panel(
    image: Image,
    box: tuple[float, float, float, float],
    colour: tuple[float, ...],
    rng: np.random.Generator,
) -> None:
    """A rectangle that is plain, striped, checked or framed."""
    height, width = image.shape[:2]
    x0, y0 = max(0, int(box[0])), max(0, int(box[1]))
    x1, y1 = min(width, int(box[0] + box[2])), min(height, int(box[1] + box[3]))
    if x1 <= x0 or y1 <= y0:
        return
    region = image[y0:y1, x0:x1]
    region[:] = np.array(colour).astype(np.uint8)
    other = np.clip(np.array(colour) + rng.normal(0, 60), 0, 255).astype(np.uint8)
    period = int(max(2, width * rng.uniform(0.03, 0.09)))
    rows, columns = np.arange(y1 - y0)[:, None] // period % 2, np.arange(x1 - x0) // period % 2
    kind = rng.integers(5)
    if kind < 3:
        odd = (rows + 0 * columns, columns + 0 * rows, rows ^ columns)[kind]
        region[odd == 1] = other
    elif kind == 3:
        edge = tuple(other.tolist())
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), edge, max(1, period // 3))


def _add_texture(image: Image, rng: np.random.Generator) -> Image:
    """Uneven light and grain."""
    height, width = image.shape[:2]
    patches = cv2.resize(
        rng.normal(0, 11, (rng.integers(3, 14), rng.integers(3, 11))).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    grain = rng.standard_normal((height, width), np.float32) * np.float32(rng.uniform(1, 6))
    noise = cv2.merge([patches + grain] * 3)
    return cv2.add(image, noise, dtype=cv2.CV_8U).astype(np.uint8, copy=False)


def cast_shadow(image: Image, alpha: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """Darken the floor next to a person.

    Args:
        image: BGR (H, W, 3) uint8.
        alpha: the person's matte (H, W), range [0, 1].
        rng: the shadow's direction, length, softness and strength.
    """
    height = image.shape[0]
    occupied = np.flatnonzero(alpha.max(axis=1) > 0.5)
    base = float(occupied[-1]) if occupied.size else float(height)
    squash, shear = float(rng.uniform(0.06, 0.22)), float(rng.uniform(-0.5, 0.5))
    flatten = np.array(((1, -shear, shear * base), (0, squash, (1 - squash) * base)))
    shadow = cv2.warpAffine(alpha, flatten, (image.shape[1], height))
    shadow = cv2.GaussianBlur(shadow, (0, 0), height * float(rng.uniform(0.008, 0.02)))
    dark = cv2.merge([1 - np.float32(rng.uniform(0.3, 0.65)) * shadow] * 3)
    return cv2.multiply(image, dark, dtype=cv2.CV_8U).astype(np.uint8, copy=False)
