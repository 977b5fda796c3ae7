"""Which persons of a data set are good to start from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pg2aug.augment.eligibility import UnsuitableError

Annotation = Mapping[str, Any]

BORDER_PX = 1.0
"""A box that ends so near to the image's border, or nearer, may be cut off by it."""


@dataclass(frozen=True)
class SourceFilter:
    """What persons must be like; crowds are never used.

    Attributes:
        min_size: Least size of a person, the larger side of its box, in pixels.
        max_overlap: Largest share of a person's box that a box of somebody else, or of a crowd,
            covers. None for any.
        max_hidden: Largest share of a person's labelled joints that are flagged as hidden. None for
            any.
        truncated: Whether to use persons whose box reaches the border of the image.
    """

    min_size: float = 0
    max_overlap: float | None = None
    max_hidden: float | None = None
    truncated: bool = True

    def __post_init__(self) -> None:
        if self.min_size < 0:
            raise ValueError(f'min_size must be 0 or more, got {self.min_size}')
        for name in ('max_overlap', 'max_hidden'):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f'{name} must be in [0, 1], got {value}')

    def check(
        self, person: Annotation, annotations: Sequence[Annotation], image: Mapping[str, Any]
    ) -> None:
        """Raise UnsuitableError where a person is not to be used.

        Args:
            person: Its annotation, with a valid box and keypoints.
            annotations: All of the image.
            image: The image's entry.

        Raises:
            ValueError: If the entry lacks the size that is needed to tell.
        """
        left, top, width, height = person['bbox']
        if max(width, height) < self.min_size:
            raise UnsuitableError(f'smaller than {self.min_size:g} pixels')
        flags = np.array(person['keypoints'][2::3])
        if self.max_hidden is not None and (flags == 1).sum() > self.max_hidden * (flags > 0).sum():
            raise UnsuitableError(f'more than {self.max_hidden:.0%} of its joints are hidden')
        if self.max_overlap is not None:
            others = [a for a in annotations if a is not person and len(a.get('bbox') or ()) == 4]
            if any(_covered(person['bbox'], a['bbox']) > self.max_overlap for a in others):
                raise UnsuitableError(f'somebody else covers more than {self.max_overlap:.0%}')
        if not self.truncated:
            if not {'width', 'height'} <= image.keys():
                raise ValueError(
                    f'image {image["id"]} has no width and height: who is cut off by its border '
                    'cannot be told; add them, or leave out --no-truncated'
                )
            beyond = image['width'] - left - width, image['height'] - top - height
            if min(left, top, *beyond) <= BORDER_PX:
                raise UnsuitableError('cut off by the border of the image')


def _covered(box: Sequence[float], other: Sequence[float]) -> float:
    """Share of a COCO box (x, y, width, height) that another one covers."""
    sides = [
        min(box[i] + box[i + 2], other[i] + other[i + 2]) - max(box[i], other[i]) for i in (0, 1)
    ]
    return max(sides[0], 0) * max(sides[1], 0) / (box[2] * box[3])
