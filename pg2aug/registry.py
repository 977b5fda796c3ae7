"""pg2aug's nodes in MMEngine's registry tree.

A prefixed ``type='pg2aug.PG2Augment'`` is found from any scope with no import by the user: MMEngine
imports ``pg2aug.registry`` for an unknown scope, and the ``locations`` below do the rest. What a
user writes into an MMPose config is registered with :func:`register_for_users`, so that it is found
without the prefix too, after ``custom_imports = dict(imports=['pg2aug'])``.
"""

from collections.abc import Callable
from typing import TypeVar

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry

DATASETS = Registry(
    'dataset',
    parent=mmengine_registry.DATASETS,
    scope='pg2aug',
    locations=['pg2aug.datasets'],
)
TRANSFORMS = Registry(
    'transform',
    parent=mmengine_registry.TRANSFORMS,
    scope='pg2aug',
    locations=['pg2aug.augment'],
)
MODELS = Registry(
    'model',
    parent=mmengine_registry.MODELS,
    scope='pg2aug',
    locations=['pg2aug.models', 'pg2aug.augment'],
)
HOOKS = Registry(
    'hook',
    parent=mmengine_registry.HOOKS,
    scope='pg2aug',
    locations=['pg2aug.engine', 'pg2aug.augment'],
)
LOOPS = Registry(
    'loop',
    parent=mmengine_registry.LOOPS,
    scope='pg2aug',
    locations=['pg2aug.engine'],
)
OPTIM_WRAPPERS = Registry(
    'optim_wrapper',
    parent=mmengine_registry.OPTIM_WRAPPERS,
    scope='pg2aug',
    locations=['pg2aug.engine'],
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=mmengine_registry.OPTIM_WRAPPER_CONSTRUCTORS,
    scope='pg2aug',
    locations=['pg2aug.engine'],
)
METRICS = Registry(
    'metric',
    parent=mmengine_registry.METRICS,
    scope='pg2aug',
    locations=['pg2aug.evaluation'],
)

_Class = TypeVar('_Class', bound=type)


def register_for_users(registry: Registry) -> Callable[[_Class], _Class]:
    """Register a class in one of the nodes above and in that node's MMEngine parent.

    The parent is an ancestor of MMPose's registry: the unprefixed name resolves in its configs.
    """

    def decorate(cls: _Class) -> _Class:
        registry.register_module(module=cls)
        registry.parent.register_module(module=cls)
        return cls

    return decorate
