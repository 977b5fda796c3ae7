"""Depth-buffered ray casting of quadrics under an orthographic camera."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pg2aug.figures.body import Floats
from pg2aug.figures.solids import Solid


@dataclass(frozen=True)
class Scene:
    """Solids ready to be cast, in the camera frame: pixels, y down, z towards the camera.

    ``to_local`` (P, 4, 4) maps homogeneous camera coordinates to each solid's own, ``quadrics``
    (P, 4, 4) are positive outside a solid, ``boxes`` (P, 4) are x0, y0, x1, y1 and ``is_cone`` (P,)
    tells which solids end at y = 0 and y = 1.
    """

    to_local: Floats
    quadrics: Floats
    boxes: Floats
    is_cone: NDArray[np.bool_]


@dataclass(frozen=True)
class Surface:
    """What the rays (h, w) hit: ``depth``, minus infinity where nothing, and ``part``, -1 there."""

    depth: Floats
    part: NDArray[np.int16]


def solid_bounds(solids: list[Solid]) -> Floats:
    """Boxes (P, 4), x0, y0, x1, y1 of solids in the plane of their frame (y up)."""
    plane = np.array([solid.axes[:2] for solid in solids])
    centre = np.array([solid.origin[:2] for solid in solids])
    taper = np.array([solid.taper or 0.0 for solid in solids])[:, None]
    is_cone = taper > 0
    square = plane**2
    ball = np.sqrt(square.sum(axis=2))
    ring = np.where(is_cone, np.sqrt(square[..., 0] + square[..., 2]), ball)
    end = np.where(is_cone, centre + plane[..., 1], centre)
    end_ring = np.where(is_cone, ring * taper, ball)
    lows = np.minimum(centre - ring, end - end_ring)
    return np.concatenate((lows, np.maximum(centre + ring, end + end_ring)), axis=1)


def build_scene(solids: list[Solid], scale: float, offset: tuple[float, float]) -> Scene:
    """Place solids in front of the camera: pixel = ``scale`` * (x, -y) + ``offset``."""
    count = len(solids)
    placed = np.tile(np.eye(4), (count, 1, 1))
    placed[:, :3, :3] = [solid.axes for solid in solids]
    placed[:, :3, 3] = [solid.origin for solid in solids]
    camera = np.diag((scale, -scale, scale, 1.0))
    camera[:2, 3] = offset
    to_local = np.linalg.inv(camera @ placed)
    is_cone = np.array([solid.taper is not None for solid in solids])
    slope = np.array([1.0 if solid.taper is None else solid.taper - 1 for solid in solids])
    local = np.tile(np.diag((1.0, 1.0, 1.0, -1.0)), (count, 1, 1))
    local[is_cone, 1, 1] = -(slope[is_cone] ** 2)
    local[is_cone, 1, 3] = local[is_cone, 3, 1] = -slope[is_cone]
    boxes = solid_bounds(solids)[:, (0, 3, 2, 1)] * (scale, -scale, scale, -scale)
    boxes += np.tile(offset, 2)
    return Scene(to_local, to_local.transpose(0, 2, 1) @ local @ to_local, boxes, is_cone)


def cast(scene: Scene, columns: Floats, rows: Floats) -> Surface:
    """The nearest surface along the ray of every pixel.

    Args:
        scene: solids in the camera frame.
        columns: x of each pixel column (w,), ascending, in pixels of the camera frame.
        rows: y of each pixel row (h,).
    """
    depth = np.full((len(rows), len(columns)), -np.inf)
    part = np.full(depth.shape, -1, np.int16)
    x_spans = np.searchsorted(columns, scene.boxes[:, (0, 2)]).tolist()
    y_spans = np.searchsorted(rows, scene.boxes[:, (1, 3)]).tolist()
    for index, (x_span, y_span) in enumerate(zip(x_spans, y_spans, strict=True)):
        window = (slice(*y_span), slice(*x_span))
        x, y = columns[window[1]], rows[window[0], None]
        if x.size and y.size:
            with np.errstate(invalid='ignore'):  # NaN, a miss, is nearer than nothing
                found = _hit(scene, index, x, y)
                nearer = found > depth[window]
            np.copyto(depth[window], found, where=nearer)
            np.copyto(part[window], index, where=nearer)
    return Surface(depth, part)


def _hit(scene: Scene, index: int, x: Floats, y: Floats) -> Floats:
    """Depth (h, w) of a solid's nearest surface at columns x (w,), rows y (h, 1); NaN if missed."""
    (xx, xy, xz, x1), (_, yy, yz, y1), (_, _, zz, z1), (_, _, _, one) = scene.quadrics[
        index
    ].tolist()
    # The form is a z^2 + 2 b z + c: b is linear, and b^2 - a c quadratic, in x and y.
    a = zz if abs(zz) > 1e-12 else 1e-12
    middle = (xz * x + (yz * y + z1)) / -a
    in_x = ((xz * xz - a * xx) * x + 2 * (xz * z1 - a * x1)) * x
    in_y = ((yz * yz - a * yy) * y + 2 * (yz * z1 - a * y1)) * y + (z1 * z1 - a * one)
    square = in_x + in_y + (2 * (xz * yz - a * xy) * y) * x
    root = np.sqrt(square) / abs(a)
    near = middle + root
    if scene.is_cone[index]:
        slope_x, slope_y, slope_z, start = scene.to_local[index, 1].tolist()
        base = slope_x * x + (slope_y * y + (start - 0.5))
        far = middle - root
        # Beyond an open end, the ray goes on to the inside of the opposite wall.
        far[np.abs(base + slope_z * far) > 0.5] = -np.inf
        near = np.where(np.abs(base + slope_z * near) > 0.5, far, near)
    return near
