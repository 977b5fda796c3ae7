"""Poses from elsewhere: other data sets, other skeletons, 3-D keypoints, on one skeleton."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from pg2aug.poses.read.coco import (
    category_skeleton,
    least_visible,
    read_coco_triplets,
    split_triplets,
)
from pg2aug.poses.read.conversion import (
    Substitutes,
    convert_joints,
    describe_mapping,
    joint_mapping,
)
from pg2aug.poses.read.keypoints_3d import read_keypoints_3d
from pg2aug.poses.read.metainfo import read_metainfo
from pg2aug.poses.read.projection import view_poses
from pg2aug.poses.scale import Flags
from pg2aug.poses.skeleton import Skeleton


@dataclass(frozen=True)
class PoseFile:
    """A file of poses and what names its joints.

    Attributes:
        path: COCO keypoint ``.json``, or 3-D keypoints as ``.npz`` or ``.npy``.
        metainfo: MMPose data set config with the file's joints; None for the file's own names.
    """

    path: str
    metainfo: str | None = None

    @classmethod
    def parse(cls, text: str) -> 'PoseFile':
        """Read ``PATH`` or ``PATH::METAINFO``.

        Raises:
            ValueError: If there is nothing on one side of ``::``.
        """
        path, separator, metainfo = text.partition('::')
        if not path or (separator and not metainfo):
            raise ValueError(f'expected PATH or PATH::METAINFO, got {text!r}')
        return cls(path, metainfo or None)

    @property
    def is_3d(self) -> bool:
        """Whether the file holds 3-D keypoints, which have to be projected."""
        return Path(self.path).suffix in ('.npz', '.npy')


@dataclass(frozen=True)
class FilePoses:
    """Poses on one skeleton, and where they are from.

    Attributes:
        keypoints: ``(N, K, 2)`` float32, 0 where unlabelled.
        flags: ``(N, K)`` uint8, COCO's; 1 throughout where a file does not tell what is hidden.
        skeleton: The K joints.
        counts: What was read and left out.
        report: For each file, how its joints were mapped, in words.
        sizes: For each file, how many of the N poses are from it; in order.
        joints: For each file, the names of its own joints.
    """

    keypoints: npt.NDArray[np.float32]
    flags: Flags
    skeleton: Skeleton
    counts: Mapping[str, int]
    report: tuple[str, ...]
    sizes: tuple[int, ...]
    joints: tuple[tuple[str, ...], ...]


class _Own(NamedTuple):
    """The contents of a file, with the joints it has."""

    keypoints: npt.NDArray[np.float32]
    flags: Flags
    category: Mapping[str, Any]
    counts: Mapping[str, int]


def metainfo_skeleton(metainfo: str) -> Skeleton:
    """Skeleton of an MMPose data set config, e.g. ``'configs/_base_/datasets/mpii.py'``.

    Raises:
        FileNotFoundError: If there is no such config, neither here nor in MMPose.
        ValueError: If the config defines no links.
    """
    return Skeleton.from_metainfo(read_metainfo({'from_file': metainfo}))


def read_poses(
    files: Sequence[PoseFile],
    skeleton: Skeleton | None = None,
    *,
    min_visible: int | None = None,
    substitutes: Substitutes = (),
    category: str | None = None,
    **views: Any,
) -> FilePoses:
    """Read files of any skeletons as poses of one.

    Args:
        files: At least one.
        skeleton: Of the result; that of the first file if None.
        min_visible: Fewest labelled joints of ``skeleton``; half of them, rounded up, if None.
        substitutes: See :func:`pg2aug.poses.read.conversion.joint_mapping`.
        category: Name or id of the category to read in each COCO file; see
            :func:`pg2aug.poses.read.coco.read_coco_poses`.
        views: How 3-D keypoints are seen, see :func:`pg2aug.poses.read.projection.view_poses`.

    Raises:
        ValueError: If a file cannot be read or shares fewer than ``min_visible`` joints with the
            skeleton, a substitute is for no joint of it, or no pose is left.
    """
    if not files:
        raise ValueError('no file of poses given')
    converted = []
    for file in files:
        with _named(file):
            own = _read(file, views, category)
            skeleton = skeleton or _own_skeleton(file, own)
        converted.append(_convert(file, own, skeleton, min_visible, substitutes))
    counts: Counter[str] = Counter()
    for poses in converted:
        counts.update(poses.counts)
    keypoints = np.concatenate([poses.keypoints for poses in converted])
    if not len(keypoints):
        paths = [file.path for file in files]
        raise ValueError(f'no pose with enough labelled joints in {paths}: {dict(counts)}')
    flags = np.concatenate([poses.flags for poses in converted])
    report, sizes, joints = (
        sum((getattr(poses, name) for poses in converted), ())
        for name in ('report', 'sizes', 'joints')
    )
    return FilePoses(keypoints, flags, converted[0].skeleton, dict(counts), report, sizes, joints)


@contextmanager
def _named(file: PoseFile) -> Iterator[None]:
    """Name the file in whatever goes wrong with its content."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile) as error:
        words = f'{type(error).__name__}: {error}' if type(error) is not ValueError else str(error)
        words = words if str(file.path) in words else f'{file.path}: {words}'
        raise ValueError(words) from error


def _read(file: PoseFile, views: Mapping[str, Any], chosen: str | None) -> _Own:
    names = None
    if file.metainfo is not None:
        id2name = read_metainfo({'from_file': file.metainfo})['keypoint_id2name']
        names = [id2name[key] for key in sorted(id2name)]
    if not file.is_3d:
        triplets, category, counts = read_coco_triplets(file.path, names, chosen)
        return _Own(*split_triplets(triplets), category, counts)
    keypoints_3d, visible_3d, found = read_keypoints_3d(file.path, names)
    keypoints, visible = view_poses(keypoints_3d, visible_3d, **views)
    counts = {'read': len(keypoints_3d), 'views of 3-D poses': len(keypoints)}
    return _Own(keypoints, visible.astype(np.uint8), {'keypoints': found}, counts)


def _own_skeleton(file: PoseFile, own: _Own) -> Skeleton:
    if file.metainfo is not None:
        return metainfo_skeleton(file.metainfo)
    if file.is_3d:
        raise ValueError(
            f'{file.path} holds 3-D keypoints and has no limbs: name the skeleton of the result '
            'by a metainfo'
        )
    return category_skeleton(own.category, file.path)


def _convert(
    file: PoseFile,
    own: _Own,
    skeleton: Skeleton,
    min_visible: int | None,
    substitutes: Substitutes,
) -> FilePoses:
    target = skeleton.keypoint_names
    names = own.category['keypoints']
    least = least_visible(skeleton.num_keypoints, min_visible)
    try:
        mapping = joint_mapping(names, target, substitutes)
    except ValueError as error:
        raise ValueError(f'{file.path}: {error}') from error
    words = f'{file.path}: {describe_mapping(names, target, mapping)}'
    if len(mapping) < least:
        raise ValueError(
            f'too few joints in common, {least} are needed of a pose. {words}. Name what stands '
            'for a joint (substitutes), lower the fewest joints, or leave the file out'
        )
    keypoints, flags = convert_joints(own.keypoints, own.flags, mapping, len(target))
    used = (flags > 0).sum(axis=1) >= least
    counts = {**own.counts, 'few joints': int((~used).sum())}
    return FilePoses(
        keypoints[used],
        flags[used],
        skeleton,
        counts,
        (words,),
        (int(used.sum()),),
        (tuple(names),),
    )
