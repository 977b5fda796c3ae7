"""MMPose's descriptions of skeletons, read without MMPose."""

import reprlib
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from pg2aug.utils.config_file import read_config

_DATASETS = 'configs/_base_/datasets/'


def read_metainfo(metainfo: Mapping[str, Any]) -> dict[str, Any]:
    """Parse a description of a skeleton as MMPose's ``parse_pose_metainfo`` does.

    Args:
        metainfo: MMPose's description of a data set: ``dict(from_file='configs/_base_/datasets/
            coco.py')``, or the dict in such a file, with ``keypoint_info`` and ``skeleton_info``.
            Of the file see :func:`metainfo_file`.

    Returns:
        ``keypoint_id2name``, ``flip_indices`` and ``skeleton_links``, which are what
        :meth:`pg2aug.poses.Skeleton.from_metainfo` reads, and ``sigmas`` where they are given.

    Raises:
        FileNotFoundError: If there is no such file, neither here nor in MMPose.
        ValueError: If it describes no skeleton, or names a joint that it does not have.
    """
    if 'from_file' in metainfo:
        return _file_metainfo(str(metainfo['from_file']))
    return _parsed(metainfo)


def _parsed(metainfo: Mapping[str, Any]) -> dict[str, Any]:
    missing = [key for key in ('keypoint_info', 'skeleton_info') if key not in metainfo]
    if missing:
        raise ValueError(
            f'metainfo lacks {missing} (it has {sorted(metainfo)}): give dict(from_file=...), or '
            "the dict 'dataset_info' of such a file"
        )
    joints = _entries(metainfo, 'keypoint_info', 'name')
    links = _entries(metainfo, 'skeleton_info', 'link').values()
    ids = {joint['name']: key for key, joint in joints.items()}
    try:
        return {
            'keypoint_id2name': {key: joint['name'] for key, joint in joints.items()},
            # A joint without an opposite has '' there, or nothing.
            'flip_indices': [ids[j.get('swap') or j['name']] for j in joints.values()],
            'skeleton_links': [_ends(link['link'], ids) for link in links],
            **{k: _numbers(k, metainfo[k]) for k in ('sigmas',) if k in metainfo},
        }
    except KeyError as error:
        raise ValueError(
            f'metainfo names a joint {error} in swap or link, but has {sorted(ids)}: correct it'
        ) from error


def _entries(metainfo: Mapping[str, Any], name: str, key: str) -> Mapping[int, Mapping[str, Any]]:
    """The joints or the links, each of which has ``key``."""
    entries = metainfo[name]
    if not isinstance(entries, Mapping):
        raise ValueError(
            f'{name} of the metainfo is a {type(entries).__name__}, not a dict of numbers'
        )
    for number, entry in entries.items():
        if not isinstance(entry, Mapping) or key not in entry:
            raise ValueError(
                f'{name}[{number!r}] of the metainfo is {reprlib.repr(entry)}: it needs {key!r}'
            )
        if not str(number).isdigit() or not isinstance(entry.get('name', ''), str):
            raise ValueError(
                f'{name}[{number!r}] of the metainfo: its key must be a whole number, and its '
                f'name a text, got {entry.get("name")!r}'
            )
    return entries


def _ends(link: Any, ids: Mapping[str, int]) -> tuple[int, ...]:
    if not isinstance(link, Sequence) or isinstance(link, str) or len(link) != 2:
        raise ValueError(f'a link of the metainfo is {link!r}, not the names of two joints')
    return tuple(ids[name] for name in link)


def _numbers(name: str, values: Any) -> npt.NDArray[np.float32]:
    try:
        return np.array(values, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{name} of the metainfo are no numbers: {error}') from error


def mmpose_metainfo(name: str) -> dict[str, Any]:
    """A description of a skeleton in MMPose's package, whatever lies in the current folder.

    Args:
        name: Of the file in ``configs/_base_/datasets``, such as ``'coco.py'``.

    Raises:
        FileNotFoundError: If there is no MMPose, or it has no such file.
    """
    return read_metainfo({'from_file': str(_mmposes(name) or _missing(f'{_DATASETS}{name}'))})


def metainfo_file(path: str) -> Path:
    """Where a metainfo file is, which is a program: a config of MMEngine.

    A name of MMPose's own files, ``configs/_base_/datasets/NAME.py``, is the file in MMPose's
    package: one that happens to lie so below the current folder was named by nobody. It is written
    ``./configs/...``.

    Args:
        path: As a config or a command line has it.

    Raises:
        FileNotFoundError: If there is no such file, neither here nor in MMPose.
    """
    file, own = Path(path), _mmposes(Path(path).name)
    if own is None or (file.is_file() and not path.startswith(_DATASETS)):
        return file if file.is_file() else _missing(path)
    if file.is_file() and not file.samefile(own) and file.read_bytes() != own.read_bytes():
        warnings.warn(
            f'The metainfo config file {path!r} is that of MMPose, {own}: to use the file of the '
            f"current folder, write './{path}'",
            stacklevel=2,
        )
    return own


def _mmposes(name: str) -> Path | None:
    """MMPose's file of that name; None where it has none, or is missing."""
    mmpose = find_spec('mmpose')
    (package,) = (mmpose and mmpose.submodule_search_locations) or ('',)
    file = Path(package, '.mim', _DATASETS, name)
    return file if package and file.is_file() else None


def _missing(path: str) -> NoReturn:
    mmpose = find_spec('mmpose')
    there = 'MMPose has none of its name' if mmpose else 'MMPose, which may have it, is missing'
    raise FileNotFoundError(
        f'the metainfo config file {path!r} does not exist, and {there}: correct the path, or '
        'give the dict in such a file'
    )


def _file_metainfo(path: str) -> dict[str, Any]:
    file = metainfo_file(path)
    content = read_config(file, 'the metainfo config file')
    found = content.get('dataset_info')
    if not isinstance(found, Mapping):
        raise ValueError(f"the metainfo config file {str(file)!r} defines no 'dataset_info'")
    try:
        return _parsed(found)
    except ValueError as error:
        raise ValueError(f'the metainfo config file {str(file)!r}: {error}') from error
