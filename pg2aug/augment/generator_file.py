"""Generators that users name: what training wrote, or one that needs no training."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor

from pg2aug.augment.extras.detail import DetailedGenerator
from pg2aug.augment.synthesis.inference import Generator
from pg2aug.compat import load_checkpoint
from pg2aug.models.checkpoint_check import check_preprocessor
from pg2aug.models.limbs.generator import LimbWarpGenerator
from pg2aug.models.pg2 import PG2
from pg2aug.poses import Skeleton, check_same_joints
from pg2aug.registry import MODELS
from pg2aug.utils.arguments import in_errors
from pg2aug.utils.config_file import read_config
from pg2aug.utils.files import naming

_NAMED = 8
"""Limbs that a warning names."""


@dataclass(frozen=True)
class GeneratorFile:
    """A generator, read but not yet built.

    Attributes:
        config: Model config.
        state_dict: Weights, on the CPU; None for a generator without any.
        size: (width, height) of the crops that it takes and makes.
        padding: Factor on a person's box that makes its crops, as in its training.
        skeleton: Skeleton of its poses.
        source: Path of the checkpoint, or the type of a generator without one, for messages and
            provenance.
        detail: How many times finer these are than the crops it was trained on.
        path: Path of the config; empty for a generator without one.
    """

    config: Config
    state_dict: dict[str, Tensor] | None
    size: tuple[int, int]
    padding: float
    skeleton: Skeleton
    source: str
    detail: int = 1
    path: str = ''

    @classmethod
    def from_config(cls, generator: Mapping[str, Any]) -> 'GeneratorFile':
        """Read a generator as configs name it.

        Args:
            generator: ``dict(config=..., checkpoint=...)``, both written by
                ``pg2aug train``, and ``detail``, 1 or more, to have persons that many times
                finer than its crops (:class:`DetailedGenerator`); or, to lay limbs
                into poses without any learning, ``dict(type='LimbWarpGenerator',
                metainfo=dict(from_file=...), size=(width, height))``, with ``padding`` (1.25 by
                default) on the person's box.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If it is neither of the two, or ``size`` or ``padding`` is not positive;
                see :meth:`load` for more.
        """
        file = cls._read(generator)
        _warn_of_sticks(file.skeleton)
        return file

    @classmethod
    def _read(cls, generator: Mapping[str, Any]) -> 'GeneratorFile':
        keys = set(generator)
        if {'config', 'checkpoint'} <= keys <= {'config', 'checkpoint', 'detail'}:
            return cls.load(**generator)
        if not _is_type(generator, LimbWarpGenerator) or not (
            {'type', 'metainfo', 'size'} <= keys <= {'type', 'metainfo', 'size', 'padding'}
        ):
            raise ValueError(
                "generator must be dict(config='...', checkpoint='...') of a trained one, or "
                "dict(type='LimbWarpGenerator', metainfo=dict(from_file='...'), size=(width, "
                f'height)), got {dict(generator)!r}'
            )
        size, padding = _crop_settings(generator['size'], generator.get('padding', 1.25))
        config = Config(dict(type='LimbWarpGenerator', metainfo=generator['metainfo']))
        with in_errors(f'generator metainfo {_brief(generator["metainfo"])}'):
            skeleton = LimbWarpGenerator(generator['metainfo']).skeleton
        return cls(config, None, size, padding, skeleton, 'LimbWarpGenerator')

    @classmethod
    def load(cls, config: str, checkpoint: str, detail: int = 1) -> 'GeneratorFile':
        """Read the config and the checkpoint that ``pg2aug train`` wrote.

        Args:
            config: Path of the config.
            checkpoint: Path of the checkpoint.
            detail: How many times finer than its crops the persons are to be.

        Raises:
            FileNotFoundError: If one of them is missing.
            ValueError: If the config is not that of a PG2, the checkpoint does not say how its
                crops were made or was trained with other preprocessing, or there cannot be such
                detail.
        """
        for key, path in (('config', config), ('checkpoint', checkpoint)):
            if not Path(path).is_file():
                raise FileNotFoundError(
                    f'generator {key} {path!r} does not exist: train one with '
                    f'pg2aug train, or correct generator=dict({key}=...)'
                )
        cfg = read_config(config, 'generator config')
        model = cfg.get('model')
        if not _is_type(model, PG2):
            raise ValueError(f"generator config {config!r} has no model of type 'pg2aug.PG2'")
        _check_detail(detail, cfg.model, config)
        content = load_checkpoint(checkpoint)
        meta = _dataset_meta(content, checkpoint)
        check_preprocessor(cfg.model, content, checkpoint, config)
        try:
            (width, height), padding = _crop_settings(meta['crop']['size'], meta['crop']['padding'])
            skeleton = Skeleton.from_metainfo(meta)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"generator checkpoint {checkpoint!r}: its meta['dataset_meta'] cannot be used: "
                f'{type(error).__name__}: {error}'
            ) from error
        size = width * detail, height * detail
        state_dict = _finite_weights(content, checkpoint)
        return cls(cfg.model, state_dict, size, padding, skeleton, str(checkpoint), detail, config)

    def build(self) -> Generator:
        """Build the model with its weights, in evaluation mode, without gradients.

        Raises:
            ValueError: If the weights or the joints do not fit the config.
        """
        if self.state_dict is None:
            generator: LimbWarpGenerator = MODELS.build(dict(self.config, _scope_='pg2aug'))
            return generator
        # The schedule plays no part in synthesis; a config leaves it to the training tool.
        with naming(self.path):
            model: PG2 = MODELS.build(dict(self.config, stage1_iters=0, _scope_='pg2aug'))
        try:
            model.load_state_dict(self.state_dict)
        except RuntimeError as error:
            raise ValueError(
                f'the weights in {self.source} do not fit their config {self.path!r}: {error}'
            ) from error
        context = f'the generator config beside {self.source}'
        check_same_joints(self.skeleton, model.skeleton, context)
        model.eval().requires_grad_(False)
        return model if self.detail == 1 else DetailedGenerator(model, self.detail).eval()


def _dataset_meta(content: Mapping[str, Any], checkpoint: str) -> Mapping[str, Any]:
    meta = content.get('meta')
    found = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
    if not isinstance(found, Mapping) or 'crop' not in found:
        raise ValueError(
            f"generator checkpoint {checkpoint!r} has no meta['dataset_meta']['crop']: it was "
            'not trained on a PersonPairDataset by pg2aug train'
        )
    return found


def _finite_weights(content: Mapping[str, Any], checkpoint: str) -> dict[str, Tensor]:
    weights = content.get('state_dict')
    if not isinstance(weights, Mapping) or not all(map(torch.is_tensor, weights.values())):
        raise ValueError(f"generator checkpoint {checkpoint!r} has no weights in 'state_dict'")
    broken = [name for name, value in weights.items() if not torch.isfinite(value).all()]
    if broken:
        raise ValueError(
            f'{len(broken)} weights of generator checkpoint {checkpoint!r} are not finite, such as '
            f'{broken[0]}: its training diverged, give an earlier checkpoint'
        )
    return dict(weights)


def _is_type(config: Any, kind: type) -> bool:
    """Whether a config is of a class of ours, by name or, as new-style configs have it, itself."""
    named = config.get('type') if isinstance(config, Mapping) else None
    return named in (kind, kind.__name__, f'pg2aug.{kind.__name__}')


@lru_cache(maxsize=16)
def _warn_of_sticks(skeleton: Skeleton) -> None:
    """Tell, once, that trunks will not look like trunks."""
    if skeleton.torso:
        return
    # Tails and lower legs end somewhere; a trunk is what lies between.
    ends = Counter(joint for limb in skeleton.limbs for joint in limb)
    inner = {k for k, count in ends.items() if count > 1} - set(skeleton.head)
    limbs = [limb for limb in skeleton.limbs if inner.issuperset(limb)]
    names = [' to '.join(skeleton.keypoint_names[k] for k in limb) for limb in limbs]
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    print_log(
        f'the skeleton of the generator ({skeleton.num_keypoints} joints) has no shoulders and '
        'hips, which tell where a trunk is: trunks are drawn, and removed, as thin as limbs '
        f'({", ".join(names[:_NAMED]) or "all of them"}{more}), and the label check accepts that. '
        'Look at it by pg2aug browse before you train on it',
        logger='current',
        level=logging.WARNING,
    )


def _brief(metainfo: Any) -> str:
    """The file of a description, or the name in it."""
    if not isinstance(metainfo, Mapping):
        return repr(metainfo)
    return repr(metainfo.get('from_file', metainfo.get('dataset_name', sorted(metainfo))))


def _check_detail(detail: Any, model: Mapping[str, Any], config: str) -> None:
    if not _is_length(detail) or isinstance(detail, bool):
        raise ValueError(f'generator detail must be a whole number from 1 on, got {detail!r}')
    if detail > 1 and not model.get('data_preprocessor', {}).get('matte'):
        raise ValueError(
            f'generator detail={detail} needs a generator that knows what is person (matte=True), '
            f'which that of {config!r} does not: leave detail out'
        )


def _crop_settings(size: Any, padding: Any) -> tuple[tuple[int, int], float]:
    if not isinstance(size, Sequence) or len(size) != 2 or not all(map(_is_length, size)):
        raise ValueError(f'generator size must be (width, height) in whole pixels, got {size!r}')
    if not isinstance(padding, (int, float)) or not 0 < padding < float('inf'):
        raise ValueError(f'generator padding must be a number above 0, got {padding!r}')
    return (size[0], size[1]), float(padding)


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and value > 0
