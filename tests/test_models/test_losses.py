import math

import pytest
import torch

from pg2aug.models import adversarial_loss, masked_l1, matte_l1
from pg2aug.models.losses import MATTE_WEIGHT


def test_masked_l1_counts_the_body_twice():
    prediction = torch.tensor([[[[1.0, 2.0]], [[0.0, 0.0]], [[0.0, 4.0]]]])
    mask = torch.tensor([[[[1.0, 0.0]]]])
    # Channels (1 * 2 + 2), 0, (0 + 4) over 6 values.
    assert masked_l1(prediction, torch.zeros_like(prediction), mask).item() == pytest.approx(8 / 6)
    assert masked_l1(torch.zeros_like(prediction), prediction, mask).item() == pytest.approx(8 / 6)


def test_without_the_mask_it_is_the_l1_loss():
    prediction, target = torch.randn(2, 2, 3, 4, 4)
    expected = torch.nn.functional.l1_loss(prediction, target)
    found = masked_l1(prediction, target, torch.ones(2, 1, 4, 4), mask_weight=0)
    torch.testing.assert_close(found, expected)


def test_masked_l1_is_the_mean_over_the_batch():
    torch.manual_seed(0)
    prediction, target = torch.randn(2, 4, 3, 6, 5)
    mask = (torch.rand(4, 1, 6, 5) > 0.5).float()
    total = 0.0
    for n in range(4):
        for c in range(3):
            for y in range(6):
                for x in range(5):
                    difference = abs(float(prediction[n, c, y, x] - target[n, c, y, x]))
                    total += difference * (1 + float(mask[n, 0, y, x]))
    expected = pytest.approx(total / (4 * 3 * 6 * 5), rel=1e-5)
    assert masked_l1(prediction, target, mask).item() == expected


@pytest.mark.parametrize('real', [True, False])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_adversarial_loss_is_the_cross_entropy_of_one_answer(real, dtype):
    logits = torch.tensor([[0.5], [-2.0], [30.0]], dtype=dtype)
    sign = 1 if real else -1
    expected = sum(math.log1p(math.exp(-sign * z)) for z in (0.5, -2.0, 30.0)) / 3
    loss = adversarial_loss(logits, real)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def matte_inputs(num=3, shape=(6, 5)):
    """Prediction, target, background, mask and core, as matte_l1 takes them."""
    torch.manual_seed(1)
    colors = torch.rand(num, 3, *shape)
    prediction = torch.cat([colors, torch.rand(num, 1, *shape)], dim=1)
    target, background = torch.rand(2, num, 3, *shape)
    mask = (torch.rand(num, 1, *shape) > 0.5).float()
    return prediction, target, background, mask, torch.rand(num, 1, *shape)


def test_matte_l1_is_that_of_a_slow_reference():
    prediction, target, background, mask, core = matte_inputs()
    picture = own = missing = needless = 0.0
    for n in range(3):
        for y in range(6):
            for x in range(5):
                alpha, sure = float(prediction[n, 3, y, x]), float(core[n, 0, y, x])
                missing += sure * (1 - alpha) / 90
                needless += (1 - sure) * alpha / 90
                for c in range(3):
                    color, wanted = float(prediction[n, c, y, x]), float(target[n, c, y, x])
                    seen = alpha * color + (1 - alpha) * float(background[n, c, y, x])
                    picture += abs(seen - wanted) * (1 + float(mask[n, 0, y, x])) / 270
                    own += abs(color - wanted) * sure / 270
    expected = picture + own + missing + MATTE_WEIGHT * needless
    loss = matte_l1(prediction, target, background, mask, core)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_mask_has_the_same_weight_under_a_matte():
    inputs = prediction, target, background, mask, _ = matte_inputs()
    picture = torch.lerp(background, prediction[:, :3], prediction[:, 3:])
    losses = [masked_l1(picture, target, mask, weight) for weight in (0.0, 1.0, 10.0)]
    mattes = [matte_l1(*inputs, weight) for weight in (0.0, 1.0, 10.0)]
    for k in (1, 2):
        torch.testing.assert_close(mattes[k] - mattes[0], losses[k] - losses[0])
    assert mattes[0] < mattes[1] < mattes[2]


def matte_loss(coverage, clothes=0.8, background=0.2, core=0.0):
    """Loss where the person's true colour is known and its coverage is to be found."""
    shape = (1, 3, 2, 2)
    person = torch.full(shape, clothes)
    prediction = torch.cat([person, torch.full((1, 1, 2, 2), coverage)], dim=1)
    rest = torch.full(shape, background), torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), core)
    return matte_l1(prediction, person, *rest).item()


def test_clothes_that_differ_from_the_background_are_worth_covering():
    assert matte_loss(1.0) < matte_loss(0.5) < matte_loss(0.0)
    # What it costs at least, and what is not worth it.
    assert matte_loss(1.0) == pytest.approx(MATTE_WEIGHT)
    clothes = 0.2 + MATTE_WEIGHT
    assert matte_loss(1.0, clothes) == pytest.approx(matte_loss(0.0, clothes), rel=1e-4)


def test_covering_what_the_background_shows_as_well_is_punished():
    assert matte_loss(0.0, clothes=0.2) == 0
    assert 0 < matte_loss(0.5, clothes=0.2) < matte_loss(1.0, clothes=0.2)


def test_where_nothing_but_the_person_is_coverage_is_full_whatever_the_colours():
    assert matte_loss(1.0, clothes=0.2, core=1.0) == pytest.approx(0)
    assert matte_loss(0.0, clothes=0.2, core=1.0) == pytest.approx(1)


def test_under_the_core_colours_are_learnt_without_any_coverage():
    prediction, target, background, mask, core = matte_inputs()
    prediction[:, 3:] = 0
    prediction.requires_grad_()
    matte_l1(prediction, target, background, mask, core).backward()
    assert (prediction.grad[:, :3] != 0).all()
    assert (prediction.grad[:, 3:] != 0).all()
