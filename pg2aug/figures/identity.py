"""Identities of the procedural people: proportions, colours, hair and clothes, fixed by a seed."""

import colorsys
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

Colour = tuple[float, float, float]

PATTERNS = ('plain', 'stripes', 'vertical', 'checks', 'dots', 'two_tone', 'logo')
HAIR_STYLES = ('short', 'long', 'bun', 'ponytail', 'afro', 'cap', 'bald')
BOTTOMS = ('trousers', 'shorts', 'skirt')

# BGR, from light to dark.
_SKINS = (
    (189, 213, 241),
    (160, 190, 230),
    (130, 168, 215),
    (104, 140, 190),
    (72, 104, 155),
    (50, 72, 112),
    (38, 52, 84),
)
_HAIRS = ((24, 22, 22), (34, 44, 62), (44, 70, 108), (90, 150, 200), (40, 70, 150), (150, 150, 152))


@dataclass(frozen=True)
class Garment:
    """Cloth: a pattern of two colours (BGR, 0-255); ``scale`` is its period in body heights."""

    pattern: str
    first: Colour
    second: Colour
    scale: float


@dataclass(frozen=True)
class Identity:
    """What stays the same in every image of one person; lengths are in body heights.

    ``sleeve`` counts arm segments from the shoulder (0.6: a short sleeve, 1.95: to the wrist) and
    ``leg_cover`` leg segments from the hip; for a skirt it is the hem's place on the thigh.
    """

    girth: float
    shoulder: float
    hip: float
    leg_scale: float
    arm_scale: float
    head_scale: float
    skin: Colour
    hair: Colour
    hair_style: str
    beard: bool
    top: Garment
    sleeve: float
    bottom: Garment
    bottom_kind: str
    leg_cover: float
    shoe: Colour
    sock: Colour
    sock_cover: float
    hat: Colour


@lru_cache(maxsize=256)
def sample_identity(person_id: int, identity_seed: int = 0) -> Identity:
    """Return the identity that ``person_id`` and ``identity_seed`` stand for, always the same one.

    Raises:
        ValueError: if either number is negative.
    """
    if person_id < 0 or identity_seed < 0:
        raise ValueError(
            f'person_id and identity_seed must be 0 or more, got {person_id} and {identity_seed}'
        )
    rng = np.random.default_rng((identity_seed, person_id, 0))
    skin = _jitter(_SKINS[rng.integers(len(_SKINS))], 8, rng)
    bottom_kind = str(rng.choice(BOTTOMS, p=(0.55, 0.27, 0.18)))
    cover = {'trousers': (1.9, 1.96), 'shorts': (0.55, 0.95), 'skirt': (0.7, 1.0)}[bottom_kind]
    girth = float(rng.uniform(0.86, 1.28))
    return Identity(
        girth=girth,
        shoulder=float(rng.uniform(0.096, 0.114) + 0.02 * (girth - 1)),
        hip=float(rng.uniform(0.046, 0.058)),
        leg_scale=float(rng.uniform(0.93, 1.06)),
        arm_scale=float(rng.uniform(0.95, 1.06)),
        head_scale=float(rng.uniform(1.08, 1.24)),
        skin=skin,
        hair=_jitter(_HAIRS[rng.integers(len(_HAIRS))], 8, rng),
        hair_style=str(rng.choice(HAIR_STYLES, p=(0.3, 0.22, 0.1, 0.12, 0.08, 0.12, 0.06))),
        beard=bool(rng.random() < 0.15),
        top=_sample_garment(rng, PATTERNS, (0.2, 0.18, 0.12, 0.13, 0.12, 0.15, 0.1)),
        sleeve=float(rng.choice((0.2, 0.6, 1.0, 1.95), p=(0.12, 0.43, 0.08, 0.37))),
        bottom=_sample_garment(rng, PATTERNS[:5], (0.66, 0.06, 0.1, 0.1, 0.08)),
        bottom_kind=bottom_kind,
        leg_cover=float(rng.uniform(*cover)),
        shoe=_sample_colour(rng),
        sock=_sample_colour(rng),
        sock_cover=float(rng.choice((0.0, 0.12, 0.35, 0.8), p=(0.4, 0.3, 0.2, 0.1))),
        hat=_sample_colour(rng),
    )


def _sample_garment(
    rng: np.random.Generator, patterns: tuple[str, ...], shares: tuple[float, ...]
) -> Garment:
    first, second = _sample_colour(rng), _sample_colour(rng)
    while np.abs(np.subtract(first, second)).sum() < 150:  # a pattern that nobody sees is none
        second = _sample_colour(rng)
    pattern = str(rng.choice(patterns, p=shares))
    return Garment(pattern, first, second, float(rng.uniform(0.045, 0.08)))


def _sample_colour(rng: np.random.Generator) -> Colour:
    """BGR: half the clothes are greys, whites and darks, half are saturated."""
    saturation = rng.uniform(0, 0.25) if rng.random() < 0.4 else rng.uniform(0.45, 0.95)
    value = rng.uniform(0.15, 0.97)
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), saturation, value)
    return (255 * blue, 255 * green, 255 * red)


def _jitter(colour: Colour, sigma: float, rng: np.random.Generator) -> Colour:
    blue, green, red = np.clip(np.add(colour, rng.normal(0, sigma, 3)), 0, 255).tolist()
    return (blue, green, red)
