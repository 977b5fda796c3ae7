"""The usable instances of an MMPose dataset, grouped by the person they show."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.datasets.topdown import image_name, keypoint_flags
from pg2aug.poses import Skeleton
from pg2aug.poses.same_person import annotated_twice

if TYPE_CHECKING:
    from mmpose.datasets.datasets.base import BaseCocoStyleDataset

Identity = int | str

NO_IDENTITY = frozenset(
    ('', '-', '-1', '?', 'n/a', 'nan', 'none', 'null', 'unknown', 'unlabeled', 'unlabelled')
)
"""Strings, in whatever case, that say that nobody knows who it is; the number -1 and NaN do too."""


def _says_none(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in NO_IDENTITY
    return bool(value != value or (value == -1 and not isinstance(value, bool)))


@dataclass(frozen=True)
class IdentityRule:
    """Where an instance's identity is found.

    Attributes:
        key: Name of the identity in the raw annotation, else in MMPose's data info; None where each
            instance is a person of its own, known by its annotation's id.
        within_folder: Whether the same identity in two image folders is two people.
    """

    key: str | None
    within_folder: bool = False

    def identity(self, info: Mapping[str, Any], context: str) -> Identity | None:
        """Identity of an instance, None where it has none, or one that says so.

        See :data:`NO_IDENTITY`.

        Args:
            info: MMPose's data info of the instance.
            context: Names its file in errors.

        Raises:
            ValueError: If it is neither an integer nor a string.
        """
        if self.key is None:
            own: Identity = info['id']
            return own
        value = self.value(info)
        if value is None or _says_none(value):
            return None
        if not isinstance(value, (int, str, np.integer)) or isinstance(value, bool):
            raise ValueError(
                f'annotation {info["id"]} of {context}: {self.key!r} must be an integer or a '
                f'string, got {value!r}'
            )
        if self.within_folder:
            return f'{os.path.dirname(info["img_path"])}/{value}'
        return value if isinstance(value, str) else int(value)

    def value(self, info: Mapping[str, Any]) -> Any:
        """What an instance has under the key, whatever it is; None where it has nothing."""
        raw = info.get('raw_ann_info') or {}
        return None if self.key is None else raw.get(self.key, info.get(self.key))

    def lack(self, info: Mapping[str, Any]) -> str:
        """In words, why an instance has no identity."""
        value = self.value(info)
        return f'without {self.key!r}' if value is None else f'with {self.key!r} {value!r}, nobody'

    def applies_to(self, dataset: 'BaseCocoStyleDataset') -> bool:
        """Whether any instance of a dataset has an identity."""
        infos = (dataset.get_data_info(index) for index in range(len(dataset)))
        return any(self.identity(info, dataset.ann_file) is not None for info in infos)


@dataclass(frozen=True)
class Instances:
    """Usable instances, numbered through identity after identity: the members of pairs.

    Attributes:
        identities: Identities, in order of appearance.
        sizes: Number of members of each.
        indices: (M,) int64, the dataset's index of each member.
        ids: Annotation id of each member.
        keypoints: (M, K, 2) of each member, in image pixels.
        visible: (M, K), greater than 0 where labelled; COCO's flags, if known.
        dropped: What is left out and why, in words.
        image_names: File name of the image of each of the dataset's instances, usable or not.
    """

    identities: list[Identity]
    sizes: list[int]
    indices: NDArray[np.int64]
    ids: list[Any]
    keypoints: NDArray[np.floating[Any]]
    visible: NDArray[np.floating[Any]]
    dropped: str
    image_names: list[str]

    @property
    def identity_of(self) -> NDArray[np.int64]:
        """(M,) number of each member's identity."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


def find_instances(
    dataset: 'BaseCocoStyleDataset', rule: IdentityRule, min_visible: int, least: int
) -> Instances:
    """Group the usable instances of a dataset by identity.

    Args:
        dataset: Top-down MMPose dataset.
        rule: Where identities are found.
        min_visible: Labelled joints that make an instance usable.
        least: Usable instances that an identity must have to be kept.

    Raises:
        ValueError: If an identity is neither an integer nor a string, or none is kept.
    """
    groups: dict[Identity, list[int]] = {}
    dropped: Counter[str] = Counter()
    keys: set[str] = set()
    unnamed = 0
    image_names, labels, boxes = [], [], []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        labels.append((info['id'], info['keypoints'][0], keypoint_flags(info)))
        image_names.append(image_name(dataset, info))
        boxes.append(info['bbox'][0])
        keys.update(info.get('raw_ann_info', info))
        identity = rule.identity(info, dataset.ann_file)
        if identity is None:
            dropped[rule.lack(info)] += 1
            unnamed += 1
        elif np.count_nonzero(labels[-1][2] > 0) < min_visible:
            dropped[f'with fewer than {min_visible} labelled joints'] += 1
        elif not _is_finite(info):
            dropped['with a labelled joint or a box that is not finite'] += 1
        elif _coincide(*labels[-1][1:]):
            dropped['whose labelled joints all coincide'] += 1
        else:
            groups.setdefault(identity, []).append(index)
    names = Skeleton.from_metainfo(dataset.metainfo).keypoint_names
    doubles = _drop_doubles(groups, labels, boxes, image_names, names, rule.key is None)
    dropped['of a person who is annotated twice in the image'] += doubles
    kept = {identity: group for identity, group in groups.items() if len(group) >= least}
    single = len(groups) - len(kept)
    dropped[f'the only usable one of its identity ({single} identities)'] += single
    reasons = ', '.join(f'{count} {why}' for why, count in dropped.items() if count) or 'none'
    if not kept:
        where = (
            f'{type(dataset).__name__} {dataset.ann_file!r} ({len(dataset)} instances; '
            f'dropped: {reasons})'
        )
        if least == 1:
            raise ValueError(f'no instance is usable in {where}: set min_visible lower')
        identified = unnamed < len(dataset)
        raise ValueError(_nobody_message(where, rule.key, sorted(keys), identified))
    indices = [index for group in kept.values() for index in group]
    ids, keypoints, visible = zip(*(labels[index] for index in indices), strict=True)
    return Instances(
        list(kept),
        [len(group) for group in kept.values()],
        np.array(indices, dtype=np.int64),
        list(ids),
        np.stack(keypoints),
        np.stack(visible),
        reasons,
        image_names,
    )


def _drop_doubles(
    groups: dict[Identity, list[int]],
    labels: Sequence[tuple[Any, NDArray[Any], NDArray[Any]]],
    boxes: Sequence[NDArray[Any]],
    image_names: Sequence[str],
    names: Sequence[str],
    own_identity: bool,
) -> int:
    """Take second annotations of a person in an image out of the groups: how many they were.

    Two annotations of one person in one image are no pair of two poses.

    Args:
        groups: Usable instances of each identity.
        labels: Annotation id, keypoints (K, 2) and visibility (K,) of each instance.
        boxes: (4,) left, top, right, bottom of each.
        image_names: File name of the image of each.
        names: Of the joints.
        own_identity: Whether each instance has an identity of its own, so that it says nothing.
    """
    whose = {index: identity for identity, group in groups.items() for index in group}
    usable = sorted(whose)
    if not usable:
        return 0
    people = np.stack([np.column_stack(labels[index][1:]) for index in usable])
    corners = np.stack([boxes[index] for index in usable])
    sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    places = [(image_names[i], None if own_identity else whose[i]) for i in usable]
    doubles = [usable[later] for later, _ in annotated_twice(people, places, names, sides)]
    for index in doubles:
        groups[whose[index]].remove(index)
        if not groups[whose[index]]:
            del groups[whose[index]]
    return len(doubles)


def _nobody_message(where: str, key: str | None, keys: list[str], identified: bool) -> str:
    message = f'no identity has two usable instances in {where}. '
    if identified:
        return message + (
            'Each needs two usable images: add images, set min_visible lower, or use '
            f"pairing='self'. If identity_key={key!r} does not tell persons, set it to another of "
            f'{keys}'
        )
    return message + (
        f'No annotation has identity_key={key!r}: set it to one of their keys {keys}, or use '
        "pairing='self'"
    )


def _is_finite(info: Mapping[str, Any]) -> bool:
    """Whether the labelled joints and the box of an instance are where numbers say."""
    joints = np.asarray(info['keypoints'][0])[np.asarray(info['keypoints_visible'][0]) > 0]
    return bool(np.isfinite(joints).all() and np.isfinite(info['bbox'][0]).all())


def _coincide(keypoints: NDArray[Any], visible: NDArray[Any]) -> bool:
    """Whether the labelled joints are all at one place, where no body has any extent."""
    joints = keypoints[visible > 0]
    return not np.ptp(joints, axis=0).any() if len(joints) else True
