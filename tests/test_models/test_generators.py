import pytest
import torch
from torch import nn

from pg2aug.models import PoseIntegrationGenerator, RefinementGenerator

MARKET, DEEPFASHION = (64, 128), (256, 256)


def num_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ('size', 'num_blocks', 'expected'), [(MARKET, 5, 70_795_075), (DEEPFASHION, 6, 122_103_235)]
)
def test_g1_has_the_parameters_of_the_paper(size, num_blocks, expected):
    with torch.device('meta'):
        generator = PoseIntegrationGenerator(size, 18, num_blocks)
    assert num_parameters(generator) == expected


@pytest.mark.parametrize(
    ('size', 'num_blocks', 'skip', 'expected'),
    [(MARKET, 3, False, 6_058_883), (DEEPFASHION, 4, True, 12_696_067)],
)
def test_g2_has_the_parameters_of_the_paper(size, num_blocks, skip, expected):
    with torch.device('meta'):
        generator = RefinementGenerator(size, num_blocks, skip_full_resolution=skip)
    assert num_parameters(generator) == expected


@pytest.mark.parametrize('size', [(16, 16), (32, 64), (48, 16)])
@pytest.mark.parametrize(
    ('num_keypoints', 'base', 'num_blocks'), [(1, 4, 2), (17, 3, 4), (18, 8, 5)]
)
def test_g1_keeps_the_size(size, num_keypoints, base, num_blocks):
    generator = PoseIntegrationGenerator(size, num_keypoints, num_blocks, base, 5)
    shape = (size[1], size[0])
    out = generator(torch.randn(2, 3, *shape), torch.randn(2, num_keypoints, *shape))
    assert out.shape == (2, 3, *shape)


@pytest.mark.parametrize('size', [(16, 16), (32, 64), (24, 8)])
@pytest.mark.parametrize(('base', 'num_blocks'), [(4, 1), (3, 3), (8, 4)])
@pytest.mark.parametrize('skip', [True, False])
def test_g2_keeps_the_size(size, base, num_blocks, skip):
    generator = RefinementGenerator(size, num_blocks, base, skip)
    shape = (size[1], size[0])
    out = generator(torch.randn(2, 3, *shape), torch.randn(2, 3, *shape))
    assert out.shape == (2, 3, *shape)


@pytest.mark.parametrize('size', [(30, 64), (32, 68)])
def test_a_size_that_cannot_be_halved_is_named(size):
    with pytest.raises(ValueError, match=rf'PoseInteg.*divisible by 8.*\({size[0]}, {size[1]}\)'):
        PoseIntegrationGenerator(size, 17, num_blocks=4, base_channels=4)
    with pytest.raises(ValueError, match=rf'Refine.*divisible by 8.*\({size[0]}, {size[1]}\)'):
        RefinementGenerator(size, num_blocks=4, base_channels=4)


def test_g1_has_a_relu_after_every_convolution_but_the_last_and_no_normalisation():
    generator = PoseIntegrationGenerator((16, 32), 5, num_blocks=3, base_channels=4)
    layers = [layer for layer in generator.modules() if not list(layer.children())]
    kinds = [type(layer) for layer in layers]
    assert set(kinds) == {nn.Conv2d, nn.ReLU, nn.Linear, nn.Flatten, nn.Unflatten}
    assert kinds.count(nn.ReLU) == kinds.count(nn.Conv2d) - 1
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Conv2d):
            assert isinstance(after, nn.ReLU) == (layer is not generator.head)


def test_g1_is_the_decoder_of_the_paper_though_it_enlarges_later():
    """The paper's order: nearest-neighbour enlargement, then a 1x1 convolution and ReLU."""
    torch.manual_seed(0)
    g1 = PoseIntegrationGenerator((32, 64), 17, num_blocks=3, base_channels=4).double()
    condition, pose = torch.randn(2, 3, 64, 32).double(), torch.rand(2, 17, 64, 32).double()
    skips = g1.encoder(torch.cat([condition, pose], dim=1))
    x = g1.expand(g1.squeeze(skips[-1]))
    for i, block in enumerate(g1.decoder):
        x = block(torch.cat([x, skips[-1 - i]], dim=1))
        if i < len(g1.ups):
            x = g1.ups[i](x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    torch.testing.assert_close(g1(condition, pose), g1.head(x))


def test_g1_bottleneck_and_output_are_linear():
    torch.manual_seed(0)
    generator = PoseIntegrationGenerator((16, 32), 5, num_blocks=3, base_channels=4)
    features = {}
    layers = dict(stem=generator.encoder.stem, expand=generator.expand, head=generator.head)
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _m, _i, out, name=name: features.update({name: out}))
    generator(3 * torch.randn(4, 3, 32, 16), torch.randn(4, 5, 32, 16))
    assert features['stem'].min() == 0
    for name in ('expand', 'head'):
        assert features[name].min() < 0 < features[name].max()


def trained_refinement(*args, **kwargs):
    """A refinement generator whose last layer is no longer zero."""
    generator = RefinementGenerator(*args, **kwargs)
    torch.nn.init.normal_(generator.head.weight)
    return generator


def test_g2_starts_from_the_coarse_image():
    generator = RefinementGenerator((16, 32), num_blocks=3, base_channels=4)
    assert not generator(torch.randn(1, 3, 32, 16), torch.randn(1, 3, 32, 16)).any()


def influence(generator, other_channels, shape):
    """Whether the last pixel of the output depends on the first one of the second input."""
    first = torch.randn(1, 3, *shape)
    second = torch.randn(1, other_channels, *shape, requires_grad=True)
    generator(first, second)[..., -1, -1].sum().backward()
    return bool(second.grad[..., 0, 0].abs().sum() > 0)


def test_the_whole_pose_reaches_every_pixel_of_g1_but_g2_is_local():
    torch.manual_seed(0)
    g1 = PoseIntegrationGenerator((8, 256), 5, num_blocks=2, base_channels=4)
    g2 = trained_refinement((8, 256), num_blocks=2, base_channels=4)
    assert influence(g1, 5, (256, 8))
    assert not influence(g2, 3, (256, 8))


@pytest.mark.parametrize('skip', [True, False])
def test_without_the_full_resolution_skip_all_goes_through_the_downsampling(skip):
    torch.manual_seed(0)
    generator = trained_refinement((16, 32), 3, 4, skip_full_resolution=skip)
    generator.downs[0].register_forward_hook(lambda _m, _i, out: torch.zeros_like(out))
    a, b = (generator(torch.randn(1, 3, 32, 16), torch.randn(1, 3, 32, 16)) for _ in range(2))
    assert torch.equal(a, b) != skip


def test_g2_sees_both_images():
    torch.manual_seed(0)
    generator = trained_refinement((16, 16), 2, 4)
    images = [torch.randn(1, 3, 16, 16, requires_grad=True) for _ in range(2)]
    generator(*images).sum().backward()
    assert all(image.grad.abs().sum() > 0 for image in images)


@pytest.mark.parametrize('embedding', ['concatenated', 'heatmaps', 'coordinates'])
def test_the_target_pose_reaches_every_pixel_in_every_embedding(embedding):
    torch.manual_seed(0)
    generator = PoseIntegrationGenerator(
        (16, 32), 5, num_blocks=3, base_channels=4, pose_embedding=embedding
    )
    shape = (1, 10) if embedding == 'coordinates' else (1, 5, 32, 16)
    condition, pose = torch.randn(1, 3, 32, 16), torch.rand(shape, requires_grad=True)
    generator(condition, pose)[0, :, -1, -1].sum().backward()
    assert pose.grad.flatten()[0] != 0


@pytest.mark.parametrize('embedding', ['heatmaps', 'coordinates'])
def test_an_embedded_pose_has_no_place_before_the_bottleneck(embedding):
    """Without the bottleneck's output the image is the same whatever the pose."""
    torch.manual_seed(0)
    generator = PoseIntegrationGenerator(
        (16, 32), 5, num_blocks=3, base_channels=4, pose_embedding=embedding
    )
    torch.nn.init.zeros_(generator.expand[0].weight)
    shape = (1, 10) if embedding == 'coordinates' else (1, 5, 32, 16)
    condition, poses = torch.randn(1, 3, 32, 16), torch.rand(2, *shape)
    assert torch.equal(generator(condition, poses[0]), generator(condition, poses[1]))


def test_an_unknown_embedding_is_named():
    with pytest.raises(ValueError, match=r"'concatenated'.*got 'concat'"):
        PoseIntegrationGenerator((16, 32), 5, 3, 4, pose_embedding='concat')
