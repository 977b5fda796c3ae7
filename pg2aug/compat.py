"""What MMPose 1.3 and MMEngine 0.10 need on today's PyTorch, and how to do without MMPose.

Nothing here acts on import; each part is switched on by its function.
"""

import functools
import pickle
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NoReturn

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.utils import digit_version

__all__ = [
    'allow_runner_checkpoints',
    'install_mmcv_ops_standins',
    'load_checkpoint',
    'mmpose_is_installed',
]


def mmpose_is_installed() -> bool:
    """Whether MMCV and MMPose are there to be imported; imports neither."""
    return find_spec('mmcv') is not None and find_spec('mmpose') is not None


def install_mmcv_ops_standins() -> None:
    """Let ``mmpose.models`` and ``mmdet`` import beside mmcv-lite, which has no compiled operators.

    Without ``mmcv._ext`` an import of ``mmcv.ops`` would fail. From now on it then gives a module
    of stand-ins: classes that can be imported, registered, subclassed and compared with, and that
    raise an ImportError naming the operator and the remedy when they are called. A full MMCV,
    broken or not, is left alone. Cheap: MMCV is looked at only when somebody imports its ops.

    Needed for MMPose 1.3 (ED-Pose) and MMDetection 3 (RTMO), which import ``mmcv.ops`` at module
    level. Needless with a full MMCV, which MMCV up to 2.2 cannot give on torch 2.13 and later.
    """
    if not any(isinstance(finder, _OpsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OpsFinder())


class _OpsFinder(MetaPathFinder, Loader):
    """Finds ``mmcv.ops`` and any submodule of it, where MMCV has no compiled extension."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != 'mmcv.ops' and not fullname.startswith('mmcv.ops.'):
            return None
        if 'mmcv._ext' in sys.modules or find_spec('mmcv._ext') is not None:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandInModule(spec.name, 'Stand-ins for the compiled operators of MMCV.')

    def exec_module(self, module: ModuleType) -> None:
        # mmcv.utils.collect_env calls these two whenever mmcv.ops imports.
        for name in ('get_compiler_version', 'get_compiling_cuda_version'):
            setattr(module, name, lambda: 'n/a')


class _StandInModule(ModuleType):
    """Answers every public name with a stand-in; private and dunder names are absent."""

    def __getattr__(self, name: str) -> type:
        if name.startswith('_'):
            raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')
        return _stand_in(name)

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        # Importing the submodule mmcv.ops.nms hides the operator nms behind it.
        raise _missing_op(self.__name__.rpartition('.')[2])


@functools.cache
def _stand_in(op: str) -> type:
    """One class per operator, so that every import of the same name gives the same object."""

    def refuse(cls: type, *args: object, **kwargs: object) -> NoReturn:
        raise _missing_op(op)

    return type(op, (), {'__new__': refuse, '__module__': 'mmcv.ops'})


def _missing_op(op: str) -> ImportError:
    return ImportError(
        f'mmcv.ops.{op} was used, but it is a compiled operator and the installed MMCV (mmcv-lite) '
        'has none. Choose a model without it, or replace mmcv-lite by a full mmcv built for your '
        f'torch, which is {torch.__version__}: '
        "`pip uninstall mmcv-lite`, then `pip install mmcv` as MMCV's installation guide says "
        '(MMCV up to 2.2 does not build on torch 2.13 or newer).',
        name='mmcv.ops',
    )


def allow_runner_checkpoints() -> None:
    """Let ``torch.load`` read checkpoints of MMEngine's Runner while it refuses all other code.

    Adds to torch's process-wide ``weights_only`` allow-list what a Runner's message hub and dataset
    metainfo consist of: HistoryBuffer, bytes, and NumPy's arrays, scalars and dtypes. Their pickles
    name ``builtins.getattr`` too; a function is registered in its place that serves nothing but the
    public methods of HistoryBuffer. Afterwards ``Runner.resume``, ``load_from`` and ``--resume``
    work. Safe to call again.

    Needed from torch 2.6 on, where weights_only is the default, with MMEngine up to 0.10.7, which
    calls a bare ``torch.load``. With an older torch MMEngine reads checkpoints as unrestricted
    pickles: a warning says so.
    """
    if not _torch_restricts_pickles():
        warnings.warn(
            f'torch {torch.__version__} lets MMEngine load checkpoints as unrestricted pickles, '
            'which can run any code: load only files you trust, or upgrade to torch 2.6 or newer.',
            stacklevel=2,
        )
        return
    torch.serialization.add_safe_globals(_runner_globals())


def load_checkpoint(
    path: str | Path, map_location: str | torch.device | None = 'cpu'
) -> dict[str, Any]:
    """Load a checkpoint written by MMEngine's Runner or by ``torch.save``, running no code from it.

    Args:
        path: File of the checkpoint.
        map_location: Device of the loaded tensors, as for ``torch.load``.

    Returns:
        What was saved, for a Runner ``state_dict``, ``meta``, ``message_hub``, ``optimizer`` ...

    Raises:
        ValueError: The file carries a global outside the allow-list (the message names it), or is
            no checkpoint that the restricted loader reads, or is damaged.
        RuntimeError: torch is older than 2.6 and has no allow-list that could be trusted here.
    """
    if not _torch_restricts_pickles():
        raise RuntimeError(
            f'Cannot load {path} safely: torch {torch.__version__} has no complete allow-list for '
            'pickles. Upgrade to torch 2.6 or newer.'
        )
    allow_runner_checkpoints()
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        # `from None`: torch's own text advises weights_only=False.
        raise ValueError(_refusal(path, str(error))) from None
    except OSError as error:
        if error.filename is not None:
            raise
        raise ValueError(f'{path} cannot be read as a checkpoint: {error}') from error
    except Exception as error:  # a file of another kind makes the loader raise all sorts
        raise ValueError(
            f'{path} cannot be read as a checkpoint, is it cut short or something else? '
            f'{type(error).__name__}: {error}'
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f'{path} holds a {type(content).__name__}, not the dict of a checkpoint: give a file '
            "written by MMEngine's Runner, or a state_dict"
        )
    for keys in (('state_dict',), ('meta',), ('meta', 'dataset_meta')):
        part: Any = content
        for key in keys:
            part = part.get(key) or {}
        if not isinstance(part, Mapping):
            raise ValueError(
                f'{path} holds a {type(part).__name__} as {" of ".join(map(repr, keys[::-1]))}, '
                "not a dict: give a file written by MMEngine's Runner"
            )
    return content


def _torch_restricts_pickles() -> bool:
    return bool(digit_version(torch.__version__) >= digit_version('2.6'))


def _runner_globals() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    reconstruct: Any = np.empty(0).__reduce__()[0]
    scalar: Any = np.float64().__reduce__()[0]
    # NumPy 2 renamed numpy.core: either may have written the file.
    spelled = [
        (function, f'numpy.{core}.multiarray.{function.__name__}')
        for core in ('core', '_core')
        for function in (reconstruct, scalar)
    ]
    dtype_classes = {type(np.dtype(code)) for code in np.typecodes['All']}
    return [
        *spelled,
        *dtype_classes,
        np.ndarray,
        np.dtype,
        bytes,  # the data of an empty array, such as the limb colours of a skeleton with no limbs
        HistoryBuffer,
        (_history_buffer_method, 'builtins.getattr'),
    ]


def _history_buffer_method(owner: object, name: str) -> Callable[..., Any]:
    """Stands for ``getattr`` in a checkpoint: a public method of HistoryBuffer, or nothing."""
    if owner is HistoryBuffer and isinstance(name, str) and not name.startswith('_'):
        method = vars(HistoryBuffer).get(name)
        if isinstance(method, FunctionType):
            return method
    of = getattr(owner, '__qualname__', type(owner).__qualname__)
    # torch's own wording for a global that is not allowed, which its loader and _refusal look for.
    raise pickle.UnpicklingError(
        f'Unsupported global: GLOBAL builtins.getattr({of},{name}) was not an allowed global by '
        'default. Of getattr only the public methods of HistoryBuffer are served.'
    )


def _refusal(path: str | Path, torch_message: str) -> str:
    found = re.search(r'GLOBAL (\S+) (?:was not an allowed|whose module)', torch_message)
    if not found:
        reason = torch_message.rpartition('WeightsUnpickler error:')[2].strip().splitlines()[0]
        return (
            f'{path} is not a checkpoint that can be loaded safely: {reason} '
            "Give a file written by MMEngine's Runner or by torch.save with its default protocol."
        )
    # torch leaves out the module of builtins.
    name = found[1] if '.' in found[1] else f'builtins.{found[1]}'
    return (
        f'{path} was refused: it carries the global `{name}`, and loading that could run code. '
        'If you can trust its origin, write it again there with weights only, '
        "torch.save({'state_dict': model.state_dict()}, path); or, for a class of your own that "
        'does nothing harmful when built, add it with torch.serialization.add_safe_globals.'
    )
