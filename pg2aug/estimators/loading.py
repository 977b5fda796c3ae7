"""A trained pose estimator on disk: any top-down model of MMPose."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from pg2aug.compat import load_checkpoint
from pg2aug.estimators.prediction import check_predicts
from pg2aug.poses.read.metainfo import metainfo_file
from pg2aug.utils.config_file import read_config


def load_pose_estimator(config: str, checkpoint: str) -> tuple[nn.Module, dict[str, Any]]:
    """Build a top-down estimator with its weights, in evaluation mode. Downloads nothing.

    Args:
        config: MMPose config file.
        checkpoint: Its weights.

    Returns:
        The model, and the parsed metainfo of its data set: the checkpoint's, or else the config's.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the config cannot be read or is not that of a top-down estimator that
            predicts keypoints, the weights do not fit it, or nothing tells its joints.
    """
    for key, path in (('config', config), ('checkpoint', checkpoint)):
        if not Path(path).is_file():
            raise FileNotFoundError(
                f'pose estimator {key} {path!r} does not exist: correct {key}=..., a file on this '
                'machine; nothing is downloaded'
            )
    cfg = read_config(config, 'pose estimator config')
    content = load_checkpoint(checkpoint)
    weights = content.get('state_dict', content)
    broken = [n for n, value in weights.items() if torch.is_tensor(value) and value.isnan().any()]
    if broken:
        raise ValueError(
            f'{len(broken)} weights of {checkpoint!r} are not numbers (NaN), such as {broken[0]}: '
            'its training diverged, give an earlier checkpoint'
        )
    model = _build(cfg, config)
    try:
        model.load_state_dict(weights)
    except (AttributeError, RuntimeError, TypeError) as error:
        raise ValueError(f'the weights in {checkpoint!r} do not fit {config!r}: {error}') from error
    metainfo = (content.get('meta') or {}).get('dataset_meta') or {}
    return model.eval().requires_grad_(False), _known_metainfo(metainfo, cfg, config)


def _build(cfg: Config, path: str) -> nn.Module:
    # Imported here: mmpose is no requirement of the package, and slow to load.
    from mmpose.models import TopdownPoseEstimator
    from mmpose.registry import MODELS

    settings = cfg.get('model')
    kind = settings.get('type') if isinstance(settings, Mapping) else None
    cls = MODELS.get(kind) if isinstance(kind, str) else kind
    if not isinstance(cls, type) or not issubclass(cls, TopdownPoseEstimator):
        raise ValueError(
            f'{path!r} has a model of type {kind!r}: it must be a TopdownPoseEstimator'
        )
    if not settings.get('head'):
        raise ValueError(f'the model of {path!r} has no head: it does not predict keypoints')
    try:
        model: nn.Module = MODELS.build(dict(settings, _scope_='mmpose'))
    except Exception as error:  # what is wrong with a config shows in any class that it names
        raise ValueError(
            f'the model of {path!r} cannot be built: {type(error).__name__}: {error}'
        ) from error
    check_predicts(model, path)
    return model


def _known_metainfo(metainfo: dict[str, Any], cfg: Config, path: str) -> dict[str, Any]:
    from mmengine.registry import DefaultScope
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    if 'keypoint_id2name' not in metainfo:
        try:
            with DefaultScope.overwrite_default_scope('mmpose'):
                described = _described(cfg)
                metainfo = {} if described is None else parse_pose_metainfo(described)
        except Exception as error:
            raise ValueError(
                f'train_dataloader.dataset of {path!r} does not tell the joints: '
                f'{type(error).__name__}: {error}'
            ) from error
    if 'keypoint_id2name' not in metainfo:
        raise ValueError(
            f'neither the checkpoint beside {path!r} (dataset_meta) nor its train_dataloader says '
            'which joints it predicts: add train_dataloader=dict(dataset=dict(metainfo=...))'
        )
    return metainfo


def _described(cfg: Config) -> dict[str, Any] | None:
    """The metainfo that a config's train data set names or, by its class, has."""
    import mmpose.datasets.datasets  # noqa: F401 (registers them)
    from mmpose.registry import DATASETS

    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    if not dataset:
        return None
    kind = dataset.get('type')
    cls: Any = kind if isinstance(kind, type) else DATASETS.get(kind)
    metainfo = dict(dataset.get('metainfo') or cls.METAINFO)
    if 'from_file' in metainfo:
        # MMPose would take a file of that name in the current folder first.
        metainfo['from_file'] = str(metainfo_file(metainfo['from_file']))
    return metainfo
