"""One optimiser for each network of PG2, in any precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper, OptimWrapperDict
from mmengine.runner.amp import autocast
from torch import nn

from pg2aug.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS

_MIRRORS = 'exp_avg', 'exp_avg_sq', 'momentum_buffer', 'square_avg', 'sum'
"""What optimisers keep of each weight in its own shape."""

NETWORKS = ('generator1', 'generator2', 'discriminator')


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Mixed precision in bfloat16, on the CPU as well as on a GPU.

    bfloat16 has the exponent range of float32 and needs no loss scaling. For float16, which does,
    use MMEngine's ``AmpOptimWrapper`` (GPU only).

    Takes the arguments of :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass in bfloat16 where torch considers that safe."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PG2OptimWrapperConstructor:
    """Build an :class:`OptimWrapperDict` with one wrapper for each network that a PG2 has.

    Args:
        optim_wrapper_cfg: Settings shared by all networks, as for any OptimWrapper; the keys
            'generator1', 'generator2' and 'discriminator' may hold settings merged over them for
            one network, such as ``discriminator=dict(optimizer=dict(lr=1e-5))``.
        paramwise_cfg: As for MMEngine's default constructor.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        shared = Config(dict(optim_wrapper_cfg)).to_dict()
        self.overrides = {name: shared.pop(name, {}) for name in NETWORKS}
        self.shared = shared
        self.paramwise_cfg = paramwise_cfg

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build the wrappers.

        Args:
            model: A :class:`PG2`, possibly in a distributed wrapper.
        """
        model = model.module if is_model_wrapper(model) else model  # type: ignore[assignment]
        wrappers = {}
        for name in NETWORKS:
            if getattr(model, name) is None:
                continue
            settings = Config(self.shared)
            settings.merge_from_dict(self.overrides[name])
            constructor = DefaultOptimWrapperConstructor(settings.to_dict(), self.paramwise_cfg)
            wrappers[name] = constructor(getattr(model, name))
            optimizer = wrappers[name].optimizer
            optimizer.register_load_state_dict_pre_hook(partial(_keep_settings, name))
            optimizer.register_load_state_dict_post_hook(partial(_match_layouts, name))
        return OptimWrapperDict(**wrappers)


def _keep_settings(
    network: str, optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]
) -> dict[str, Any]:
    """Let the config's settings go before those of a checkpoint; what a schedule sets stays."""
    groups = list(state_dict['param_groups'])
    counts = [sum(len(g['params']) for g in side) for side in (optimizer.param_groups, groups)]
    if counts[0] != counts[1]:
        raise _other_model(network, f'{counts[1]} weights and biases where here are {counts[0]}')
    for number, (own, loaded) in enumerate(zip(optimizer.param_groups, groups, strict=False)):
        # A schedule notes what it began with.
        scheduled = {name for name in optimizer.defaults if f'initial_{name}' in own}
        scheduled |= {'betas', 'momentum'} if 'initial_momentum' in own else set()
        changed = {
            name: own[name]
            for name in optimizer.defaults
            if own[name] != loaded.get(name) and name not in scheduled
        }
        for name, value in changed.items():
            print_log(
                f'{network}: {name} is {value}, as the config says; it was {loaded.get(name)} when '
                'the checkpoint was written',
                logger='current',
            )
        groups[number] = loaded | changed
    return {**state_dict, 'param_groups': groups}


def _match_layouts(network: str, optimizer: torch.optim.Optimizer) -> None:
    """Lay a loaded state out in memory as its parameters are.

    Fused optimisers go through both from the first byte to the last, and on the CPU do not check.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if not isinstance(value, torch.Tensor):
                continue
            if value.shape == parameter.shape:
                laid_out = torch.empty_like(parameter, dtype=value.dtype)
                state[name] = laid_out.copy_(value)
            elif name in _MIRRORS:
                shapes = [tuple(tensor.shape) for tensor in (value, parameter)]
                raise _other_model(network, f'weights of {shapes[0]} where here are {shapes[1]}')


def _other_model(network: str, what: str) -> ValueError:
    return ValueError(
        f'the {network} of the checkpoint has {what}: it cannot be resumed by this model; give the '
        'config that the checkpoint was trained with, or train from the start'
    )
