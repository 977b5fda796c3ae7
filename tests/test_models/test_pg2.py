import copy

import pytest
import torch
from helpers import (
    TINY_MODEL,
    make_batch,
    make_optim_wrapper,
    make_pg2,
    same_weights,
    train_step,
    weights,
)
from mmengine.registry import DefaultScope
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from pg2aug.models import masked_l1, matte_l1
from pg2aug.models.preprocessor import to_image_range
from pg2aug.registry import MODELS

NETWORKS = ('generator1', 'generator2', 'discriminator')
OPTIONS = [dict(aligned=True), dict(matte=True), dict(foreground=True, aligned=True, matte=True)]


def with_options(options, **settings):
    preprocessor = dict(TINY_MODEL['data_preprocessor'], **options)
    return make_pg2(data_preprocessor=preprocessor, **settings)


def changed_networks(model, before):
    after = {name: weights(getattr(model, name)) for name in NETWORKS}
    return [name for name in NETWORKS if not same_weights(before[name], after[name])]


@pytest.mark.parametrize(
    ('iteration', 'expected'),
    [
        (0, ['generator1']),
        (9, ['generator1']),
        (10, ['generator2', 'discriminator']),
        (25, ['generator2', 'discriminator']),
    ],
)
def test_each_stage_changes_its_own_networks_bit_for_bit(iteration, expected):
    model = make_pg2(stage1_iters=10).train()
    optim_wrapper = make_optim_wrapper(model)
    before = {name: weights(getattr(model, name)) for name in NETWORKS}
    for _ in range(2):
        losses = train_step(model, make_batch(), optim_wrapper, iteration)
    assert changed_networks(model, before) == expected
    names = ['loss_g1'] if iteration < 10 else ['loss_g1', 'loss_l1', 'loss_adv', 'loss_d']
    assert list(losses) == names
    assert all(torch.isfinite(loss) and not loss.requires_grad for loss in losses.values())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_stage2_leaves_no_gradient_where_it_does_not_belong():
    model = make_pg2(stage1_iters=0).train()
    optim_wrapper = make_optim_wrapper(model)
    for wrapper in optim_wrapper.values():
        wrapper.zero_grad = lambda **_: None
    train_step(model, make_batch(), optim_wrapper, 0)
    assert all(p.grad is None for p in model.generator1.parameters())
    assert all(p.grad is not None for p in model.discriminator.parameters())


def test_stage2_is_one_step_of_g2_and_then_one_of_d():
    """Against the two steps written out in plain torch."""
    model = make_pg2(stage1_iters=0, l1_weight=3.0).train()
    twin, batch = copy.deepcopy(model), make_batch()
    lr = 0.1
    optim_wrapper = make_optim_wrapper(model, dict(type='SGD', lr=lr))
    losses = train_step(model, batch, optim_wrapper, 0)

    data = twin.data_preprocessor(batch, training=True)
    condition, target, mask = (data[name] for name in ('condition', 'target', 'mask'))
    g1, g2, d = (getattr(twin, name) for name in NETWORKS)
    coarse = g1(condition, data['pose']).detach()
    refined = coarse + g2(coarse, condition)
    ones, zeros = torch.ones(3, 1), torch.zeros(3, 1)
    expected = dict(loss_g1=masked_l1(coarse, target, mask))
    expected['loss_l1'] = masked_l1(refined, target, mask)
    # Each image is judged, and counted by the batch norm, once: the copy counts for nobody.
    expected['loss_adv'] = cross_entropy(copy.deepcopy(d)(refined, condition), ones)
    gradients = torch.autograd.grad(
        expected['loss_adv'] + 3.0 * expected['loss_l1'], list(g2.parameters())
    )
    for parameter, gradient in zip(g2.parameters(), gradients, strict=True):
        parameter.data -= lr * gradient
    # Real and fake are two batches of the batch norm, not one.
    fake, real = d(refined.detach(), condition), d(target, condition)
    expected['loss_d'] = (cross_entropy(real, ones) + cross_entropy(fake, zeros)) / 2
    gradients = torch.autograd.grad(expected['loss_d'], list(d.parameters()))
    for parameter, gradient in zip(d.parameters(), gradients, strict=True):
        parameter.data -= lr * gradient

    for name, loss in expected.items():
        torch.testing.assert_close(losses[name], loss.detach())
    for name, value in twin.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, msg=name)


def test_predictions_are_the_coarse_image_and_the_coarse_image_plus_the_difference():
    model = make_pg2().eval()
    batch = make_batch()
    with torch.no_grad():
        outputs = model.val_step(batch)
        data = model.data_preprocessor(batch)
        coarse = model.generator1(data['condition'], data['pose'])
        refined = coarse + model.generator2(coarse, data['condition'])
    assert len(outputs) == 3
    for i, (coarse_image, refined_image) in enumerate(outputs):
        torch.testing.assert_close(coarse_image, coarse[i])
        torch.testing.assert_close(refined_image, refined[i])


def test_predicting_needs_no_target():
    batch = make_batch()
    del batch['target_image']
    with torch.no_grad():
        assert len(make_pg2().eval().val_step(batch)) == 3


def test_a_loss_forward_is_refused():
    with pytest.raises(ValueError, match=r"'loss'.*train_step"):
        make_pg2()(torch.zeros(1, 3, 64, 32), torch.zeros(1, 17, 64, 32), mode='loss')


def test_another_number_of_joints_than_the_metainfo_is_refused():
    with pytest.raises(ValueError, match=r'num_keypoints is 14.*17 joints'):
        make_pg2(num_keypoints=14)


@pytest.mark.parametrize('prefix', ['', 'pg2aug.'])
@pytest.mark.parametrize('scope', ['mmengine', 'mmpose', 'pg2aug'])
def test_it_is_built_by_name_in_any_scope(scope, prefix):
    preprocessor = dict(TINY_MODEL['data_preprocessor'], type=f'{prefix}PG2DataPreprocessor')
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(dict(TINY_MODEL, stage1_iters=3, data_preprocessor=preprocessor))
    assert model.stage1_iters == 3
    assert model.size == (32, 64)


@pytest.mark.parametrize(('stage1_iters', 'loss'), [(1000, 'loss_g1'), (0, 'loss_l1')])
def test_each_stage_learns_a_fixed_batch(stage1_iters, loss):
    networks = dict(generator1=dict(num_blocks=3, base_channels=8))
    networks['generator2'] = dict(num_blocks=2, base_channels=8)
    model = make_pg2(stage1_iters, **networks).train()
    optim_wrapper = make_optim_wrapper(model, dict(type='Adam', lr=3e-3))
    batch = make_batch(num=2)
    batch['target_image'][0], batch['target_image'][1] = 30, 220
    batch['condition_image'] = batch['target_image'].clone()
    losses = [train_step(model, batch, optim_wrapper, i)[loss].item() for i in range(40)]
    assert losses[-1] < 0.4 * losses[0]


@pytest.mark.parametrize('options', OPTIONS, ids=str)
@pytest.mark.parametrize(
    ('iteration', 'expected'), [(0, ['generator1']), (10, ['generator2', 'discriminator'])]
)
def test_with_every_option_each_stage_changes_its_own_networks(iteration, expected, options):
    model = with_options(options).train()
    optim_wrapper = make_optim_wrapper(model)
    before = {name: weights(getattr(model, name)) for name in NETWORKS}
    for _ in range(2):
        losses = train_step(model, make_batch(), optim_wrapper, iteration)
    assert changed_networks(model, before) == expected
    assert all(torch.isfinite(loss) and not loss.requires_grad for loss in losses.values())


@pytest.mark.parametrize('matte', [False, True])
def test_before_any_training_the_aligned_image_is_the_warp(matte):
    model = with_options(dict(aligned=True, matte=matte)).eval()
    batch = model.data_preprocessor(make_batch())
    with torch.no_grad():
        coarse, refined = model(**batch)
    assert torch.equal(coarse[:, :3], batch['warp'][:, :3])
    assert torch.equal(refined, coarse), 'nor does G2 add anything yet'
    if matte:
        covered = batch['warp'][:, 3:] > 0.99
        assert (coarse[:, 3:][covered & (batch['support'] == 1)] > 0.9).all()
        assert (coarse[:, 3:][batch['warp'][:, 3:] == 0] < 0.1).all()


@pytest.mark.parametrize('aligned', [False, True])
def test_coverage_is_a_share_and_0_outside_the_support(aligned):
    model = with_options(dict(matte=True, aligned=aligned), seed=3).eval()
    torch.nn.init.normal_(model.generator1.head.weight, std=10.0)
    batch = model.data_preprocessor(make_batch())
    with torch.no_grad():
        images = model(**batch)
    for image in images:
        assert image.shape == (3, 4, 64, 32)
        coverage = image[:, 3:]
        assert coverage.min() >= 0
        assert 0.5 < coverage.max() <= 1
        assert (coverage[batch['support'] == 0] == 0).all()
    assert torch.equal(images[0][:, 3:], images[1][:, 3:]), 'G2 leaves the coverage to G1'


def test_stage1_of_a_matte_starts_from_the_loss_of_the_bare_warp():
    model = with_options(dict(aligned=True, matte=True)).train()
    batch = model.data_preprocessor(make_batch())
    warp, support = batch['warp'], batch['support']
    coverage = torch.sigmoid(3.0 * (2 * warp[:, 3:] - 1)) * support
    prediction = torch.cat([warp[:, :3], coverage], dim=1)
    expected = matte_l1(
        prediction, *(batch[name] for name in ('target', 'background', 'mask', 'core'))
    )
    losses = train_step(model, make_batch(), make_optim_wrapper(model), 0)
    torch.testing.assert_close(losses['loss_g1'], expected)


def test_the_discriminator_is_shown_the_person_alone():
    """Real and fake alike are cut out by the coverage, so that it cannot tell them by the scene."""
    model = with_options(dict(matte=True), stage1_iters=0).train()
    shown = []
    model.discriminator.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    batch = model.data_preprocessor(make_batch())
    train_step(model, make_batch(), make_optim_wrapper(model), 0)
    outside = (batch['support'] == 0).expand(-1, 3, -1, -1)
    assert outside.float().mean() > 0.1
    assert len(shown) == 2, 'one verdict on the fake serves G2 and D'
    assert all((images[outside] == 0).all() for images in shown)
    assert (shown[1] != 0).any()


@pytest.mark.parametrize('options', [{}, *OPTIONS], ids=str)
def test_validation_gives_images_of_three_channels(options):
    model = with_options(options).eval()
    with torch.no_grad():
        outputs = model.val_step(make_batch())
    assert len(outputs) == 3
    assert all(image.shape == (3, 64, 32) for pair in outputs for image in pair)
    if options.get('matte'):
        batch = model.data_preprocessor(make_batch())
        for i, pair in enumerate(outputs):
            free = (batch['support'][i] == 0).expand(3, -1, -1)
            for image in pair:
                torch.testing.assert_close(image[free], batch['target'][i][free])


@pytest.mark.parametrize('refine', [True, False])
@pytest.mark.parametrize('options', [{}, *OPTIONS], ids=str)
def test_synthesised_persons_are_bgr_and_have_their_coverage(options, refine):
    model, data = with_options(options).eval(), make_batch()
    torch.nn.init.normal_(model.generator2.head.weight, std=0.1)
    del data['target_image']
    with torch.no_grad():
        made = model.synthesize(data, refine)
        images = model(**model.data_preprocessor(data))[1 if refine else 0]
    assert made.dtype == torch.float32
    assert torch.equal(made[:, :3], to_image_range(images[:, :3]))
    assert made.shape[1] == (4 if options.get('matte') else 3)
    assert torch.equal(made[:, 3:], images[:, 3:])


def test_a_short_training_does_better_than_the_bare_warp():
    """What the warp cannot know, here the colours of people under another light, is learnt."""
    networks = dict(generator1=dict(num_blocks=3, base_channels=8))
    model = with_options(dict(aligned=True, matte=True), **networks).train()
    data = make_batch(num=4)
    for name in ('keypoints', 'visible', 'radius'):
        data[f'condition_{name}'] = data[f'target_{name}'].roll(1, 0)
    # People who are light before something dark, and lighter in the target.
    support = model.data_preprocessor(data)['support'] > 0.5
    data['target_image'] = torch.where(support, 220, 40).expand(-1, 3, -1, -1).to(torch.uint8)
    data['condition_image'] = torch.where(support.roll(1, 0), 150, 90).expand(-1, 3, -1, -1)
    optim_wrapper = make_optim_wrapper(model, dict(type='Adam', lr=2e-3))
    losses = [train_step(model, data, optim_wrapper, i)['loss_g1'].item() for i in range(60)]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize('options', [{}, *OPTIONS])
def test_the_second_generator_rests_where_the_coarse_image_is_wanted(options, monkeypatch):
    preprocessor = {**TINY_MODEL['data_preprocessor'], **options}
    model = make_pg2(data_preprocessor=preprocessor).eval()
    batch = make_batch()
    del batch['target_image']
    with torch.no_grad():
        coarse, refined = model.synthesize(batch, refine=False), model.synthesize(batch)
        monkeypatch.setattr(model.generator2, 'forward', lambda *_: pytest.fail('G2 was run'))
        assert torch.equal(model.synthesize(batch, refine=False), coarse)
    assert coarse.shape == refined.shape
