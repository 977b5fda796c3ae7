"""Cells completed with patches from elsewhere, against a slow reference written cell by cell."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pg2aug.models.holes import patch_search
from pg2aug.models.holes.patch_search import complete_cells
from pg2aug.models.holes.push_pull import push_pull

NEIGHBOURS = list(product((-1, 0, 1), repeat=2))
DEPTHS = [1, 0.3, 0.09, 0.027]


def slow_completion(features, weight):
    """One sample, (h, w, C) and (h, w): the features, and the source (h, w, 2) of each cell."""
    coarse_weight = halved(weight)
    pooled = halved(features * weight[..., None])
    coarse = pooled / np.maximum(coarse_weight[..., None], 1e-6)
    start = as_cells(push_pull(as_batch(coarse), as_batch(coarse_weight[..., None])))
    estimate, _ = slow_level(coarse, coarse_weight, start, searches=3)
    start = as_cells(F.interpolate(as_batch(estimate), scale_factor=2, mode='bilinear'))
    return slow_level(features, weight, start, searches=2)


def slow_level(features, weight, start, searches):
    known = weight >= 1
    trust, cells = slow_trust(known), list(np.ndindex(*known.shape))
    estimate = np.where(known[..., None], features, start)
    for _ in range(searches):
        source = {cell: slow_search(estimate, features, known, trust, cell) for cell in cells}
        voted = [slow_vote(features, known, trust, source, cell) for cell in cells]
        estimate = np.where(known[..., None], features, np.reshape(voted, features.shape))
    return estimate, np.reshape(list(source.values()), (*known.shape, 2))


def slow_search(estimate, features, known, trust, cell):
    """The cell whose patch differs least from that of a cell, of those that are known."""
    weights = {d: trust[moved(cell, d)] for d in NEIGHBOURS if inside(moved(cell, d), known)}
    total, best = sum(weights.values()), (math.inf, None)
    for other in np.ndindex(*known.shape):
        cost = 0.0 if known[other] else 1e4
        for d, share in weights.items():
            there = moved(other, d)
            if inside(there, known) and known[there]:
                difference = estimate[moved(cell, d)] - features[there]
                cost += share / total * (difference**2).sum()
            else:
                cost += share / total * 0.2
        best = min(best, (cost + displacement_cost(cell, other, known.shape[0]), other))
    return best[1]


def displacement_cost(cell, other, height):
    dy, dx = other[0] - cell[0], other[1] - cell[1]
    uneven = (((dy * 73856093) ^ (dx * 19349663)) % 1009) / 1009 + (max(abs(dy), abs(dx)) < 2)
    return 0.13 * uneven + 0.16 * abs(dy) / height


def slow_vote(features, known, trust, source, cell):
    """The mean of what the patches around a cell, each moved from its source, show there."""
    total, weights = 0.0, 0.0
    for d in NEIGHBOURS:
        centre = moved(cell, d)
        if inside(centre, known):
            shown = moved(source[centre], (-d[0], -d[1]))
            if inside(shown, known) and known[shown]:
                total += trust[centre] * features[shown]
                weights += trust[centre]
    return total / max(weights, 1e-6)


def slow_trust(known):
    """By how many cells a cell is from what is known: 4 and more count as 4."""
    trust = np.full(known.shape, 0.3**4)
    for cell in np.ndindex(*known.shape):
        for other in np.ndindex(*known.shape):
            away = max(abs(cell[0] - other[0]), abs(cell[1] - other[1]))
            if known[other] and away < 4:
                trust[cell] = max(trust[cell], DEPTHS[away])
    return trust


def moved(cell, d):
    return cell[0] + d[0], cell[1] + d[1]


def inside(cell, known):
    return 0 <= cell[0] < known.shape[0] and 0 <= cell[1] < known.shape[1]


def halved(cells):
    height, width = cells.shape[:2]
    return cells.reshape(height // 2, 2, width // 2, 2, *cells.shape[2:]).mean(axis=(1, 3))


def as_batch(cells):
    return torch.from_numpy(cells.astype(np.float32)).permute(2, 0, 1)[None]


def as_cells(batch):
    return batch[0].permute(1, 2, 0).numpy()


def random_cells(seed, shape):
    """Smooth features, with a hole and some cells that are known in part."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(*shape, 3)).cumsum(axis=0).cumsum(axis=1)
    features = (features - features.mean()) / features.std()
    weight = rng.choice([1, 0.5], shape, p=[0.9, 0.1])
    top, left = rng.integers(0, shape[0] - 2), rng.integers(0, shape[1] - 2)
    weight[top : top + rng.integers(2, 6), left : left + rng.integers(2, 7)] = 0
    return features * (weight > 0)[..., None], weight


@pytest.mark.parametrize('everywhere', [False, True], ids=['on a CPU', 'elsewhere'])
@pytest.mark.parametrize('shape', [(6, 8), (10, 6)], ids=str)
def test_cells_are_completed_as_by_the_slow_reference(shape, everywhere, monkeypatch):
    if everywhere:
        monkeypatch.setattr(patch_search, '_near_holes', lambda known: None)
    samples = [random_cells(seed, shape) for seed in range(6)]
    features = torch.cat([as_batch(features) for features, _ in samples])
    weights = torch.cat([as_batch(weight[..., None]) for _, weight in samples])
    completed, source = complete_cells(features, weights)
    for i, (cells, weight) in enumerate(samples):
        expected, expected_source = slow_completion(cells, weight)
        np.testing.assert_allclose(completed[i].permute(1, 2, 0).numpy(), expected, atol=1e-4)
        found = np.stack(np.unravel_index(source[i].view(shape).numpy(), shape), axis=-1)
        np.testing.assert_array_equal(found[weight < 1], expected_source[weight < 1])


def test_nothing_known_is_completed_with_nothing():
    completed, source = complete_cells(torch.zeros(2, 3, 4, 6), torch.zeros(2, 1, 4, 6))
    assert torch.equal(completed, torch.zeros(2, 3, 4, 6))
    assert source.shape == (2, 24)
