"""From a PG2 config to a Runner that trains it."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner

from pg2aug.compat import allow_runner_checkpoints, load_checkpoint
from pg2aug.engine.checkpoints import SafeRunner, latest_checkpoint, mend_last_checkpoint
from pg2aug.utils.files import is_local


def apply_amp(cfg: Config, dtype: str) -> None:
    """Make every optimiser of a PG2 config train in mixed precision.

    Args:
        cfg: Config with an ``optim_wrapper``; changed in place.
        dtype: 'bfloat16' (any device) or 'float16' (GPU only, with loss scaling).

    Raises:
        ValueError: For another dtype, or float16 without a GPU.
    """
    if dtype == 'bfloat16':
        cfg.optim_wrapper.type = 'pg2aug.AutocastOptimWrapper'
    elif dtype == 'float16':
        if not torch.cuda.is_available():
            raise ValueError('float16 needs a CUDA device; use --amp bfloat16 here')
        cfg.optim_wrapper.type = AmpOptimWrapper.__name__
        cfg.optim_wrapper.dtype = 'float16'
    else:
        raise ValueError(f"amp dtype must be 'bfloat16' or 'float16', got {dtype!r}")


def build_runner(cfg: Config) -> Runner:
    """Build the Runner of a PG2 config.

    ``stage1_iters`` and ``stage2_iters`` of the config become the model's and the loop's. Batches
    are pinned where there is a GPU to copy them to; a machine without one communicates through
    gloo. Checkpoints are whole or not there (:class:`SafeRunner`), and a training that is resumed
    goes on from the last whole one.

    Args:
        cfg: A config such as those in ``configs/pg2``; changed in place.

    Raises:
        ValueError: If the schedule is missing or not positive, or has a stage II although there is
            no discriminator, a launcher other than 'none' and 'pytorch' is used without a GPU, or
            the checkpoint to go on from cannot be loaded.
        FileNotFoundError: If that checkpoint does not exist.
    """
    for key in ('stage1_iters', 'stage2_iters'):
        if not isinstance(cfg.get(key), int) or cfg[key] < 0:
            raise ValueError(f'{key} must be an integer of at least 0, got {cfg.get(key)!r}')
    if cfg.stage2_iters and not cfg.model.get('discriminator'):
        raise ValueError(
            f'stage2_iters is {cfg.stage2_iters}, but model.discriminator is None: set '
            'stage2_iters=0, or give the model a discriminator'
        )
    cfg.model.stage1_iters = cfg.stage1_iters
    cfg.train_cfg = dict(type='pg2aug.PG2TrainLoop', max_iters=cfg.stage1_iters + cfg.stage2_iters)
    if torch.cuda.is_available():
        cfg.train_dataloader.setdefault('pin_memory', True)
    else:
        _join_without_gpu(cfg)
    allow_runner_checkpoints()
    if cfg.get('resume') and cfg.get('load_from') is None and is_local(cfg.work_dir):
        mend_last_checkpoint(cfg.work_dir)
    _check_checkpoint(cfg)
    return SafeRunner.from_cfg(cfg)


def _check_checkpoint(cfg: Config) -> None:
    """Read the checkpoint that a Runner is going to load, which would refuse it in torch's words.

    Those advise to load it without any restriction.
    """
    path = cfg.get('load_from')
    if path is None and cfg.get('resume'):
        path = latest_checkpoint(cfg.work_dir)
    if path is None or not is_local(path):
        return
    if not Path(path).is_file():
        raise FileNotFoundError(f'checkpoint {str(path)!r} does not exist: correct its path')
    content = load_checkpoint(path)
    needed = ('state_dict', 'meta', 'message_hub', 'optimizer') if cfg.get('resume') else ()
    missing = [name for name in needed if name not in content]
    if missing:
        raise ValueError(
            f'{path} has no {", ".join(map(repr, missing))}, without which no training goes on: '
            'give a checkpoint that pg2aug train wrote, or load_from without resume'
        )


def _join_without_gpu(cfg: Config) -> None:
    """Join the processes that torchrun started, through gloo."""
    launcher = cfg.get('launcher', 'none')
    if launcher not in ('none', 'pytorch'):
        raise ValueError(
            f'launcher {launcher!r} needs a GPU: start with torchrun and --launcher pytorch here'
        )
    if launcher == 'pytorch':
        # MMEngine joins on a CUDA device and puts the model on one unless told otherwise; a process
        # group that exists is used as it is.
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group('gloo')
        cfg.merge_from_dict(dict(model_wrapper_cfg=dict(device_ids=None)))
