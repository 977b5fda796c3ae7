import math

import pytest
import torch

from pg2aug.models import adversarial_loss, masked_l1


def test_masked_l1_counts_the_body_twice():
    prediction = torch.tensor([[[[1.0, 2.0]], [[0.0, 0.0]], [[0.0, 4.0]]]])
    mask = torch.tensor([[[[1.0, 0.0]]]])
    # Channels (1 * 2 + 2), 0, (0 + 4) over 6 values.
    assert masked_l1(prediction, torch.zeros_like(prediction), mask).item() == pytest.approx(8 / 6)
    assert masked_l1(torch.zeros_like(prediction), prediction, mask).item() == pytest.approx(8 / 6)


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
