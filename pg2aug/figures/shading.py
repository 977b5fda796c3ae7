"""Colour of a procedural person's surface: clothes, face, light and contact shade."""

from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from pg2aug.figures.body import Floats
from pg2aug.figures.identity import Garment, Identity
from pg2aug.figures.raycast import Scene, Surface
from pg2aug.figures.solids import Material, Solid

Pixels = NDArray[np.float32]
Paints = NDArray[np.int64]


class _Paint(IntEnum):
    """Rows of a person's palette after those of the materials."""

    TOP_SECOND = len(Material)
    BOTTOM_SECOND = len(Material) + 1
    EYE_WHITE = len(Material) + 2
    PUPIL = len(Material) + 3
    LIP = len(Material) + 4
    BROW = len(Material) + 5


def shade(
    identity: Identity,
    solids: list[Solid],
    scene: Scene,
    surface: Surface,
    columns: Floats,
    rows: Floats,
    light: Floats,
) -> Pixels:
    """Colour the surface that was cast.

    Args:
        identity: whose colours to use.
        solids: the solids of the scene, in its order.
        scene: where they are.
        surface: what each ray hit.
        columns: x of each pixel column (w,).
        rows: y of each pixel row (h,).
        light: direction to the light (3,) in the camera frame, of length 1.

    Returns:
        BGR (h, w, 3), range [0, 255]; black where no ray hit.
    """
    hits = np.flatnonzero(surface.part >= 0)
    ys, xs = np.divmod(hits, len(columns))
    part = surface.part.take(hits)
    points = np.ones((len(hits), 4), np.float32)
    points[:, 0], points[:, 1], points[:, 2] = columns[xs], rows[ys], surface.depth.take(hits)
    # Half a quadric's gradient is its own matrix times the point.
    forms = np.concatenate((scene.to_local[:, :3], scene.quadrics[:, :3]), axis=1, dtype=np.float32)
    local, normals = np.split(np.einsum('nij,nj->ni', forms.take(part, axis=0), points), 2, axis=1)
    # The inside of a skirt faces the camera too.
    length = np.copysign(np.sqrt(np.einsum('ni,ni->n', normals, normals)) + 1e-9, normals[:, 2])
    lit = 0.56 * np.maximum(normals @ light.astype(np.float32) / length, 0)
    lit += 0.5 + 0.1 * normals[:, 2] / length
    lit *= _contact_shade(surface).take(hits)
    paint, tone = _paint(identity, solids, part, local, points @ forms[0, :3].T)
    canvas = np.zeros((*surface.part.shape, 3), np.float32)
    canvas.reshape(-1, 3)[hits] = _palette(identity).take(paint, axis=0) * (lit * tone)[:, None]
    return np.minimum(canvas, 255, out=canvas)


def _contact_shade(surface: Surface) -> Pixels:
    """Factor (h, w) that darkens what lies just behind a nearer part, as a soft shadow would."""
    hit = surface.part >= 0
    depth = np.where(hit, surface.depth, 0).astype(np.float32)
    # The square root of the area stands in for the person's scale.
    extent = np.sqrt(max(int(hit.sum()), 1))
    size = 2 * int(extent / 22) + 3
    weight = cv2.blur(hit.astype(np.float32), (size, size))
    mean = cv2.blur(depth, (size, size)) / np.maximum(weight, 1e-6)
    return 1 - 0.6 * np.clip((mean - depth) / np.float32(0.09 * extent), 0, 1)


def _palette(identity: Identity) -> Pixels:
    """Colours (P, 3), one for each member of ``Material`` and then of ``_Paint``."""
    colours = {
        Material.SKIN: identity.skin,
        Material.HEAD: identity.skin,
        Material.HAIR: identity.hair,
        Material.TOP: identity.top.first,
        Material.BOTTOM: identity.bottom.first,
        Material.SHOE: identity.shoe,
        Material.SOCK: identity.sock,
        Material.HAT: identity.hat,
        _Paint.TOP_SECOND: identity.top.second,
        _Paint.BOTTOM_SECOND: identity.bottom.second,
        _Paint.EYE_WHITE: (235, 238, 240),
        _Paint.PUPIL: (25, 25, 28),
        _Paint.LIP: (70, 62, 130),
        _Paint.BROW: tuple(0.7 * channel for channel in identity.hair),
    }
    return np.array([colours[member] for member in (*Material, *_Paint)], np.float32)


def _paint(
    identity: Identity,
    solids: list[Solid],
    part: NDArray[np.int16],
    local: Pixels,
    head: Pixels,
) -> tuple[Paints, Pixels]:
    """Palette rows (N,) and brightness factors (N,).

    ``local`` and ``head`` (N, 3) are each pixel's coordinates in its own solid and in the skull.
    """
    looks = [solid.look for solid in solids]
    table = np.array([(k.cut, k.girth, k.length, k.start) for k in looks], np.float32)
    cut, girth, length, start = table.take(part, axis=0).T
    y = local[:, 1]
    materials = np.array([(k.material, k.beyond) for k in looks]).ravel()
    paint = materials.take(2 * part + (y > cut))
    across = np.arctan2(local[:, 0], local[:, 2]) * girth
    along = y * length + start
    tone = 1 + 0.06 * np.sin(95 * along + 40 * across)
    for material, garment, second in (
        (Material.TOP, identity.top, _Paint.TOP_SECOND),
        (Material.BOTTOM, identity.bottom, _Paint.BOTTOM_SECOND),
    ):
        on = np.flatnonzero(paint == material)
        paint[on[_pattern(garment, across[on], along[on])]] = second
    on = np.flatnonzero(paint == Material.HEAD)
    paint[on] = _paint_face(identity, head[on])
    tone[paint == Material.SKIN] = 1
    return paint, tone


def _pattern(garment: Garment, across: Pixels, along: Pixels) -> NDArray[np.bool_]:
    """Where (N,) the second colour is, at cloth coordinates (N,) in body heights."""
    u, v = across / garment.scale, along / garment.scale
    odd_row, odd_column = np.floor(2 * v) % 2 == 1, np.floor(2 * u) % 2 == 1
    if garment.pattern == 'stripes':
        return odd_row
    if garment.pattern == 'vertical':
        return odd_column
    if garment.pattern == 'checks':
        return odd_row ^ odd_column
    if garment.pattern == 'dots':
        return (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.1
    if garment.pattern == 'two_tone':
        return along > 0.16
    if garment.pattern == 'logo':
        return (np.abs(across) < 0.05) & (along > 0.13) & (along < 0.21)
    return np.zeros(across.shape, np.bool_)


def _paint_face(identity: Identity, head: Pixels) -> Paints:
    """Palette rows (N,) of the head's surface at coordinates (N, 3) of the skull's unit ball."""
    x, y, z = np.abs(head[:, 0]), head[:, 1], head[:, 2]
    paint = np.full(len(head), int(Material.SKIN))
    front = z > 0.2
    eye = np.hypot((x - 0.37) * 0.85, y - 0.1)
    paint[front & (eye < 0.19)] = _Paint.EYE_WHITE
    paint[front & (eye < 0.11)] = _Paint.PUPIL
    paint[front & (np.abs(x - 0.4) < 0.2) & (np.abs(y - 0.36) < 0.055)] = _Paint.BROW
    if identity.beard:
        paint[(y < -0.36) & (z > -0.15)] = Material.HAIR
    paint[front & (x < 0.3) & (np.abs(y + 0.6) < 0.07)] = _Paint.LIP
    if identity.hair_style != 'bald':
        scalp = y > 0.12 + 0.62 * z
        paint[scalp] = Material.HAIR
        if identity.hair_style == 'cap':
            paint[scalp & (y > 0.3)] = Material.HAT
    return paint
