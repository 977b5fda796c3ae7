"""From a PG2 config and a checkpoint to a Runner that tests them."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from torch import Tensor

from pg2aug.compat import load_checkpoint
from pg2aug.engine.training import build_runner
from pg2aug.models.checkpoint_check import check_preprocessor
from pg2aug.poses.skeleton import Skeleton, check_same_joints

METRIC_TYPES = ('pg2aug.SynthesisMetric', 'SynthesisMetric')
_EXAMPLES = 3


def build_test_runner(cfg: Config, checkpoint: str) -> Runner:
    """Build the Runner that tests a checkpoint; ``runner.test()`` runs it.

    Target images are evaluated as the model was trained to make them: :class:`SynthesisMetric` gets
    ``foreground`` from the model's data preprocessor. Without a ``test_evaluator`` it is the one.

    Args:
        cfg: A config such as those in ``configs/pg2``, with a ``test_dataloader``; changed in
            place.
        checkpoint: File that ``pg2aug train`` wrote. It is loaded whole: nothing may be
            missing, left over or of another shape.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the config has no ``test_dataloader``, or sizes, skeletons, preprocessing or
            weights of checkpoint, model and test data do not fit; with both sides.
    """
    if not cfg.get('test_dataloader'):
        raise ValueError(
            f'{cfg.filename} has no test_dataloader: add one whose dataset is a PersonPairDataset '
            'with flip=False'
        )
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f'checkpoint {checkpoint!r} does not exist')
    content = load_checkpoint(checkpoint)
    if 'state_dict' not in content:
        raise ValueError(f"{checkpoint!r} has no 'state_dict': it is no checkpoint of a Runner")
    meta = (content.get('meta') or {}).get('dataset_meta') or {}
    _check_crops(cfg, meta, checkpoint)
    check_preprocessor(cfg.model, content, checkpoint, str(cfg.filename))
    cfg.setdefault('test_evaluator', dict(type=METRIC_TYPES[0]))
    cfg.setdefault('test_cfg', dict())
    metric_settings(cfg)['foreground'] = cuts_out_targets(cfg)
    cfg.load_from, cfg.resume = None, False
    runner = _build_quietly(cfg)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    tested_meta = runner.test_loop.dataloader.dataset.metainfo
    _check_persons(model.skeleton, tested_meta, meta, checkpoint)
    _check_weights(get_state_dict(model), content['state_dict'], checkpoint, str(cfg.filename))
    load_state_dict(runner.model, content['state_dict'], strict=True)
    return runner


def _build_quietly(cfg: Config) -> Runner:
    """Without 240 lines on the environment, the config and the hooks; warnings are shown."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.INFO))
    try:
        runner = build_runner(cfg)
    finally:
        logging.disable(before)
    # MMEngine's logger remembers what was disabled until its level is set.
    runner.logger.setLevel(runner.logger.level)
    return runner


def metric_settings(cfg: Config) -> dict[str, Any]:
    """The part of a config's ``test_evaluator`` that is :class:`SynthesisMetric`, to be changed.

    Raises:
        ValueError: If there is not exactly one.
    """
    evaluators = cfg.test_evaluator
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    found: list[dict[str, Any]] = [e for e in evaluators if e.get('type') in METRIC_TYPES]
    if len(found) != 1:
        types = [evaluator.get('type') for evaluator in evaluators]
        raise ValueError(f'test_evaluator needs one {METRIC_TYPES[0]!r}, it has types {types}')
    return found[0]


def cuts_out_targets(cfg: Config) -> bool:
    """Whether the model of a config learns target images without their background."""
    preprocessor = cfg.model.data_preprocessor
    return bool(preprocessor.get('foreground')) and not preprocessor.get('matte')


def _check_crops(cfg: Config, meta: Mapping[str, Any], checkpoint: str) -> None:
    """Compare what crops the checkpoint, the model and the test data are made for."""
    model, tested = tuple(cfg.model.size), tuple(cfg.test_dataloader.dataset.size)
    if tested != model:
        raise ValueError(
            f'{cfg.filename}: model.size is {_size(model)}, but test_dataloader.dataset.size is '
            f'{_size(tested)} (width x height)'
        )
    trained = tuple(meta['crop']['size']) if 'crop' in meta else model
    if trained != model:
        raise ValueError(
            f'checkpoint {checkpoint!r} was trained on crops of {_size(trained)}, but the model of '
            f'{cfg.filename} takes {_size(model)} (width x height): give the config it was '
            'trained with'
        )


def _check_persons(
    skeleton: Skeleton, tested_meta: Mapping[str, Any], meta: Mapping[str, Any], checkpoint: str
) -> None:
    """Compare joints, and the scale of the persons, of model, test data and checkpoint."""
    trained, padding = meta.get('crop', {}).get('padding'), tested_meta['crop']['padding']
    if trained not in (None, padding):
        print_log(
            f'{checkpoint} was trained on crops with padding {trained}, the test crops have '
            f'{padding}: persons are shown at another scale',
            logger='current',
            level=logging.WARNING,
        )
    tested = Skeleton.from_metainfo(tested_meta)
    check_same_joints(skeleton, tested, 'the test data set (expected are the joints of the model)')
    if 'keypoint_id2name' in meta:
        context = f'checkpoint {checkpoint!r} (expected are the joints of the model in the config)'
        check_same_joints(skeleton, Skeleton.from_metainfo(meta), context)


def _check_weights(
    own: Mapping[str, Tensor], loaded: Mapping[str, Tensor], checkpoint: str, config: str
) -> None:
    lacking = [name for name in own if name not in loaded]
    extra = [name for name in loaded if name not in own]
    shapes = [
        f'{name} is {_size(loaded[name].shape)} in the checkpoint and {_size(own[name].shape)} in '
        'the model'
        for name in own
        if name in loaded and loaded[name].shape != own[name].shape
    ]
    problems = [
        _some('lacks', lacking),
        _some('has, and the model has not,', extra),
        _some('differs:', shapes),
    ]
    if any(problems):
        raise ValueError(
            f'checkpoint {checkpoint!r} does not fit the model of {config}. The checkpoint '
            f'{"; ".join(filter(None, problems))}. Give the config it was trained with'
        )


def _some(what: str, names: list[str]) -> str:
    if not names:
        return ''
    rest = f' and {len(names) - _EXAMPLES} more' if len(names) > _EXAMPLES else ''
    return f'{what} {", ".join(names[:_EXAMPLES])}{rest}'


def _size(lengths: Any) -> str:
    return 'x'.join(str(length) for length in lengths)
