"""The systems of the paper's Table 1 beside the full model, and the authors' discriminator."""

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
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import l1_loss

from pg2aug.models import masked_l1

G1 = TINY_MODEL['generator1']
SYSTEMS = {
    'g1-ce-l1': dict(generator1=dict(G1, pose_embedding='coordinates'), mask_weight=0),
    'g1-hme-l1': dict(generator1=dict(G1, pose_embedding='heatmaps'), mask_weight=0),
    'g1-l1': dict(mask_weight=0),
    'g1-mask': dict(),
}


def make_g1(name, **settings):
    return make_pg2(**dict(SYSTEMS[name], generator2=None, discriminator=None, **settings))


@pytest.mark.parametrize('name', SYSTEMS)
def test_g1_alone_learns_from_its_own_loss(name):
    model = make_g1(name).train()
    batch = make_batch()
    data = model.data_preprocessor(batch)
    made = model.generator1(data['condition'], data['pose'])
    expected = (
        masked_l1(made, data['target'], data['mask'])
        if name == 'g1-mask'
        else l1_loss(made, data['target'])
    )
    optim_wrapper = make_optim_wrapper(model)
    assert list(optim_wrapper.keys()) == ['generator1']
    before = weights(model)
    losses = train_step(model, batch, optim_wrapper, 0)
    torch.testing.assert_close(losses, dict(loss_g1=expected.detach()))
    after = weights(model)
    assert all(not torch.equal(before[n], after[n]) for n, _ in model.named_parameters())


@pytest.mark.parametrize('name', SYSTEMS)
def test_without_g2_the_refined_image_is_the_coarse_one(name):
    model = make_g1(name).eval()
    with torch.no_grad():
        for coarse, refined in model.val_step(make_batch()):
            assert torch.equal(coarse, refined)
        images = [model.synthesize(make_batch(), refine) for refine in (True, False)]
    assert torch.equal(*images)


def test_coordinates_are_shares_of_the_image_and_minus_one_where_missing():
    model = make_g1('g1-ce-l1')
    batch = make_batch(num=2)
    batch['target_keypoints'][0, 0] = torch.tensor([0.0, 0.0])
    batch['target_keypoints'][0, 1] = torch.tensor([31.0, 63.0])
    batch['target_visible'][0, 2] = 0
    pose = model.data_preprocessor(batch)['pose']
    assert pose.shape == (2, 34)
    assert pose[0, :6].tolist() == [0, 0, 1, 1, -1, -1]


def test_one_stage_is_one_step_of_g1_and_then_one_of_d():
    """Against the two steps written out in plain torch."""
    model = make_pg2(stage1_iters=0, generator2=None, l1_weight=3.0).train()
    twin, batch, lr = copy.deepcopy(model), make_batch(), 0.1
    losses = train_step(model, batch, make_optim_wrapper(model, dict(type='SGD', lr=lr)), 0)

    data = twin.data_preprocessor(batch)
    condition, target = data['condition'], data['target']
    made = twin.generator1(condition, data['pose'])
    ones, zeros = torch.ones(3, 1), torch.zeros(3, 1)
    loss_l1 = masked_l1(made, target, data['mask'])
    # Each image is judged, and counted by the batch norm, once: the copy counts for nobody.
    loss_adv = cross_entropy(copy.deepcopy(twin.discriminator)(made, condition), ones)
    step(twin.generator1, loss_adv + 3.0 * loss_l1, lr)
    fake = cross_entropy(twin.discriminator(made.detach(), condition), zeros)
    real = cross_entropy(twin.discriminator(target, condition), ones)
    step(twin.discriminator, (real + fake) / 2, lr)

    expected = dict(loss_l1=loss_l1, loss_adv=loss_adv, loss_d=(real + fake) / 2)
    torch.testing.assert_close(losses, {name: loss.detach() for name, loss in expected.items()})
    for name, value in twin.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, msg=name)


def test_the_triplet_scheme_calls_the_condition_image_a_fake_as_well():
    discriminator = dict(TINY_MODEL['discriminator'], scheme='triplet')
    model = make_pg2(stage1_iters=0, discriminator=discriminator).train()
    twin, batch = copy.deepcopy(model), make_batch()
    losses = train_step(model, batch, make_optim_wrapper(model), 0)

    data = twin.data_preprocessor(batch)
    condition = data['condition']
    coarse = twin.generator1(condition, data['pose'])
    refined = coarse + twin.generator2(coarse, condition)
    d, ones, zeros = twin.discriminator, torch.ones(3, 1), torch.zeros(3, 1)
    expected = 0.5 * cross_entropy(d(data['target'], None), ones)
    expected += 0.25 * cross_entropy(d(refined, None), zeros)
    expected += 0.25 * cross_entropy(d(condition, None), zeros)
    torch.testing.assert_close(losses['loss_d'], expected.detach())


def test_a_g2_needs_a_discriminator():
    with pytest.raises(ValueError, match='generator2 without a discriminator'):
        make_pg2(discriminator=None)


def test_there_is_no_second_stage_without_a_discriminator():
    model = make_g1('g1-mask', stage1_iters=1)
    before = weights(model)
    with pytest.raises(ValueError, match='no discriminator'):
        train_step(model, make_batch(), make_optim_wrapper(model), 1)
    assert same_weights(before, weights(model))


def step(module, loss, lr):
    parameters = list(module.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.data -= lr * gradient
