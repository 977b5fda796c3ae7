"""MMPose's descriptions of skeletons, read without MMPose."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config


def read_metainfo(metainfo: Mapping[str, Any]) -> dict[str, Any]:
    """Parse a description of a skeleton as MMPose's ``parse_pose_metainfo`` does.

    Args:
        metainfo: MMPose's description of a data set: ``dict(from_file='configs/_base_/datasets/
            coco.py')``, or the dict in such a file, with ``keypoint_info`` and ``skeleton_info``. A
            file that is not there is taken from MMPose's own ``configs/_base_/datasets``.

    Returns:
        ``keypoint_id2name``, ``flip_indices`` and ``skeleton_links``, which are what
        :meth:`pg2aug.poses.Skeleton.from_metainfo` reads, and ``sigmas`` where they are given.

    Raises:
        FileNotFoundError: If there is no such file, neither here nor in MMPose.
        ValueError: If it describes no skeleton, or names a joint that it does not have.
    """
    if 'from_file' in metainfo:
        return read_metainfo(_file_metainfo(str(metainfo['from_file'])))
    missing = [key for key in ('keypoint_info', 'skeleton_info') if key not in metainfo]
    if missing:
        raise ValueError(
            f'metainfo lacks {missing} (it has {sorted(metainfo)}): give dict(from_file=...), or '
            "the dict 'dataset_info' of such a file"
        )
    joints, links = metainfo['keypoint_info'], metainfo['skeleton_info'].values()
    ids = {joint['name']: key for key, joint in joints.items()}
    try:
        return {
            'keypoint_id2name': {key: joint['name'] for key, joint in joints.items()},
            # A joint without an opposite has '' there, or nothing.
            'flip_indices': [ids[j.get('swap') or j['name']] for j in joints.values()],
            'skeleton_links': [tuple(ids[name] for name in link['link']) for link in links],
            **{k: np.array(metainfo[k], np.float32) for k in ('sigmas',) if k in metainfo},
        }
    except KeyError as error:
        raise ValueError(
            f'metainfo names a joint {error} in swap or link, but has {sorted(ids)}: correct it'
        ) from error


def _file_metainfo(path: str) -> Mapping[str, Any]:
    file, mmpose = Path(path), find_spec('mmpose')
    if not file.is_file() and mmpose is not None:
        (package,) = mmpose.submodule_search_locations or ('',)
        file = Path(package, '.mim', 'configs', '_base_', 'datasets', file.name)
    if not file.is_file():
        there = 'MMPose has none of its name' if mmpose else 'MMPose, which may have it, is missing'
        raise FileNotFoundError(
            f'the metainfo config file {path!r} does not exist, and {there}: correct the path, or '
            'give the dict in such a file'
        )
    content = Config.fromfile(file)
    if 'dataset_info' not in content:
        raise ValueError(f"the metainfo config file {str(file)!r} defines no 'dataset_info'")
    found: Mapping[str, Any] = content['dataset_info']
    return found
