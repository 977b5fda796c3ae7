import pytest
import torch
from torch import nn

from pg2aug.models import Discriminator


@pytest.mark.parametrize(
    ('size', 'channels', 'expected'),
    [
        ((64, 128), (64, 128, 256, 512), 4_329_537),
        ((256, 256), (64, 128, 256, 512, 512), 10_901_057),
    ],
)
def test_it_has_the_parameters_of_the_paper(size, channels, expected):
    with torch.device('meta'):
        discriminator = Discriminator(size, channels)
    assert sum(p.numel() for p in discriminator.parameters()) == expected


@pytest.mark.parametrize('size', [(16, 32), (33, 50), (7, 5)])
@pytest.mark.parametrize('channels', [(4, 8), (4, 8, 8)])
def test_one_logit_a_pair_at_any_size(size, channels):
    discriminator = Discriminator(size, channels)
    image = torch.randn(3, 3, size[1], size[0])
    assert discriminator(image, image).shape == (3, 1)


def test_logits_are_unbounded():
    torch.manual_seed(0)
    discriminator = Discriminator((16, 32), (4, 8)).eval()
    image, condition = torch.randn(2, 8, 3, 32, 16)
    logits = discriminator(image, condition)
    discriminator.head.weight.data.mul_(1e4)
    # The bias is zero: with no squashing function after it, logits scale with the last layer.
    torch.testing.assert_close(discriminator(image, condition), 1e4 * logits)
    assert discriminator(image, condition).abs().max() > 10
    assert logits.min() < 0 < logits.max()


def test_which_image_is_the_condition_matters():
    torch.manual_seed(0)
    discriminator = Discriminator((16, 32), (4, 8)).eval()
    image, condition = torch.randn(2, 1, 3, 32, 16)
    assert not torch.allclose(discriminator(image, condition), discriminator(condition, image))


def test_batch_norm_in_all_convolutions_but_the_first():
    features = list(Discriminator((16, 32), (4, 8, 8)).features)
    kinds = [type(layer) for layer in features]
    first, rest = [nn.Conv2d, nn.LeakyReLU], [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert kinds == first + 2 * rest
    assert {layer.negative_slope for layer in features if isinstance(layer, nn.LeakyReLU)} == {0.2}


@pytest.mark.parametrize(
    ('size', 'channels', 'expected'),
    [
        ((64, 128), (64, 128, 256, 512), 4_324_737),
        ((256, 256), (64, 128, 256, 512, 512), 10_896_257),
    ],
)
def test_on_single_images_it_has_the_parameters_of_the_authors_code(size, channels, expected):
    with torch.device('meta'):
        discriminator = Discriminator(size, channels, scheme='triplet')
    assert sum(p.numel() for p in discriminator.parameters()) == expected


@pytest.mark.parametrize(('scheme', 'same'), [('pairs', False), ('triplet', True)])
def test_pairs_are_judged_with_their_condition_and_single_images_without(scheme, same):
    torch.manual_seed(0)
    discriminator = Discriminator((16, 32), (4, 8), scheme=scheme).eval()
    image, *conditions = torch.randn(3, 2, 3, 32, 16)
    first, second = (discriminator(image, condition) for condition in conditions)
    assert torch.equal(first, second) == same


def test_an_unknown_scheme_is_named():
    with pytest.raises(ValueError, match="'pairs' or 'triplet', got 'single'"):
        Discriminator((16, 32), (4, 8), scheme='single')
