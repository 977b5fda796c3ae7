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

from pg2aug.models import masked_l1
from pg2aug.registry import MODELS

NETWORKS = ('generator1', 'generator2', 'discriminator')


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
    expected['loss_adv'] = cross_entropy(d(refined, condition), ones)
    gradients = torch.autograd.grad(
        expected['loss_adv'] + 3.0 * expected['loss_l1'], list(g2.parameters())
    )
    for parameter, gradient in zip(g2.parameters(), gradients, strict=True):
        parameter.data -= lr * gradient
    # Real and fake are two batches of the batch norm, not one.
    real, fake = d(target, condition), d(refined.detach(), condition)
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
