import pytest
import torch
from helpers import make_optim_wrapper, make_pg2, weights
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from torch import nn
from training_helpers import ROOT

from pg2aug.engine import AutocastOptimWrapper, PG2OptimWrapperConstructor

NETWORKS = ('generator1', 'generator2', 'discriminator')


def test_every_network_has_an_optimiser_of_its_own():
    model = make_pg2()
    wrappers = make_optim_wrapper(model, dict(type='Adam', lr=3e-4, betas=(0.5, 0.999)))
    assert tuple(wrappers.keys()) == NETWORKS
    for name, wrapper in wrappers.items():
        (group,) = wrapper.optimizer.param_groups
        assert isinstance(wrapper.optimizer, torch.optim.Adam)
        assert group['lr'] == 3e-4
        assert tuple(group['betas']) == (0.5, 0.999)
        expected = {id(parameter) for parameter in getattr(model, name).parameters()}
        assert {id(parameter) for parameter in group['params']} == expected


def test_settings_of_one_network_are_merged_over_the_shared_ones():
    settings = dict(
        type='OptimWrapper',
        optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)),
        discriminator=dict(optimizer=dict(lr=1e-5), clip_grad=dict(max_norm=1.0)),
        generator2=dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1)),
    )
    wrappers = PG2OptimWrapperConstructor(settings)(make_pg2())
    optimizers = {name: wrappers[name].optimizer for name in NETWORKS}
    assert [opt.param_groups[0]['lr'] for opt in optimizers.values()] == [1e-3, 0.1, 1e-5]
    assert isinstance(optimizers['generator2'], torch.optim.SGD)
    assert tuple(optimizers['discriminator'].param_groups[0]['betas']) == (0.5, 0.999)
    assert wrappers['discriminator'].clip_grad_kwargs == dict(max_norm=1.0)
    assert wrappers['generator1'].clip_grad_kwargs is None
    assert set(settings) == {'type', 'optimizer', 'discriminator', 'generator2'}


def test_paramwise_settings_reach_every_network():
    settings = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, weight_decay=0.01))
    wrappers = PG2OptimWrapperConstructor(settings, dict(bias_decay_mult=0.0))(make_pg2())
    for wrapper in wrappers.values():
        decays = {group['weight_decay'] for group in wrapper.optimizer.param_groups}
        assert decays == {0.0, 0.01}


def test_autocast_runs_the_forward_pass_in_bfloat16():
    layer = nn.Linear(4, 2)
    x = torch.randn(3, 4)
    for kind, dtype in ((OptimWrapper, torch.float32), (AutocastOptimWrapper, torch.bfloat16)):
        wrapper = kind(optimizer=torch.optim.SGD(layer.parameters(), lr=0.1))
        with wrapper.optim_context(layer):
            assert layer(x).dtype == dtype
        assert layer(x).dtype == torch.float32


def test_autocast_accumulates_gradients_as_any_optim_wrapper():
    layer = nn.Linear(4, 2)
    before = layer.weight.detach().clone()
    wrapper = AutocastOptimWrapper(
        optimizer=torch.optim.SGD(layer.parameters(), lr=0.1), accumulative_counts=2
    )
    for changed in (False, True):
        with wrapper.optim_context(layer):
            loss = layer(torch.ones(1, 4)).float().sum()
        wrapper.update_params(loss)
        assert torch.equal(layer.weight, before) != changed
    assert layer.weight.dtype == torch.float32


@pytest.mark.parametrize('kind', ['AutocastOptimWrapper', 'pg2aug.AutocastOptimWrapper'])
def test_autocast_is_found_by_name(kind):
    settings = dict(type=kind, optimizer=dict(type='Adam', lr=1e-3))
    if '.' not in kind:
        with pytest.raises(KeyError):
            PG2OptimWrapperConstructor(settings)(make_pg2())
    else:
        wrappers = PG2OptimWrapperConstructor(settings)(make_pg2())
        assert all(isinstance(wrapper, AutocastOptimWrapper) for wrapper in wrappers.values())


def step(wrappers, model, seed):
    """One step with the gradients of a seed."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)
        parameter.grad.copy_(torch.randn(parameter.shape, generator=generator))
    for wrapper in wrappers.values():
        wrapper.step()


@pytest.mark.parametrize('layout', [torch.channels_last, torch.contiguous_format])
def test_a_fused_step_is_the_plain_one_after_loading_any_memory_layout(layout):
    """The configs fuse; a state that was saved of weights in another layout has to fit, too."""
    trained = []
    for fused in (False, True):
        optimizer = dict(type='Adam', lr=1e-2, betas=(0.5, 0.999), fused=fused)
        first, second = make_pg2().to(memory_format=layout), make_pg2()
        wrappers = make_optim_wrapper(first, optimizer)
        step(wrappers, first, seed=1)
        second.load_state_dict(first.state_dict())
        loaded = make_optim_wrapper(second, optimizer)
        loaded.load_state_dict(wrappers.state_dict())
        step(loaded, second, seed=2)
        trained.append(weights(second))
    for name, value in trained[0].items():
        torch.testing.assert_close(trained[1][name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_the_configs_fuse_their_optimisers():
    cfg = Config.fromfile(ROOT / 'configs/_base_/pg2.py')
    cfg.optim_wrapper.pop('constructor')
    wrappers = PG2OptimWrapperConstructor(cfg.optim_wrapper)(make_pg2())
    assert all(w.optimizer.param_groups[0]['fused'] for w in wrappers.values())


@pytest.mark.parametrize('kind', [torch.optim.Adafactor, torch.optim.SGD, torch.optim.RMSprop])
def test_states_of_any_shape_are_loaded_into_the_same_model(kind):
    settings = dict(type=kind, lr=0.1)
    model = make_pg2()
    wrapper = make_optim_wrapper(model, settings)['generator1']
    for parameter in model.generator1.parameters():
        parameter.grad = torch.randn_like(parameter)
    wrapper.optimizer.step()
    again = make_optim_wrapper(make_pg2(), settings)['generator1']
    again.load_state_dict(wrapper.state_dict())
    states = [w.optimizer.state_dict()['state'] for w in (wrapper, again)]
    assert states[0].keys() == states[1].keys()
    for number, state in states[0].items():
        for name, value in state.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(states[1][number][name]))


def test_settings_hold_unless_a_schedule_sets_them():
    def group(settings, **scheduled):
        wrapper = make_optim_wrapper(make_pg2(), dict(type='Adam', **settings))['generator1']
        wrapper.optimizer.param_groups[0].update(scheduled)
        return wrapper

    # It was decayed, and has no schedule any more.
    decayed = group(dict(lr=1e-4), initial_lr=1e-3).state_dict()
    now = group(dict(lr=1e-5))
    now.load_state_dict(decayed)
    assert now.optimizer.param_groups[0]['lr'] == 1e-5
    now = group(dict(lr=1e-3), initial_lr=1e-3)
    now.load_state_dict(decayed)
    assert now.optimizer.param_groups[0]['lr'] == 1e-4
    # MMEngine notes the momentum of Adam's betas as such.
    slowed = group(dict(lr=1e-3, betas=(0.4, 0.9)), initial_momentum=0.5).state_dict()
    now = group(dict(lr=1e-3, betas=(0.5, 0.9)), initial_momentum=0.5)
    now.load_state_dict(slowed)
    assert now.optimizer.param_groups[0]['betas'] == (0.4, 0.9)
