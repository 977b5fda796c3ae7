from contextlib import nullcontext

import numpy as np
import pytest
import torch

from pg2aug.models.holes import patch_search
from pg2aug.models.holes.filling import fill_holes
from pg2aug.models.holes.push_pull import push_pull

FILLS = pytest.mark.parametrize('fill', [fill_holes, push_pull])


def hole(shape, low, high):
    known = torch.ones(1, 1, *shape)
    known[..., low[0] : high[0], low[1] : high[1]] = 0
    return known


def slope(shape):
    """Each channel rises along another direction."""
    ys, xs = torch.meshgrid(*(torch.linspace(0, 1, n) for n in shape), indexing='ij')
    return torch.stack([60 + 100 * xs, 200 - 90 * ys, 40 + 60 * (xs + ys)])[None]


def bark(shape, seed=0):
    """Vertical streaks of 3 pixels with some noise, in a grey that varies."""
    rng = np.random.default_rng(seed)
    streaks = np.repeat(rng.normal(120, 35, (1, shape[1] // 3 + 1)), 3, axis=1)[:, : shape[1]]
    image = streaks + rng.normal(0, 8, (3, *shape))
    return torch.from_numpy(image.clip(0, 255).astype(np.float32))[None]


def roughness(images, inside):
    """Mean squared difference of horizontal neighbours that are both inside."""
    both = inside[..., 1:] * inside[..., :-1]
    squared = (images[..., 1:] - images[..., :-1]).square().mean(dim=1, keepdim=True)
    return ((squared * both).sum() / both.sum()).item()


@FILLS
def test_keeps_what_is_known_and_reads_nothing_else(fill):
    images = torch.rand(1, 3, 37, 50) * 255
    known = hole((37, 50), (5, 8), (30, 40))
    filled = fill(images, known)
    assert torch.equal(filled[known.expand_as(images) == 1], images[known.expand_as(images) == 1])
    spoilt = torch.where(known > 0, images, torch.nan)
    assert torch.equal(fill(spoilt, known), filled)


@FILLS
@pytest.mark.parametrize('shape', [(64, 48), (37, 51), (5, 90)])
def test_restores_a_constant_background(fill, shape):
    images = torch.full((1, 3, *shape), 93.0)
    known = hole(shape, (1, 2), (shape[0] - 1, shape[1] - 3))
    filled = fill(torch.where(known > 0, images, 0.0), known)
    torch.testing.assert_close(filled, images, atol=1e-3, rtol=0)


@pytest.mark.parametrize(('fill', 'worst'), [(fill_holes, 25), (push_pull, 15)])
def test_restores_a_slope(fill, worst):
    image = slope((80, 96))
    known = hole((80, 96), (25, 35), (55, 60))
    filled = fill(torch.where(known > 0, image, 255.0), known)
    error = (filled - image).abs()[known.expand_as(image) == 0]
    assert error.mean() < 4
    assert error.max() < worst


@FILLS
def test_is_finite_without_anything_known(fill):
    assert fill(torch.full((2, 3, 9, 7), 255.0), torch.zeros(2, 1, 9, 7)).isfinite().all()


@FILLS
def test_a_batch_is_filled_one_by_one(fill):
    images = torch.cat([bark((64, 48), seed) for seed in range(3)])
    known = hole((64, 48), (10, 12), (50, 36)).repeat(3, 1, 1, 1)
    known[1, ..., :20] = 0
    single = [fill(images[i : i + 1], known[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(fill(images, known), torch.cat(single), atol=1e-3, rtol=0)


def test_a_hole_is_about_as_rough_as_what_was_there():
    images = torch.cat([bark((256, 192), seed) for seed in range(4)])
    known = hole((256, 192), (50, 60), (200, 130)).repeat(4, 1, 1, 1)
    truth = roughness(images, 1 - known)
    assert 0.45 * truth < roughness(fill_holes(images, known), 1 - known) < 1.5 * truth
    assert roughness(push_pull(images, known), 1 - known) < 0.05 * truth


def test_an_edge_is_continued_through_the_hole():
    image = torch.full((1, 3, 128, 96), 60.0)
    image[..., 70:, :] = 180.0
    known = hole((128, 96), (20, 36), (116, 62))
    error = (fill_holes(torch.where(known > 0, image, 0.0), known) - image).abs()
    wrong = (error.amax(dim=1, keepdim=True) > 40).float() * (1 - known)
    assert wrong.sum() < 0.04 * (1 - known).sum()


@pytest.mark.parametrize('height', [12, 30])
def test_a_thing_cut_off_by_the_hole_leaves_no_cloud_of_its_colour_there(height):
    """There is nothing like it elsewhere: what is copied does not fit, and is not bent to fit."""
    known = hole((96, 72), (20, 24), (76, 48))
    image = 100 + torch.randn(1, 3, 96, 72, generator=torch.Generator().manual_seed(0))
    image[..., 48 - height // 2 : 48 + height // 2, 20:24] = 250
    filled = fill_holes(torch.where(known > 0, image, 0.0), known)
    deviation = image[known.expand_as(image) > 0].std()
    assert (filled - 100)[known.expand_as(image) == 0].max() < 0.45 * deviation


def test_a_soft_edge_of_the_person_does_not_colour_the_hole():
    background, person = bark((96, 72)), torch.tensor([255.0, 0, 0]).reshape(1, 3, 1, 1)
    known = hole((96, 72), (20, 24), (76, 48))
    known[..., 18:20, 24:48] = known[..., 76:78, 24:48] = 0.5
    dressed = torch.where(known < 1, person, background)
    plain = torch.where(known < 1, 0.0, background)
    inside = (known == 0).expand_as(background)
    assert torch.equal(fill_holes(dressed, known)[inside], fill_holes(plain, known)[inside])


@pytest.mark.parametrize('scale', [1 / 127.5, 20.0])
def test_any_range_of_values_will_do(scale):
    image, known = bark((96, 72)), hole((96, 72), (20, 24), (76, 48))
    shifted = fill_holes(image * scale - 1, known)
    expected = fill_holes(image, known) * scale - 1
    different = ((shifted - expected).abs() > 1e-2 * scale).float().mean()
    assert different < 0.01  # Rounding may choose another patch here and there.


def test_unknown_surroundings_of_a_frame_are_not_copied():
    image, known = bark((96, 72)), hole((96, 72), (20, 24), (76, 48))
    known[..., 55:] = 0
    filled = fill_holes(torch.where(known > 0, image, -1e4), known)
    seen = image[known.expand_as(image) == 1]
    assert filled.min() >= seen.min() - 1e-3
    assert filled.max() <= seen.max() + 1e-3


def test_what_is_searched_for_on_a_cpu_alone_is_what_is_found_elsewhere(monkeypatch):
    images = torch.cat([bark((96, 72), seed) for seed in range(2)])
    known = hole((96, 72), (20, 24), (76, 48)).repeat(2, 1, 1, 1)
    known[1, ..., :12, :9] = 0
    filled = fill_holes(images, known)
    monkeypatch.setattr(patch_search, '_near_holes', lambda known: None)
    torch.testing.assert_close(fill_holes(images, known), filled, atol=1e-3, rtol=0)


def test_nothing_waits_for_the_device(monkeypatch):
    # Tensors of this device have no values: reading one, or a mask as an index, is an error.
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    images = torch.empty(2, 3, 60, 44, device='meta')
    assert fill_holes(images, images[:, :1]).shape == images.shape
