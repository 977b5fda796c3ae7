import pytest
import torch
from helpers import COCO_METAINFO, SIZE, make_batch, make_pg2
from torch.nn import functional as F

from pg2aug.augment.extras.detail import DetailedGenerator, add_detail
from pg2aug.models.limbs.generator import laid_limbs

FACTOR = 2


@pytest.fixture
def limbs():
    """A square of fine noise on nothing: (1, 4, 32, 32), colours multiplied by the coverage."""
    torch.manual_seed(0)
    coverage = F.pad(torch.ones(1, 1, 20, 20), (6, 6, 6, 6))
    return torch.cat([(100 + 60 * torch.rand(1, 3, 32, 32)) * coverage, coverage], dim=1)


def coarse_person(limbs):
    """What a generator that agrees makes of them."""
    coarse = F.avg_pool2d(limbs, FACTOR)
    return torch.cat([coarse[:, :3] / coarse[:, 3:].clamp_min(1e-3), coarse[:, 3:]], dim=1)


def enlarged(persons):
    """Without any detail; what colours are beyond the person does not matter."""
    premultiplied = torch.cat([persons[:, :3] * persons[:, 3:], persons[:, 3:]], dim=1)
    larger = F.interpolate(premultiplied, scale_factor=FACTOR, mode='bilinear', align_corners=False)
    return torch.cat([larger[:, :3] / larger[:, 3:].clamp_min(1e-3), larger[:, 3:]], dim=1)


def test_persons_who_are_as_their_limbs_get_all_of_their_detail(limbs):
    made = add_detail(coarse_person(limbs), limbs, FACTOR)
    inside = limbs[:, 3:] > 0
    inner = F.pad(torch.ones(1, 1, 16, 16), (8, 8, 8, 8)) > 0
    found, expected = (x[:, :3] * inner for x in (made, limbs))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close((made[:, 3:] > 0.5), inside)
    plain = enlarged(coarse_person(limbs))
    assert ((plain - made)[:, :3] * inner).abs().max() > 10
    assert made[:, 3:].sub(limbs[:, 3:]).abs().mean() < (
        0.5 * plain[:, 3:].sub(limbs[:, 3:]).abs().mean()
    )


def test_what_the_generator_changed_is_left_as_it_made_it(limbs):
    made = coarse_person(limbs)
    made[:, :3] = made[:, :3].flip(-1) / 10
    made[:, 3:] = 1 - made[:, 3:]
    torch.testing.assert_close(add_detail(made, limbs, FACTOR), enlarged(made), atol=0.5, rtol=0)


def test_values_stay_in_their_ranges(limbs):
    made = coarse_person(limbs)
    limbs[:, :3] *= 1.8
    found = add_detail(made * 1.5, limbs, FACTOR)
    assert found[:, :3].min() >= 0
    assert found[:, :3].max() <= 255
    assert found[:, 3:].min() >= 0
    assert found[:, 3:].max() <= 1


class Agreeing(torch.nn.Module):
    """Makes of persons what their limbs are, in its own crops; ``seen`` is what it was given."""

    def __init__(self, skeleton):
        super().__init__()
        self.skeleton = skeleton

    def synthesize(self, data, refine=True):
        self.seen, self.refine = data, refine
        laid = laid_limbs(data, self.skeleton)
        return torch.cat([laid[:, :3] / laid[:, 3:].clamp_min(1e-3), laid[:, 3:]], dim=1)


@pytest.mark.parametrize('factor', [2, 3])
def test_persons_are_made_in_the_models_crops_and_stand_where_they_should(factor):
    model = Agreeing(make_pg2().skeleton)
    data = make_batch(size=(SIZE[0] * factor, SIZE[1] * factor))
    images = data['condition_image'].float()
    smooth = F.interpolate(F.avg_pool2d(images, 8), images.shape[-2:], mode='bilinear')
    data['condition_image'] = smooth.to(torch.uint8)
    made = DetailedGenerator(model, factor).synthesize(data, refine=False)
    assert model.refine is False
    assert model.seen['condition_image'].shape == (3, 3, SIZE[1], SIZE[0])
    expected = laid_limbs(data, model.skeleton)
    assert made.shape == expected.shape
    body = expected[:, 3:] > 0.99
    # Moved by a single pixel, they would differ by more.
    error = ((made[:, :3] - expected[:, :3]) * body).abs().sum() / body.sum() / 3
    moved = ((expected[:, :3].roll(1, -1) - expected[:, :3]) * body).abs().sum() / body.sum() / 3
    assert error < 0.5 * moved
    assert (made[:, 3:] - expected[:, 3:]).abs().mean() < 0.02


def test_a_pg2_with_a_matte_is_given_detail():
    preprocessor = dict(
        type='pg2aug.PG2DataPreprocessor', metainfo=COCO_METAINFO,
        foreground=True, aligned=True, matte=True,
    )  # fmt: skip
    model = make_pg2(data_preprocessor=preprocessor).eval()
    data = make_batch(size=(SIZE[0] * 2, SIZE[1] * 2))
    with torch.inference_mode():
        made = DetailedGenerator(model, 2).synthesize(data)
    assert made.shape == (3, 4, SIZE[1] * 2, SIZE[0] * 2)
    assert made.isfinite().all()


@pytest.mark.parametrize('beyond', [0.0, 255.0])
@pytest.mark.parametrize('agrees', [True, False])
def test_a_person_of_one_colour_has_no_rim(beyond, agrees):
    coverage = F.pad(torch.ones(1, 1, 19, 17), (6, 9, 6, 7))
    limbs = torch.cat([160 * coverage.expand(1, 3, -1, -1), coverage], dim=1)
    coarse = F.avg_pool2d(coverage, FACTOR)
    colour = 160.0 if agrees else 40.0
    inside = torch.where(coarse > 0, torch.tensor(colour), torch.tensor(beyond))
    made = add_detail(torch.cat([inside.expand(1, 3, -1, -1), coarse], dim=1), limbs, FACTOR)
    body = (made[:, 3:] > 0.5).expand(1, 3, -1, -1)
    assert (made[:, :3][body] - colour).abs().max() < 0.5
