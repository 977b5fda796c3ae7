"""Pixels of cells copied into a hole, against a slow reference that goes pixel by pixel."""

import math

import numpy as np
import pytest
import torch

from pg2aug.models.holes.cell_copy import copy_cells


def slow_copy(images, sure, holes, source, cell):
    """The same for one sample: (H, W, C), (H, W), (h, w) and (h, w, 2) of row and column."""
    rows, columns = holes.shape
    copied, weights = np.zeros(images.shape), np.zeros(sure.shape)
    for y, x in np.ndindex(*sure.shape):
        for row, down in nearest_centres(y, cell, rows):
            for column, across in nearest_centres(x, cell, columns):
                from_row, from_column = source[row, column]
                there = (y + (from_row - row) * cell, x + (from_column - column) * cell)
                inside = all(0 <= i < n for i, n in zip(there, sure.shape, strict=True))
                if holes[row, column] and not holes[from_row, from_column] and inside:
                    copied[y, x] += down * across * images[there]
                    weights[y, x] += down * across * sure[there]
    return copied / np.maximum(weights[..., None], 1e-6), weights


def nearest_centres(pixel, cell, count):
    """The two cells between whose centres a pixel is, and their bilinear weights.

    Beyond the outermost centres it is the outermost cell, twice.
    """
    place = (pixel + 0.5) / cell - 0.5
    low = math.floor(place)
    return [(min(max(i, 0), count - 1), 1 - abs(place - i)) for i in (low, low + 1)]


@pytest.mark.parametrize('cell', [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ('shape', 'share'), [((4, 6), 0.4), ((2, 5), 0.7), ((1, 1), 1.0), ((3, 3), 0.0)], ids=str
)
def test_copies_are_those_of_the_slow_reference(cell, shape, share):
    rng = np.random.default_rng(cell)
    count, size = 3, (shape[0] * cell, shape[1] * cell)
    holes = rng.random((count, *shape)) < share
    sure = np.where(rng.random((count, *size)) < 0.2, 0.0, 1.0)
    images = rng.normal(size=(count, *size, 2)) * sure[..., None]
    numbers = rng.integers(0, math.prod(shape), (count, *shape))
    copied, weight = copy_cells(
        torch.from_numpy(images).float().permute(0, 3, 1, 2),
        torch.from_numpy(sure[:, None]).float(),
        torch.from_numpy(holes[:, None]).float(),
        torch.from_numpy(numbers).flatten(1),
        cell,
    )
    source = np.stack(np.unravel_index(numbers, shape), axis=-1)
    for i in range(count):
        expected = slow_copy(images[i], sure[i], holes[i], source[i], cell)
        # Where hardly anything is known, rounding is divided by it.
        np.testing.assert_allclose(
            copied[i].permute(1, 2, 0).numpy(), expected[0], rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(weight[i, 0].numpy(), expected[1], atol=1e-6)
