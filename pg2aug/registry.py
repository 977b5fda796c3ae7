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


def _child(parent: Registry, *rooms: str) -> Registry:
    """A node of ours below one of MMEngine's; ``rooms`` hold what is registered in it."""
    return Registry(
        parent.name, parent=parent, scope='pg2aug', locations=[f'pg2aug.{room}' for room in rooms]
    )


DATASETS = _child(mmengine_registry.DATASETS, 'datasets')
TRANSFORMS = _child(mmengine_registry.TRANSFORMS, 'augment')
MODELS = _child(mmengine_registry.MODELS, 'models', 'augment')
HOOKS = _child(mmengine_registry.HOOKS, 'engine', 'augment')
LOOPS = _child(mmengine_registry.LOOPS, 'engine')
OPTIM_WRAPPERS = _child(mmengine_registry.OPTIM_WRAPPERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmengine_registry.OPTIM_WRAPPER_CONSTRUCTORS, 'engine')
METRICS = _child(mmengine_registry.METRICS, 'evaluation')

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
