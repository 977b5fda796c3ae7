"""Finding PG2Augment in a dataset, and telling at start-up what would go wrong later."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mmcv.transforms import BaseTransform, Compose, RandomChoice
from mmengine.dataset import Compose as DatasetCompose
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import ImgDataPreprocessor
from torch import nn

from pg2aug.augment.extras.pool import PersonPool
from pg2aug.augment.extras.repeats import Repeats
from pg2aug.augment.sample import (
    BODIES_ALONE,
    GREY_REMEDY,
    NO_LIFTING,
    ONE_IMAGE,
    ONE_PERSON,
    OTHER_GENERATOR,
    check_mirrors,
)
from pg2aug.augment.transform import PG2Augment
from pg2aug.poses import check_same_joints

_MIXING = ('Mosaic', 'YOLOXMixUp')
_PHOTOMETRIC = ('PhotometricDistortion', 'YOLOXHSVRandomAug', 'Albumentation')


@dataclass(frozen=True)
class Placement:
    """A PG2Augment, where it stands, and whose samples it gets.

    Attributes:
        augment: The transform.
        transforms: All that a sample goes through: the pipeline it stands in, and those of the
            data sets around, which go on where that ends.
        dataset: The data set of the pipeline.
    """

    augment: PG2Augment
    transforms: list[Any]
    dataset: Any

    @property
    def where(self) -> str:
        """The pipeline in words, to be read after 'the'."""
        names = ' -> '.join(type(t).__name__ for t in self.transforms)
        return f'train_pipeline of {type(self.dataset).__name__}: {names}'


def find_augments(dataset: Any) -> list[Placement]:
    """Every PG2Augment in a dataset's pipelines, through dataset wrappers.

    Raises:
        ValueError: If one is hidden inside another transform.
    """
    return _find(dataset, _transforms(dataset), [])


def switched_augments(hook: Hook, dataset: Any) -> list[Placement] | None:
    """The PG2Augments after a hook has switched pipelines; None if it switches none.

    Args:
        hook: Such as ``mmdet.PipelineSwitchHook``, which replaces the pipeline of the outermost
            data set, and leaves those of the data sets in it.
        dataset: That of the train dataloader.

    Raises:
        ValueError: If one is hidden inside another transform.
    """
    steps = getattr(hook, 'switch_pipeline', None)
    if not steps:
        return None
    return _find(dataset, list(Compose(copy.deepcopy(steps)).transforms), [])


def _transforms(dataset: Any) -> list[Any]:
    return list(getattr(getattr(dataset, 'pipeline', None), 'transforms', ()))


def _find(dataset: Any, own: list[Any], later: list[Any]) -> list[Placement]:
    """The PG2Augments among a data set's own transforms, and in the data sets that it wraps."""
    found = [Placement(t, [*own, *later], dataset) for t in own if isinstance(t, PG2Augment)]
    for outer in own:
        if any(isinstance(t, PG2Augment) for t in _inside(outer)):
            raise ValueError(
                f'PG2Augment cannot stand inside {type(outer).__name__}, as it does in the '
                f'train_pipeline of {type(dataset).__name__}: put it into the pipeline itself, '
                "right after dict(type='LoadImage'), and set its prob"
            )
    for wrapped in _wrapped(dataset):
        found += _find(wrapped, _transforms(wrapped), [*own, *later])
    return found


def _inside(transform: Any) -> Iterator[Any]:
    """The transforms that a transform such as RandomChoice holds, and those that these hold."""
    for value in getattr(transform, '__dict__', {}).values():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, (BaseTransform, DatasetCompose)):
                yield item
                yield from _inside(item)


def check_placement(placement: Placement) -> None:
    """Check a pipeline whose synthesis is deferred to :class:`PG2Hook`.

    Raises:
        ValueError: If labels and pixels could come apart; names the line to change.
    """
    check_data(placement)
    steps, where = placement.transforms, placement.where
    if sum(isinstance(step, PG2Augment) for step in steps) > 1:
        raise ValueError(
            'a sample can be replaced once, but PG2Augment stands twice in its way: keep one, or '
            f'list the data set twice, each with its own, in a CombinedDataset ({where})'
        )
    position = steps.index(placement.augment)
    if position == 0 or not type(steps[position - 1]).__name__.startswith('LoadImage'):
        raise ValueError(f"PG2Augment must stand right after dict(type='LoadImage') in the {where}")
    _check_loader(steps[position - 1], where)
    after = steps[position + 1 :]
    for transform in after:
        if _may_recolour(transform):
            print_log(
                f'what {type(transform).__name__} does to colours changes the background of a '
                f'sample, but not the person that PG2Hook puts into it afterwards ({where})',
                logger='current',
                level=30,
            )
        for inner in (transform, *_inside(transform)):
            _check_later(inner, where)
    if not after or type(after[-1]).__name__ != 'PackPoseInputs':
        raise ValueError(f"the pipeline must end in dict(type='PackPoseInputs'): {where}")
    _check_flips(after, where)


def _check_loader(loader: Any, where: str) -> None:
    """What PG2Augment tells of the first sample, told before there is one."""
    if getattr(loader, 'color_type', 'color') == 'grayscale':
        raise ValueError(f'PG2Augment needs images in colour: {GREY_REMEDY} ({where})')
    if getattr(loader, 'to_float32', False):
        raise ValueError(
            "PG2Augment needs uint8 images: remove to_float32=True from dict(type='LoadImage') in "
            f'the {where}'
        )


def _check_later(transform: Any, where: str) -> None:
    """Check a transform that comes after PG2Augment, alone or inside another."""
    name = type(transform).__name__
    if name in (*_MIXING, 'KeypointConverter'):
        raise ValueError(f'PG2Augment cannot be followed by {name}; remove it from the {where}')
    if not getattr(transform, 'keep_channels', True):
        raise ValueError(
            f'PG2Hook puts persons of three channels into what {name} has left: set '
            f'keep_channels=True in it, or remove PG2Hook from custom_hooks ({where})'
        )
    encoders = getattr(transform, 'encoder', None) or []
    for encoder in encoders if isinstance(encoders, list) else [encoders]:
        if getattr(encoder, 'instance_mapping_table', None):
            raise ValueError(
                f'{type(encoder).__name__} replaces the instance_mapping_table that carries '
                f'what PG2Augment decided: use another codec in the {where}'
            )


def _check_flips(after: Sequence[Any], where: str) -> None:
    if sum(map(_flips, after)) > 1:
        raise ValueError(
            'a sample tells PG2Hook of its last flip alone, but can be flipped more than once: '
            f'keep one RandomFlip, with a list as its direction for several, in the {where}'
        )
    missing = {'flip', 'flip_direction', 'flip_indices'} - set(after[-1].meta_keys)
    if any(map(_flips, after)) and missing:
        raise ValueError(
            f'PG2Hook must know which samples RandomFlip mirrored: add {sorted(missing)} to '
            f"meta_keys of dict(type='PackPoseInputs') in the {where}"
        )


def _flips(transform: Any) -> int:
    """How often a transform may flip a sample; of alternatives one is taken."""
    if isinstance(transform, RandomChoice):
        return max(map(_flips, transform.transforms), default=0)
    inner = getattr(transform, 'transforms', None) or ()
    return int(type(transform).__name__.endswith('Flip')) + sum(map(_flips, inner))


def check_alike(augments: list[PG2Augment]) -> None:
    """Raise ValueError unless one synthesizer can serve all PG2Augments of a training."""
    shared = [_shared(augment) for augment in augments]
    for name in shared[0]:
        values = [settings[name] for settings in shared]
        if any(value != values[0] for value in values):
            raise ValueError(
                f'all PG2Augments of a training share one synthesizer, but {name} differs: '
                f'{values}; give them the same {name}'
            )


def _shared(augment: PG2Augment) -> dict[str, Any]:
    """What PG2Augments of one synthesizer have in common: not how they choose persons and poses."""
    settings = dict(vars(augment.settings), generator=augment.generator, pool_mb=augment.pool_mb)
    return {k: v for k, v in settings.items() if k not in ('min_visible', 'max_view_change')}


def draw_alike(augments: list[PG2Augment]) -> bool:
    """Whether PG2Augments draw from one bank, so that an index means one pose."""
    drawn_from = [(a.pose_bank, a.settings.min_visible) for a in augments]
    return all(bank == drawn_from[0] for bank in drawn_from)


def check_model(model: nn.Module) -> None:
    """Raise ValueError if a pose model would not honour what the hook writes."""
    check_preprocessor(model.data_preprocessor)
    for name, module in model.named_modules():
        if type(module).__name__ == 'VisPredictHead':
            raise ValueError(
                f'model.{name} (VisPredictHead) learns visibility from the keypoint weights, which '
                'PG2Hook sets to 0 where the label check refuses: use another head, or synthesise '
                'without PG2Hook'
            )
        if getattr(module, 'use_target_weight', True) is False:
            raise ValueError(
                f'the loss model.{name} ({type(module).__name__}) ignores keypoint weights, so '
                'that joints which the label check refused would be trained on: set '
                'use_target_weight=True in it'
            )


def check_preprocessor(preprocessor: Any) -> None:
    """Raise ValueError unless a model's preprocessor gives images that persons fit into."""
    if not isinstance(preprocessor, ImgDataPreprocessor):
        raise ValueError(
            f'PG2Hook needs images to write into, but model.data_preprocessor is a '
            f"{type(preprocessor).__name__}: use dict(type='PoseDataPreprocessor', ...)"
        )
    if getattr(preprocessor, 'batch_augments', None) is not None:
        raise ValueError(
            'PG2Hook writes into the batch after model.data_preprocessor.batch_augments have '
            'changed it: remove batch_augments from the model config'
        )


def _may_recolour(transform: Any) -> bool:
    """Whether a transform, or one in it, changes colours, or is not MMPose's, so that it may."""
    inner = getattr(transform, 'transforms', None)
    if inner is not None:
        return any(map(_may_recolour, inner))
    kind = type(transform)
    return kind.__name__ in _PHOTOMETRIC or not kind.__module__.startswith('mmpose.')


def check_data(placement: Placement) -> None:
    """Check what the data sets of a PG2Augment are, whatever their pipelines.

    Raises:
        ValueError: If it cannot take their samples, or not with these settings.
    """
    # Imported here: it takes a second, and placement.py is imported by every process.
    from mmpose.datasets.datasets import PoseTrack18VideoDataset
    from mmpose.datasets.datasets.base import BaseMocapDataset

    for dataset in _datasets(placement.dataset):
        kind = f'PG2Augment in the train_pipeline of {type(dataset).__name__}'
        if getattr(dataset, 'data_mode', 'topdown') != 'topdown':
            raise ValueError(f'{kind} (data_mode={dataset.data_mode!r}): {ONE_PERSON}')
        if isinstance(dataset, BaseMocapDataset):
            raise ValueError(f'{kind}: {NO_LIFTING}')
        if isinstance(dataset, PoseTrack18VideoDataset):
            raise ValueError(f'{kind}: {ONE_IMAGE}')
    _check_joints(placement)
    reuse, name = placement.augment.reuse, type(placement.dataset).__name__
    if reuse > 1 and any(_wrapped(placement.dataset)):
        raise ValueError(
            f'PG2Augment(reuse={reuse}) stands in the pipeline of a {name}, whose samples have the '
            'indices of the data sets in it: set reuse=1, or put it into the pipelines of those, '
            'if none of them has a KeypointConverter'
        )


def _check_joints(placement: Placement) -> None:
    """Raise ValueError unless the data set has the generator's joints; limbs it need not have."""
    skeleton, metainfo = placement.augment.generator_file.skeleton, placement.dataset.metainfo
    names = [str(metainfo['keypoint_id2name'][k]) for k in range(metainfo['num_keypoints'])]
    name = type(placement.dataset).__name__
    context = f'PG2Augment(generator={placement.augment.generator}): the train dataset {name}'
    check_same_joints(skeleton, names, context, f'{OTHER_GENERATOR}. {BODIES_ALONE}')
    check_mirrors(metainfo['flip_indices'], skeleton, context)


def set_repeats(placements: list[Placement]) -> PersonPool | None:
    """Let PG2Augments with ``reuse`` decide again what they decided.

    Returns:
        A pool for what they will have synthesised again; None where none of them has ``reuse``.
    """
    reusing = [p for p in placements if p.augment.reuse > 1]
    if not reusing:
        return None
    persons = [len(placement.dataset) for placement in reusing]
    slots = min(reusing[0].augment.pool_slots, sum(persons))
    for placement, count in zip(reusing, persons, strict=True):
        augment = placement.augment
        augment.repeats = Repeats(count, augment.reuse, slots / sum(persons))
    return PersonPool(slots)


def _datasets(dataset: Any) -> Iterator[Any]:
    """A dataset and everything it wraps."""
    yield dataset
    for wrapped in _wrapped(dataset):
        yield from _datasets(wrapped)


def _wrapped(dataset: Any) -> list[Any]:
    """The datasets that one wraps itself."""
    inner = [getattr(dataset, 'dataset', None), *(getattr(dataset, 'datasets', None) or ())]
    return [wrapped for wrapped in inner if wrapped is not None]
