"""Reading poses from COCO keypoint files."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mmengine
import numpy as np

from pg2aug.poses.scale import Array, Mask
from pg2aug.poses.skeleton import Skeleton, check_same_joints


def read_coco_poses(
    paths: Sequence[str | Path],
    *,
    min_visible: int | None = None,
    skeleton: Skeleton | None = None,
) -> tuple[Array, Mask, Skeleton, dict[str, int]]:
    """Read the poses of one or several COCO keypoint files, images not needed.

    Left out and counted: crowds, annotations without keypoints or of a category without joints, and
    poses with fewer than ``min_visible`` labelled joints (visibility flag 1 or 2).

    Args:
        paths: The json files; all with the same joints.
        min_visible: Fewest labelled joints; half of K, rounded up, if None.
        skeleton: Stands for the categories' joint names and links, which are then not read: for
            files that name their joints differently or have no links. K must agree.

    Returns:
        Keypoints ``(N, K, 2)`` float32 in pixels of their images, 0 where unlabelled; visible
        ``(N, K)`` bool; the skeleton; and the counts ``read``, ``crowd``, ``no keypoints``,
        ``few joints``.

    Raises:
        ValueError: If a file is no COCO keypoint file, files differ in their joints, an annotation
            does not have K triplets, or no pose is left.
    """
    if not paths:
        raise ValueError('no annotation file given')
    files = {str(path): _load(str(path)) for path in paths}
    skeleton = skeleton or _common_skeleton(files)
    least = (skeleton.num_keypoints + 1) // 2 if min_visible is None else min_visible
    counts = Counter({'read': 0, 'crowd': 0, 'no keypoints': 0, 'few joints': 0})
    poses = []
    for path, data in files.items():
        posed = {category['id'] for category in _keypoint_categories(data)}
        for annotation in data['annotations']:
            pose = _read_pose(annotation, posed, skeleton.num_keypoints, path)
            fate = _fate(annotation, pose, least)
            counts.update({'read', fate})
            if pose is not None and fate == 'used':
                poses.append(pose)
    if not poses:
        raise ValueError(
            f'no pose with at least {least} labelled joints in {list(files)}: {dict(counts)}'
        )
    del counts['used']
    stacked = np.stack(poses)
    visible = stacked[..., 2] > 0
    keypoints = np.where(visible[..., None], stacked[..., :2], 0).astype(np.float32)
    return keypoints, visible, skeleton, dict(counts)


def _load(path: str) -> Mapping[str, Any]:
    try:
        data = mmengine.load(path, file_format='json')
    except ValueError as error:
        raise ValueError(f'{path} is no json file: {error}') from error
    if not isinstance(data, Mapping) or not {'annotations', 'categories'} <= data.keys():
        kind = sorted(data) if isinstance(data, Mapping) else type(data).__name__
        raise ValueError(
            f"{path} is no COCO keypoint file: it needs 'annotations' and 'categories', got {kind}"
        )
    return data


def _keypoint_categories(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    # Under an explicit skeleton, a file may have a category that does not name its joints.
    categories = data['categories']
    return [c for c in categories if c.get('keypoints')] or list(categories)


def _common_skeleton(files: Mapping[str, Mapping[str, Any]]) -> Skeleton:
    found = [
        (Skeleton.from_coco_category(category), path)
        for path, data in files.items()
        for category in _keypoint_categories(data)
    ]
    if not found:
        raise ValueError(f'no category in {list(files)}')
    first, origin = found[0]
    for other, path in found[1:]:
        check_same_joints(first, other, f'{path}, compared with {origin},')
    return first


def _read_pose(
    annotation: Mapping[str, Any], posed: set[Any], num_keypoints: int, path: str
) -> Array | None:
    values = annotation.get('keypoints')
    if not values or annotation.get('category_id') not in posed:
        return None
    if len(values) != 3 * num_keypoints:
        raise ValueError(
            f'annotation {annotation.get("id")} of {path} has {len(values)} keypoint values; '
            f'{num_keypoints} joints need {3 * num_keypoints}'
        )
    return np.array(values, dtype=np.float64).reshape(num_keypoints, 3)


def _fate(annotation: Mapping[str, Any], pose: Array | None, min_visible: int) -> str:
    if pose is None:
        return 'no keypoints'
    if annotation.get('iscrowd'):
        return 'crowd'
    return 'used' if (pose[:, 2] > 0).sum() >= max(min_visible, 1) else 'few joints'
