"""Finding PG2Augment in a dataset, and telling at start-up what would go wrong later."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmcv.transforms import Compose
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import ImgDataPreprocessor
from torch import nn

from pg2aug.augment.extras.pool import PersonPool
from pg2aug.augment.extras.repeats import Repeats
from pg2aug.augment.transform import PG2Augment
from pg2aug.poses import Skeleton, check_same_joints

_MIXING = ('Mosaic', 'YOLOXMixUp')
_PHOTOMETRIC = ('PhotometricDistortion', 'YOLOXHSVRandomAug', 'Albumentation')


@dataclass(frozen=True)
class Placement:
    """A PG2Augment, the pipeline it stands in, and the dataset of that pipeline."""

    augment: PG2Augment
    transforms: list[Any]
    dataset: Any


def find_augments(dataset: Any) -> list[Placement]:
    """Every PG2Augment in a dataset's pipelines, through dataset wrappers.

    Raises:
        ValueError: If one is hidden inside another transform.
    """
    found = []
    for owner in _datasets(dataset):
        transforms = list(getattr(getattr(owner, 'pipeline', None), 'transforms', ()))
        found += [Placement(t, transforms, owner) for t in transforms if isinstance(t, PG2Augment)]
        for outer in transforms:
            if any(isinstance(t, PG2Augment) for t in getattr(outer, 'transforms', ())):
                raise ValueError(
                    f'PG2Augment cannot stand inside {type(outer).__name__}: put it into the '
                    'pipeline itself, and set prob'
                )
    return found


def switched_augments(hook: Hook, dataset: Any) -> list[Placement] | None:
    """The PG2Augments of the pipeline to which a hook will switch; None if it switches to none.

    Args:
        hook: Such as ``mmdet.PipelineSwitchHook``.
        dataset: That of the train dataloader.
    """
    steps = getattr(hook, 'switch_pipeline', None)
    if not steps:
        return None
    transforms = list(Compose(copy.deepcopy(steps)).transforms)
    return [Placement(t, transforms, dataset) for t in transforms if isinstance(t, PG2Augment)]


def check_placement(placement: Placement) -> None:
    """Check a pipeline whose synthesis is deferred to :class:`PG2Hook`.

    Raises:
        ValueError: If labels and pixels could come apart; names the line to change.
    """
    names = [type(t).__name__ for t in placement.transforms]
    position = placement.transforms.index(placement.augment)
    where = f'train_pipeline of {type(placement.dataset).__name__}: {" -> ".join(names)}'
    if position == 0 or not names[position - 1].startswith('LoadImage'):
        raise ValueError(f"PG2Augment must stand right after dict(type='LoadImage') in the {where}")
    after = placement.transforms[position + 1 :]
    for name in names[position + 1 :]:
        if name in (*_MIXING, 'KeypointConverter'):
            raise ValueError(f'PG2Augment cannot be followed by {name}; remove it from the {where}')
    for transform in after:
        if _may_recolour(transform):
            print_log(
                f'what {type(transform).__name__} does to colours changes the background of a '
                f'sample, but not the person that PG2Hook puts into it afterwards ({where})',
                logger='current',
                level=30,
            )
        encoders = getattr(transform, 'encoder', None) or []
        for encoder in encoders if isinstance(encoders, list) else [encoders]:
            if getattr(encoder, 'instance_mapping_table', None):
                raise ValueError(
                    f'{type(encoder).__name__} replaces the instance_mapping_table that carries '
                    f'what PG2Augment decided: use another codec in the {where}'
                )
    if not after or names[-1] != 'PackPoseInputs':
        raise ValueError(f"the pipeline must end in dict(type='PackPoseInputs'): {where}")
    flips = [name for name in names[position + 1 :] if name.endswith('Flip')]
    missing = {'flip', 'flip_direction', 'flip_indices'} - set(after[-1].meta_keys)
    if flips and missing:
        raise ValueError(
            f'PG2Hook must know which samples {flips[0]} mirrored: add {sorted(missing)} to '
            f"meta_keys of dict(type='PackPoseInputs') in the {where}"
        )
    _check_data(placement)


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
    preprocessor = model.data_preprocessor
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


def _may_recolour(transform: Any) -> bool:
    """Whether a transform, or one in it, changes colours, or is not MMPose's, so that it may."""
    inner = getattr(transform, 'transforms', None)
    if inner is not None:
        return any(map(_may_recolour, inner))
    kind = type(transform)
    return kind.__name__ in _PHOTOMETRIC or not kind.__module__.startswith('mmpose.')


def _check_data(placement: Placement) -> None:
    skeleton, reuse = placement.augment.generator_file.skeleton, placement.augment.reuse
    metainfo = placement.dataset.metainfo
    name = type(placement.dataset).__name__
    if reuse > 1 and any(getattr(placement.dataset, key, None) for key in ('dataset', 'datasets')):
        raise ValueError(
            f'PG2Augment(reuse={reuse}) stands in the pipeline of a {name}, whose samples have the '
            'indices of the data sets in it: set reuse=1, or put it into the pipelines of those, '
            'if none of them has a KeypointConverter'
        )
    check_same_joints(
        skeleton,
        Skeleton.from_metainfo(metainfo),
        f'PG2Augment(generator={placement.augment.generator}): the train dataset {name}',
    )
    for dataset in _datasets(placement.dataset):
        if getattr(dataset, 'data_mode', 'topdown') != 'topdown':
            raise ValueError(
                f'PG2Augment needs one person a sample, but {type(dataset).__name__} has data_mode='
                f"{dataset.data_mode!r}: set data_mode='topdown', or remove PG2Augment"
            )


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
    inner = getattr(dataset, 'dataset', None)
    for wrapped in [inner, *(getattr(dataset, 'datasets', None) or ())]:
        if wrapped is not None:
            yield from _datasets(wrapped)
