"""The solids that a procedural person is made of: ellipsoids and tapered elliptic cylinders."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pg2aug.figures.body import HEAD_CENTRE, HEAD_RADII, SIDES, Bone, Floats
from pg2aug.figures.identity import Identity


class Material(IntEnum):
    """What a surface is made of; the colours come from the identity."""

    SKIN = 0
    HEAD = 1
    HAIR = 2
    TOP = 3
    BOTTOM = 4
    SHOE = 5
    SOCK = 6
    HAT = 7


@dataclass(frozen=True)
class Look:
    """Materials along a solid, and where a pattern lies on it.

    Up to ``cut`` (in the solid's own y) the surface is ``material``, then ``beyond``. A pattern is
    laid out by the angle about y times ``girth`` and by y times ``length`` plus ``start``, in
    body heights.
    """

    material: Material
    beyond: Material = Material.SKIN
    cut: float = 9.0
    girth: float = 0.05
    length: float = 0.2
    start: float = 0.0


@dataclass(frozen=True)
class Solid:
    """A quadric in the view frame; ``axes`` (3, 3) maps its own coordinates to directions there.

    An ellipsoid (``taper`` None) is the unit ball of its own coordinates. A cone spans y in [0, 1]
    with radius 1 at y = 0 and ``taper`` at y = 1; it is open at both ends.
    """

    axes: Floats
    origin: Floats
    look: Look
    taper: float | None = None


def ellipsoid(
    bone: Bone, centre: tuple[float, float, float], radii: tuple[float, float, float], look: Look
) -> Solid:
    """An ellipsoid at a place on a bone, its axes those of the bone."""
    return Solid(bone.rotation * np.array(radii), bone.at(*centre), look)


def cone(
    bone: Bone, span: tuple[float, float], radii: tuple[float, float], flat: float, look: Look
) -> Solid:
    """A tapered cylinder over a span of a bone's y; ``flat`` is its depth over its width."""
    scales = np.array((radii[0], span[1] - span[0], radii[0] * flat))
    return Solid(bone.rotation * scales, bone.at(0, span[0], 0), look, radii[1] / radii[0])


def person_solids(identity: Identity, bones: dict[str, Bone]) -> list[Solid]:
    """All solids of a person; the first is the skull, in whose own frame the face is painted."""
    solids = _head(identity, bones['head']) + _torso(identity, bones['torso'], bones['pelvis'])
    for name, side in SIDES:
        solids += _arm(identity, bones, name, side)
        solids += _leg(identity, bones, name)
    if identity.bottom_kind == 'skirt':
        solids.append(_skirt(identity, bones))
    return solids


def _head(identity: Identity, bone: Bone) -> list[Solid]:
    scale = identity.head_scale

    def part(
        x: float, y: float, z: float, radii: tuple[float, float, float], material: Material
    ) -> Solid:
        width, height, depth = (scale * radius for radius in radii)
        look = Look(material, girth=width, length=height)
        return ellipsoid(bone, (scale * x, scale * y, scale * z), (width, height, depth), look)

    solids = [
        part(*HEAD_CENTRE, HEAD_RADII, Material.HEAD),
        part(0, 0.042, 0.024, (0.034, 0.04, 0.036), Material.HEAD),
        part(0, 0.062, 0.067, (0.008, 0.014, 0.012), Material.SKIN),
    ]
    solids += [part(s * 0.048, 0.07, 0.008, (0.008, 0.017, 0.013), Material.SKIN) for s in (1, -1)]
    hair = {
        'long': [(0, 0.045, -0.022, (0.058, 0.092, 0.046)), (0, 0.09, 0.0, (0.054, 0.062, 0.06))],
        'bun': [(0, 0.14, -0.035, (0.026, 0.024, 0.026))],
        'ponytail': [
            (0, 0.1, -0.058, (0.018, 0.018, 0.018)),
            (0, 0.04, -0.07, (0.02, 0.066, 0.018)),
        ],
        'afro': [(0, 0.105, -0.012, (0.078, 0.07, 0.07))],
        'short': [(0, 0.1, -0.008, (0.05, 0.047, 0.056))],
    }
    for x, y, z, radii in hair.get(identity.hair_style, []):
        solids.append(part(x, y, z, radii, Material.HAIR))
    if identity.hair_style == 'cap':
        solids.append(part(0, 0.106, 0.008, (0.052, 0.044, 0.06), Material.HAT))
        solids.append(part(0, 0.104, 0.07, (0.04, 0.007, 0.036), Material.HAT))
    return solids


def _torso(identity: Identity, bone: Bone, pelvis: Bone) -> list[Solid]:
    girth, hip, shoulder = identity.girth, identity.hip, identity.shoulder
    hips, waist, chest = hip + 0.046 * girth, 0.076 * girth + 0.006, shoulder - 0.004
    bottom = Look(Material.BOTTOM, girth=hips, length=0.07)

    def cloth(low: float, high: float, width: float) -> Look:
        return Look(Material.TOP, girth=width, length=high - low, start=low)

    return [
        ellipsoid(pelvis, (0, 0.004, 0), (hips, 0.074, 0.07 * girth), bottom),
        cone(bone, (0.03, 0.13), (hips - 0.003, waist), 0.72, cloth(0.03, 0.13, waist)),
        cone(bone, (0.12, 0.235), (waist, chest), 0.66, cloth(0.12, 0.235, chest)),
        # A chest deeper than the cone's, and round shoulders.
        ellipsoid(
            bone, (0, 0.19, 0.008), (chest * 0.9, 0.085, 0.07 * girth), cloth(0.19, 0.275, chest)
        ),
        ellipsoid(
            bone, (0, 0.238, 0), (shoulder + 0.014, 0.052, 0.056), cloth(0.238, 0.288, chest)
        ),
        cone(bone, (0.262, 0.308), (shoulder * 0.85, 0.033), 0.5, cloth(0.262, 0.304, chest)),
        cone(bone, (0.262, 0.355), (0.031 * girth, 0.03), 1.0, Look(Material.SKIN)),
    ]


def _limb(
    bone: Bone, length: float, radii: tuple[float, float], look: Look, cap: Material
) -> list[Solid]:
    """A cone down a bone, and a ball at its end that rounds the joint there."""
    end = radii[1] * 1.01
    return [
        cone(bone, (0, -length), radii, 1.0, look),
        ellipsoid(bone, (0, -length, 0), (end, end, end), Look(cap, start=look.start + length)),
    ]


def _arm(identity: Identity, bones: dict[str, Bone], name: str, side: float) -> list[Solid]:
    girth, sleeve = identity.girth, identity.sleeve
    upper, fore, hand = (bones[f'{name}_{bone}'] for bone in ('upper_arm', 'forearm', 'hand'))
    # A loose sleeve is wider than the arm in it.
    loose = 1.12 if sleeve > 0.9 else 1.0
    ball = 0.0365 * girth
    radii = (0.037 * girth * loose, 0.029 * girth * loose)
    wrist = (radii[1], 0.019 * girth * loose)
    lengths = [float(np.linalg.norm(b.origin - a.origin)) for a, b in ((upper, fore), (fore, hand))]
    looks = [
        Look(Material.TOP, Material.SKIN, cut, 0.035, -length, 0.6 - shift)
        for cut, length, shift in ((sleeve, lengths[0], 0.0), (sleeve - 1, lengths[1], lengths[0]))
    ]
    elbow = Material.TOP if sleeve >= 1 else Material.SKIN
    cuff = Material.TOP if sleeve >= 2 else Material.SKIN
    palm = Look(Material.SKIN)
    return [
        ellipsoid(upper, (0, -0.008, 0), (ball, ball * 1.1, ball), Look(Material.TOP, start=0.6)),
        *_limb(upper, lengths[0], radii, looks[0], elbow),
        *_limb(fore, lengths[1], wrist, looks[1], cuff),
        ellipsoid(hand, (0, -0.038, 0.003), (0.013, 0.044, 0.023), palm),
        ellipsoid(hand, (-side * 0.002, -0.026, 0.019), (0.009, 0.025, 0.009), palm),
    ]


def _leg(identity: Identity, bones: dict[str, Bone], name: str) -> list[Solid]:
    girth, cover = identity.girth, identity.leg_cover
    thigh, shank, foot = (bones[f'{name}_{bone}'] for bone in ('thigh', 'shank', 'foot'))
    bare = identity.bottom_kind == 'skirt'
    # Cloth on the thighs, where they push through the skirt.
    cover = 0.85 * cover if bare else cover
    loose = 1.1 if not bare and cover > 0.5 else 1.0
    hip, knee = 0.062 * girth, 0.042 * girth * loose
    ankle = (0.026 if cover > 1 else 0.021) * girth * loose
    lengths = [
        float(np.linalg.norm(b.origin - a.origin)) for a, b in ((thigh, shank), (shank, foot))
    ]
    sock = Material.SOCK if identity.sock_cover > 0 else Material.SKIN
    upper = Look(Material.BOTTOM, Material.SKIN, cover, 0.05, -lengths[0], 0)
    if cover > 1:
        lower = Look(Material.BOTTOM, sock, cover - 1, 0.05, -lengths[1], -lengths[0])
    else:
        lower = Look(Material.SKIN, Material.SOCK, 1 - identity.sock_cover)
    cap = Material.BOTTOM if cover >= 1 else Material.SKIN
    calf = Look(Material.BOTTOM if cover > 1 else lower.material, start=-lengths[0])
    if identity.sock_cover > 0.6 and cover <= 1:
        calf = Look(Material.SOCK)
    shoe = Look(Material.SHOE)
    return [
        ellipsoid(thigh, (0, 0, 0), (hip, hip, hip), Look(Material.BOTTOM)),
        *_limb(thigh, lengths[0], (hip, knee), upper, cap),
        *_limb(shank, lengths[1], (knee, ankle), lower, sock),
        ellipsoid(shank, (0, -0.075, -0.009), (0.037 * girth, 0.07, 0.036 * girth), calf),
        ellipsoid(foot, (0, -0.022, 0.032), (0.029, 0.024, 0.066), shoe),
        ellipsoid(foot, (0, -0.012, -0.008), (0.027, 0.032, 0.03), shoe),
    ]


def _skirt(identity: Identity, bones: dict[str, Bone]) -> Solid:
    """A cone about the mean of the thighs, wide enough for both of them at the hem."""
    pelvis, girth = bones['pelvis'], identity.girth
    hem = [bones[f'{name}_thigh'].at(0, -0.25 * identity.leg_cover, 0) for name, _ in SIDES]
    # Legs in a split would turn the skirt inside out; it then hangs from the pelvis.
    down = (hem[0] + hem[1]) / 2 - pelvis.origin
    if np.linalg.norm(down) < 0.06:
        down = -0.1 * pelvis.rotation[:, 1]
    x_axis = pelvis.rotation[:, 0]
    y_axis = down / np.linalg.norm(down)
    z_axis = np.cross(x_axis, -y_axis)
    z_axis /= np.linalg.norm(z_axis)
    frame = Bone(np.stack((np.cross(-y_axis, z_axis), -y_axis, z_axis), axis=1), pelvis.origin)
    waist = identity.hip + 0.046 * girth
    spread = np.linalg.norm(hem[0] - hem[1]) / 2 + 0.062 * girth
    length = float(np.linalg.norm(down))
    look = Look(Material.BOTTOM, girth=0.1, length=-length)
    return cone(frame, (0.02, -length), (waist, max(1.25 * waist, float(spread))), 0.8, look)
