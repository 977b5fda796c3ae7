"""Reading poses from COCO keypoint files."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pg2aug.poses.read.categories import keypoint_categories
from pg2aug.poses.read.keypoint_file import as_read, flat_values
from pg2aug.poses.scale import Array, Flags
from pg2aug.poses.skeleton import Skeleton, check_same_joints
from pg2aug.utils.files import load_json

NAME_THE_JOINTS = (
    "name joints and limbs by an MMPose data set config, as 'PATH::METAINFO' for "
    "pg2aug bank or pg2aug split, such as 'train.json::configs/_base_/datasets/coco.py'"
)
"""What to do where those of a file's category cannot be used."""

BUILD_A_BANK = f'to build a bank of these joints, {NAME_THE_JOINTS}'

WHOLE_BODY_PARTS = 'foot_kpts', 'face_kpts', 'lefthand_kpts', 'righthand_kpts'


def read_coco_poses(
    paths: Sequence[str | Path],
    *,
    min_visible: int | None = None,
    skeleton: Skeleton | None = None,
    category: str | None = None,
) -> tuple[Array, Flags, Skeleton, dict[str, int]]:
    """Read the poses of one or several COCO keypoint files, images not needed.

    Left out and counted: crowds, annotations without keypoints or of a category without joints, and
    poses with fewer than ``min_visible`` labelled joints (visibility flag 1 or 2).

    Args:
        paths: The json files; all with the same joints.
        min_visible: Fewest labelled joints; half of K, rounded up, if None.
        skeleton: Stands for the categories' joint names and links, which are then not read: for
            files that name their joints differently or have no links. K must agree.
        category: Name or id of the category to read. By default those of the skeleton's joints are
            read, and without a skeleton all, which then must have the same joints.

    Returns:
        Keypoints ``(N, K, 2)`` float32 in pixels of their images, 0 where unlabelled; COCO's flags
        ``(N, K)`` uint8; the skeleton; and the counts ``read``, ``crowd``, ``no keypoints``,
        ``few joints``.

    Raises:
        ValueError: If a file is no COCO keypoint file, files differ in their joints, an annotation
            does not have K triplets, or no pose is left.
    """
    if not paths:
        raise ValueError('no annotation file given')
    files = {str(path): _load(str(path), skeleton is None) for path in paths}
    names = None if skeleton is None else skeleton.keypoint_names
    meant = {path: _categories(data, path, names, category) for path, data in files.items()}
    skeleton = skeleton or _common_skeleton(meant)
    count = skeleton.num_keypoints
    read = [_read_file(data, path, count, meant[path]) for path, data in files.items()]
    triplets = np.concatenate([part for part, _ in read])
    counts: Counter[str] = Counter()
    for _, part in read:
        counts.update(part)  # a sum of counters would lose what counts 0
    keypoints, flags = split_triplets(triplets)
    least = least_visible(skeleton.num_keypoints, min_visible)
    used = (flags > 0).sum(axis=1) >= least
    counts['few joints'] = int((~used).sum())
    if not used.any():
        raise ValueError(
            f'no pose with at least {least} labelled joints in {list(files)}: {dict(counts)}'
        )
    return keypoints[used], flags[used], skeleton, dict(counts)


def read_coco_triplets(
    path: str | Path, names: Sequence[str] | None = None, category: str | None = None
) -> tuple[Array, Mapping[str, Any], dict[str, int]]:
    """Read all poses of one COCO keypoint file with the category that names their joints.

    Neither images nor boxes are needed, nor links between the joints; with ``names`` no categories
    either, and MPII's list of ``joints`` and ``joints_vis`` will do. Crowds, and annotations
    without keypoints, are left out and counted.

    Args:
        path: The json file.
        names: The joints, whatever the file calls them; those of the categories if None.
        category: Name or id of the category to read, as in :func:`read_coco_poses`.

    Returns:
        ``(N, K, 3)`` float64 of x, y in pixels and flag, N may be 0; a COCO category, whose
        ``keypoints`` are the K names; and the counts ``read``, ``crowd``, ``no keypoints``.

    Raises:
        ValueError: If the file is no COCO keypoint file, names no joints and ``names`` is None, its
            categories differ in their joints, or an annotation does not have K triplets.
    """
    data = _load(str(path), names is None)
    meant = _categories(data, str(path), names, category)
    found = {'keypoints': tuple(names)} if names else _one_category(meant, str(path))
    triplets, counts = _read_file(data, str(path), len(found['keypoints']), meant)
    return triplets, found, dict(counts)


def category_skeleton(category: Mapping[str, Any], path: str) -> Skeleton:
    """The skeleton of a COCO category of a file.

    Raises:
        ValueError: If its names or limbs cannot be used, names the file and the way out.
    """
    try:
        return Skeleton.from_coco_category(category)
    except ValueError as error:
        raise ValueError(f'{path}: {error}; {NAME_THE_JOINTS}') from error


def keypoint_values(annotation: Mapping[str, Any], num_keypoints: int) -> Sequence[Any]:
    """x, y and flag of all joints of a COCO annotation; empty where it has none.

    COCO-WholeBody keeps feet, face and hands in lists of their own. They are added where they make
    up the joints that are wanted, in the order of MMPose.

    Args:
        annotation: Of a COCO keypoint file.
        num_keypoints: K. Annotations of another number of joints are returned as they are.
    """
    lists = [annotation.get(name) for name in ('keypoints', *WHOLE_BODY_PARTS)]
    values, *parts = (() if part is None else flat_values(part) for part in lists)
    whole = list(values)
    for part in parts:
        # The third values of hands are scores, which are no flags.
        shown = (2 if value > 0 else 0 for value in part[2::3])
        whole += [v for triplet in zip(part[::3], part[1::3], shown, strict=True) for v in triplet]
    return whole if len(whole) == 3 * num_keypoints else values


def split_triplets(triplets: Array) -> tuple[npt.NDArray[np.float32], Flags]:
    """Split ``(N, K, 3)`` into keypoints, 0 where unlabelled, and flags: 0, 1 (hidden) or 2."""
    values = triplets[..., 2]
    # A score of 1 among scores does not tell that a joint is hidden.
    are_flags = np.isin(values, (0, 1, 2)).all(axis=-1, keepdims=True)
    flags = np.where(values > 0, np.where(are_flags & (values == 1), 1, 2), 0).astype(np.uint8)
    return np.where(flags[..., None] > 0, triplets[..., :2], 0).astype(np.float32), flags


def flagged_hidden(flags: Any) -> Any:
    """Which labelled joints something is in front of: those of COCO's flag 1, not 2.

    Annotation in which no joint of a person has flag 2 has no such flags, and hides nothing.

    Args:
        flags: ``(..., K)`` array or tensor, 0 where unlabelled.

    Returns:
        ``(..., K)`` bool, likewise.
    """
    return (flags == 1) & (flags > 1).any(-1)[..., None]


def least_visible(num_keypoints: int, min_visible: int | None) -> int:
    """Fewest labelled joints of a pose: ``min_visible``, half of K if None, and at least 1."""
    return max(1, (num_keypoints + 1) // 2 if min_visible is None else min_visible)


def _load(path: str, need_categories: bool) -> Mapping[str, Any]:
    data = as_read(load_json(path), path)
    if not need_categories and isinstance(data, list) and data and 'joints' in data[0]:
        data = {'annotations': [_of_mpii(entry) for entry in data]}
    if isinstance(data, list) and data and isinstance(data[0], Mapping) and 'joints' in data[0]:
        raise ValueError(
            f'{path} is a list as MPII has it, which does not name its joints: make a bank of it '
            f'by pg2aug bank {path}::configs/_base_/datasets/mpii.py --out bank.npz'
        )
    needed = {'annotations', 'categories'} if need_categories else {'annotations'}
    if not isinstance(data, Mapping) or not needed <= data.keys():
        kind = sorted(data) if isinstance(data, Mapping) else type(data).__name__
        raise ValueError(
            f"{path} is no COCO keypoint file: it needs 'annotations' and 'categories', got "
            f'{kind}; without categories {NAME_THE_JOINTS}'
        )
    return data


def _of_mpii(entry: Any) -> dict[str, Any]:
    """An entry of MPII's annotation as MMPose distributes it: a bare list, without flags."""
    try:
        triplets = [
            [x, y, 2 if shown else 0]
            for (x, y), shown in zip(entry['joints'], entry['joints_vis'], strict=True)
        ]
    except (KeyError, TypeError, ValueError):
        return {}
    return {'keypoints': [value for triplet in triplets for value in triplet]}


def _categories(
    data: Mapping[str, Any], path: str, names: Sequence[str] | None, chosen: str | None
) -> list[Mapping[str, Any]]:
    # Under explicit names, a file may have a category that does not name its joints, or none.
    return keypoint_categories(data.get('categories') or [], path, names, chosen)


def _one_category(categories: Sequence[Mapping[str, Any]], path: str) -> Mapping[str, Any]:
    lists = {tuple(map(str, category.get('keypoints') or ())) for category in categories}
    if len(lists) != 1 or () in lists:
        raise ValueError(
            f"{path} has {len(lists - {()})} lists of joint names under 'keypoints' of its "
            f'categories, one is needed; {NAME_THE_JOINTS}'
        )
    return categories[0]


def _common_skeleton(meant: Mapping[str, Sequence[Mapping[str, Any]]]) -> Skeleton:
    found = [
        (category_skeleton(category, path), path)
        for path, categories in meant.items()
        for category in categories
    ]
    if not found:
        raise ValueError(f'no category in {list(meant)}; {NAME_THE_JOINTS}')
    first, origin = found[0]
    for other, path in found[1:]:
        check_same_joints(first, other, f'{path}, compared with {origin},')
    return first


def _read_file(
    data: Mapping[str, Any],
    path: str,
    num_keypoints: int,
    meant: Sequence[Mapping[str, Any]],
) -> tuple[Array, Counter[str]]:
    # MMPose takes people of a category that is not listed: the one that is there is meant.
    others = {c.get('id') for c in data.get('categories') or []} - {c.get('id') for c in meant}
    counts = Counter({'read': len(data['annotations']), 'crowd': 0, 'no keypoints': 0})
    poses = []
    for annotation in data['annotations']:
        values = keypoint_values(annotation, num_keypoints)
        if not values or annotation.get('category_id') in others:
            counts['no keypoints'] += 1
        elif len(values) != 3 * num_keypoints:
            raise ValueError(
                f'annotation {annotation.get("id")} of {path} has {len(values)} keypoint values; '
                f'{num_keypoints} joints need {3 * num_keypoints}'
            )
        elif annotation.get('iscrowd'):
            counts['crowd'] += 1
        else:
            poses.append(values)
    return np.array(poses, dtype=np.float64).reshape(-1, num_keypoints, 3), counts
