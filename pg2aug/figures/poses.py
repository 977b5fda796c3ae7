"""Poses of the procedural people: joint angles of a 3-D skeleton, drawn per pose family."""

from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]
LimbRange = tuple[Range, Range, Range, Range]


@dataclass(frozen=True)
class Limb:
    """Angles of an arm or a leg, in degrees, relative to the body part it hangs from.

    ``flex`` swings the limb forward, ``spread`` away from the body, ``twist`` turns it outward
    about its own axis and ``bend`` closes the elbow (forearm forward) or the knee (shank backward).
    """

    flex: float
    spread: float
    twist: float
    bend: float


@dataclass(frozen=True)
class Pose:
    """One pose with its view: what :func:`~pg2aug.figures.render_figure` renders.

    All angles are degrees. ``torso`` and ``head`` are (forward, to the left, turn to the left).
    ``spin`` turns the body about its own axis before ``roll`` turns it in the image plane; ``yaw``
    then turns it about the vertical (0 faces the camera, 180 shows the back) and ``camera_pitch``
    is how far the camera looks down. ``zoom`` scales the person relative to one that just fits the
    image; ``shift`` is (x, y) in [-1, 1], the share of the free margin the person is moved by.
    """

    family: str
    left_arm: Limb
    right_arm: Limb
    left_leg: Limb
    right_leg: Limb
    torso: tuple[float, float, float]
    head: tuple[float, float, float]
    roll: float
    spin: float
    yaw: float
    camera_pitch: float
    zoom: float
    shift: tuple[float, float]


@dataclass(frozen=True)
class _Variant:
    """Ranges of angles in degrees; the sides are swapped at random, so 'first' is either side."""

    first_arm: LimbRange
    second_arm: LimbRange
    first_leg: LimbRange
    second_leg: LimbRange
    lean: Range = (-4, 8)
    sideways: Range = (-5, 5)
    roll: Range = (-4, 4)
    spin: Range = (0, 0)
    yaw: Range | None = None
    camera_pitch: Range = (-4, 14)


_HANG: LimbRange = ((-15, 18), (6, 20), (-30, 15), (2, 30))
_AKIMBO: LimbRange = ((-30, -5), (38, 55), (-75, -50), (80, 105))
_RAISED_FOREARM: LimbRange = ((5, 50), (8, 30), (-45, 30), (70, 135))
_OUT: LimbRange = ((-10, 30), (50, 95), (-20, 60), (0, 40))
_FORWARD: LimbRange = ((45, 95), (4, 25), (-40, 20), (0, 45))
_UP_FRONT: LimbRange = ((150, 182), (4, 25), (-30, 30), (0, 40))
_UP_SIDE: LimbRange = ((-8, 8), (140, 172), (50, 95), (0, 55))
_STAND: LimbRange = ((-6, 8), (2, 11), (-5, 20), (0, 8))
_WEIGHT_OFF: LimbRange = ((5, 25), (4, 16), (0, 30), (10, 40))
_SEATED: LimbRange = ((70, 98), (4, 22), (-5, 15), (65, 105))
_SQUAT: LimbRange = ((92, 128), (14, 42), (0, 30), (115, 145))
_SPLIT: LimbRange = ((-10, 15), (48, 84), (0, 40), (0, 12))

_VARIANTS: dict[str, tuple[_Variant, ...]] = {
    'standing': (
        _Variant(_HANG, _HANG, _STAND, _STAND),
        _Variant(_HANG, _HANG, _WEIGHT_OFF, _STAND),
    ),
    'arms_bent': (
        _Variant(_AKIMBO, _AKIMBO, _STAND, _STAND),
        _Variant(_RAISED_FOREARM, _HANG, _WEIGHT_OFF, _STAND),
        _Variant(_RAISED_FOREARM, _RAISED_FOREARM, _STAND, _STAND),
        _Variant(_AKIMBO, _RAISED_FOREARM, _STAND, _STAND),
    ),
    'arms_out': (
        _Variant(_OUT, _OUT, _STAND, _STAND),
        _Variant(_FORWARD, _HANG, _STAND, _WEIGHT_OFF),
    ),
    'walking': (
        _Variant(
            ((-40, -10), (6, 14), (-20, 10), (5, 35)),
            ((12, 42), (6, 14), (-30, 5), (15, 60)),
            ((15, 38), (1, 6), (-4, 8), (2, 25)),
            ((-28, -8), (1, 6), (-4, 8), (8, 50)),
        ),
    ),
    'sitting': (
        _Variant(_HANG, _FORWARD, _SEATED, _SEATED, lean=(-12, 22), camera_pitch=(0, 22)),
        _Variant(_RAISED_FOREARM, _HANG, _SEATED, _SEATED, lean=(-12, 22), camera_pitch=(0, 22)),
    ),
    'arms_overhead': (
        _Variant(_UP_FRONT, _UP_FRONT, _STAND, _STAND, lean=(-12, 8)),
        _Variant(_UP_SIDE, _UP_SIDE, _STAND, _WEIGHT_OFF, sideways=(-20, 20)),
    ),
    'deep_squat': (
        _Variant(_FORWARD, _FORWARD, _SQUAT, _SQUAT, lean=(15, 42)),
        _Variant(_RAISED_FOREARM, _RAISED_FOREARM, _SQUAT, _SQUAT, lean=(10, 38)),
    ),
    'kick_or_split': (
        _Variant(_OUT, _RAISED_FOREARM, ((72, 128), (0, 25), (-10, 30), (0, 18)), _STAND),
        _Variant(_OUT, _OUT, ((-5, 25), (70, 112), (0, 40), (0, 15)), _STAND, sideways=(-25, 25)),
        _Variant(_OUT, _OUT, _SPLIT, _SPLIT),
        _Variant(
            _OUT,
            _OUT,
            ((55, 84), (2, 10), (-5, 10), (0, 12)),
            ((-78, -50), (2, 10), (-5, 10), (0, 25)),
        ),
    ),
    'bending': (
        _Variant(
            ((55, 115), (3, 22), (-20, 20), (0, 30)),
            ((55, 115), (3, 22), (-20, 20), (0, 30)),
            ((4, 22), (3, 16), (0, 15), (5, 25)),
            ((4, 22), (3, 16), (0, 15), (5, 25)),
            lean=(62, 108),
        ),
        _Variant(_UP_SIDE, _HANG, _STAND, _STAND, lean=(0, 12), sideways=(38, 58)),
    ),
    'upside_down': (
        _Variant(
            _UP_FRONT,
            _UP_FRONT,
            ((-15, 35), (2, 35), (0, 20), (0, 30)),
            ((-15, 20), (2, 35), (0, 20), (0, 60)),
            roll=(160, 200),
        ),
        _Variant(
            _UP_SIDE,
            _UP_SIDE,
            ((10, 55), (25, 75), (0, 20), (0, 40)),
            ((-20, 20), (25, 75), (0, 20), (0, 40)),
            roll=(145, 215),
        ),
    ),
    'lying': (
        _Variant(
            ((-25, 60), (8, 70), (-40, 40), (0, 90)),
            _HANG,
            ((-5, 55), (2, 18), (0, 20), (0, 80)),
            ((-8, 20), (2, 18), (0, 20), (0, 35)),
            roll=(72, 108),
            spin=(-180, 180),
            yaw=(-25, 25),
            camera_pitch=(0, 25),
        ),
        _Variant(
            _UP_FRONT,
            ((-25, 60), (8, 70), (-40, 40), (0, 90)),
            ((20, 85), (2, 18), (0, 20), (30, 110)),
            ((20, 85), (2, 18), (0, 20), (30, 110)),
            roll=(72, 108),
            spin=(-180, 180),
            yaw=(-25, 25),
            camera_pitch=(0, 25),
        ),
    ),
}

COMMON_FAMILIES = ('standing', 'arms_bent', 'arms_out', 'walking', 'sitting')
RARE_FAMILIES = (
    'arms_overhead',
    'deep_squat',
    'kick_or_split',
    'bending',
    'upside_down',
    'lying',
)


def sample_pose(pose_family: str, rng: np.random.Generator) -> Pose:
    """Draw a pose of a family, with its view of the person and its place in the image.

    Raises:
        ValueError: if ``pose_family`` is in neither ``COMMON_FAMILIES`` nor ``RARE_FAMILIES``.
    """
    if pose_family not in _VARIANTS:
        known = ', '.join(COMMON_FAMILIES + RARE_FAMILIES)
        raise ValueError(f'unknown pose family {pose_family!r}; choose one of {known}')
    variants = _VARIANTS[pose_family]
    variant = variants[rng.integers(len(variants))]
    order = (0, 1) if rng.random() < 0.5 else (1, 0)
    arms = [_draw_limb(limb, rng) for limb in (variant.first_arm, variant.second_arm)]
    legs = [_draw_limb(limb, rng) for limb in (variant.first_leg, variant.second_leg)]
    side = float(rng.choice((-1.0, 1.0)))
    return Pose(
        family=pose_family,
        left_arm=arms[order[0]],
        right_arm=arms[order[1]],
        left_leg=legs[order[0]],
        right_leg=legs[order[1]],
        torso=(_draw(variant.lean, rng), side * _draw(variant.sideways, rng), _spread(8, rng)),
        head=(_spread(10, rng), _spread(7, rng), _spread(25, rng)),
        roll=side * _draw(variant.roll, rng),
        spin=_draw(variant.spin, rng),
        yaw=_draw_view(rng) if variant.yaw is None else _draw(variant.yaw, rng),
        camera_pitch=_draw(variant.camera_pitch, rng),
        # A few people are cut off by the image border, as in photographs.
        zoom=_draw((1.08, 1.35) if rng.random() < 0.06 else (0.8, 0.97), rng),
        shift=(_draw((-0.8, 0.8), rng), _draw((-0.8, 0.8), rng)),
    )


def _draw(bounds: Range, rng: np.random.Generator) -> float:
    return float(rng.uniform(*bounds))


def _spread(sigma: float, rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(0, sigma), -2 * sigma, 2 * sigma))


def _draw_limb(ranges: LimbRange, rng: np.random.Generator) -> Limb:
    lows, highs = zip(*ranges, strict=True)
    flex, spread, twist, bend = rng.uniform(lows, highs).tolist()
    return Limb(flex, spread, twist, bend)


def _draw_view(rng: np.random.Generator) -> float:
    """Yaw in degrees: mostly near the front, the back and the two sides, at times anything."""
    centres = (0.0, 0.0, 180.0, 90.0, -90.0)
    if rng.random() < 0.15:
        return _draw((-180, 180), rng)
    return centres[rng.integers(len(centres))] + _draw((-32, 32), rng)
