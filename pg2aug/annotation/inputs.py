"""Images read and prepared for a network, in workers; one that cannot be read stops nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from pg2aug.datasets.topdown import load_image
from pg2aug.estimators.image_estimator import ImageEstimator

Boxes = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Input:
    """An image on its way through the network.

    Attributes:
        name: Its path below the folder of the images.
        size: (width, height) in pixels.
        bbox: (4,) float32 left, top, right, bottom of the person, within the image.
        prepared: What the network is given.
    """

    name: str
    size: tuple[int, int]
    bbox: NDArray[np.float32]
    prepared: dict[str, Any]


@dataclass(frozen=True)
class Unreadable:
    """An image that nothing can be made of, and why."""

    name: str
    reason: str


class _Inputs(Dataset[Input | Unreadable]):
    def __init__(
        self, root: Path, names: Sequence[str], estimator: ImageEstimator, boxes: Boxes | None
    ) -> None:
        self.root, self.names, self.estimator, self.boxes = root, names, estimator, boxes

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Input | Unreadable:
        name = self.names[index]
        try:
            image = load_image(str(self.root / name))
        except ValueError as error:
            return Unreadable(name, str(error))
        size = (image.shape[1], image.shape[0])
        bbox = np.array([0, 0, *size], dtype=np.float32)
        if self.boxes is not None:
            bbox = self.boxes[name].clip(0, np.array([*size, *size], dtype=np.float32))
            if (bbox[2:] <= bbox[:2]).any():
                return Unreadable(name, f'its box lies outside of its {size[0]}x{size[1]} pixels')
        return Input(name, size, bbox, self.estimator.prepare(image, bbox))


def load_inputs(
    root: Path,
    names: Sequence[str],
    estimator: ImageEstimator,
    boxes: Boxes | None,
    batch_size: int,
    workers: int,
) -> Iterator[list[Input | Unreadable]]:
    """Read images in their order, in batches.

    Args:
        root: Folder of the images.
        names: Their paths below it.
        estimator: Whose network they are prepared for.
        boxes: Of each image the person's box; the whole image if None.
        batch_size: Images at once.
        workers: Processes that read; none but this one if 0.
    """
    inputs = _Inputs(root, names, estimator, boxes)
    loader = DataLoader(inputs, batch_size, num_workers=workers, collate_fn=list)
    return iter(loader)
