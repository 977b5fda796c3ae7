"""Pictures for docs/results, small enough to be kept with the code."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_sheet(path: Path, sheet: np.ndarray) -> None:
    """Write a (H, W, 3) uint8 BGR sheet as a PNG of 256 dithered colours, a third of the size."""
    image = Image.fromarray(sheet[..., ::-1])
    image.quantize(palette=image.quantize(256)).save(path, optimize=True)
