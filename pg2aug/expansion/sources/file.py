"""A COCO keypoint file to expand: its outline and its categories, which all entries rest on."""

import logging
from collections.abc import Mapping
from typing import Any

from mmengine import fileio
from mmengine.logging import print_log

from pg2aug.poses import Skeleton, check_same_joints
from pg2aug.poses.read.categories import CHOOSE, describe_categories, keypoint_categories
from pg2aug.poses.read.keypoint_file import as_read
from pg2aug.utils.files import load_json
from pg2aug.validation.coco import check_outline
from pg2aug.validation.entries import check_categories, check_ids, check_limbs, is_integer

_EXAMPLES = 3


def read_source_file(
    path: str, skeleton: Skeleton, ignore_joint_names: bool, chosen: str | None = None
) -> tuple[Mapping[str, Any], set[int]]:
    """Read a COCO keypoint file as far as all of its entries rest on it.

    Args:
        path: The json file, on any file backend of MMEngine.
        skeleton: Skeleton of the generator.
        ignore_joint_names: Take the file's joints to be the generator's, whatever their names; they
            get its names and limbs. So are those of a file without categories, as MMPose takes
            them; a warning tells.
        chosen: Name or id of the category of the persons; those of the generator's joints if None.

    Returns:
        The content, whose lists and categories are valid, and the ids of the categories whose
        persons have the generator's joints. Limbs that cannot be used, as in the files of
        CrowdPose and ExLPose, are replaced by the generator's.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no COCO keypoint file, its categories are broken, or its joints are not
            the generator's.
    """
    content = _with_categories(as_read(_load(path), path), skeleton, path)
    if content.get('licenses', ()) is None:
        content = {**content, 'licenses': []}
    content = _with_joints(content, skeleton, ignore_joint_names)
    _check_outline(content, path)
    return content, _posed_categories(content, path, skeleton, ignore_joint_names, chosen)


def _load(path: str) -> Mapping[str, Any]:
    if not fileio.isfile(path):
        raise FileNotFoundError(f'annotation file {path!r} does not exist')
    content = load_json(path)
    if not isinstance(content, Mapping):
        raise ValueError(f'{path} is no COCO keypoint file: it holds a {type(content).__name__}')
    return content


def _check_outline(content: Mapping[str, Any], path: str) -> None:
    """Raise ValueError where the lists or the categories are broken, which all entries rest on."""
    wrong = list(check_outline(content))
    if not wrong:
        categories = content['categories']
        wrong = [*check_ids(categories, 'categories'), *check_categories(categories)]
    if wrong:
        named = '; '.join(map(str, wrong[:_EXAMPLES]))
        more = f' and {len(wrong) - _EXAMPLES} more' if len(wrong) > _EXAMPLES else ''
        raise ValueError(f'{path} is no COCO keypoint file that can be used: {named}{more}')


def _with_categories(
    content: Mapping[str, Any], skeleton: Skeleton, path: str
) -> Mapping[str, Any]:
    """The file with the generator's joints where it names none at all, as MMPose takes it."""
    categories, annotations = content.get('categories'), content.get('annotations')
    if categories or not isinstance(annotations, list) or isinstance(categories, dict):
        return content
    found = (a.get('category_id') for a in annotations if isinstance(a, dict))
    ids = {number for number in found if is_integer(number)} or {1}
    print_log(
        f'{path} has no categories: its joints are taken to be those of the generator, '
        f'{", ".join(skeleton.keypoint_names)}',
        logger='current',
        level=logging.WARNING,
    )
    person = {
        'name': 'person',
        'supercategory': 'person',
        'keypoints': list(skeleton.keypoint_names),
        'skeleton': [[a + 1, b + 1] for a, b in skeleton.limbs],
    }
    return {**content, 'categories': [{'id': number, **person} for number in sorted(ids)]}


def _with_joints(
    content: Mapping[str, Any], skeleton: Skeleton, ignore_joint_names: bool
) -> Mapping[str, Any]:
    """The file with limbs that can be used and, on demand, the generator's names of the joints."""
    categories = content.get('categories')
    if not isinstance(categories, list) or not all(isinstance(c, dict) for c in categories):
        return content
    joints: dict[str, list[Any]] = {
        'keypoints': list(skeleton.keypoint_names),
        'skeleton': [[a + 1, b + 1] for a, b in skeleton.limbs],
    }
    if ignore_joint_names and not any(category.get('keypoints') for category in categories):
        completed = [{**category, **joints} for category in categories]
    else:
        completed = [_completed(category, joints, ignore_joint_names) for category in categories]
    return {**content, 'categories': completed}


def _completed(
    category: dict[str, Any], joints: dict[str, list[Any]], ignore_joint_names: bool
) -> dict[str, Any]:
    names, limbs = category.get('keypoints'), category.get('skeleton')
    if not isinstance(names, list) or not names:
        return category
    same_number = len(names) == len(joints['keypoints'])
    if same_number and ignore_joint_names:
        return {**category, **joints}
    if limbs and not any(check_limbs(limbs, len(names), '')):
        return category
    return {**category, 'skeleton': joints['skeleton'] if same_number else []}


def _posed_categories(
    content: Mapping[str, Any],
    path: str,
    skeleton: Skeleton,
    ignore_joint_names: bool,
    chosen: str | None,
) -> set[int]:
    """Ids of the categories whose persons have the generator's joints."""
    categories = content['categories']
    if ignore_joint_names and chosen is None:
        return {category['id'] for category in categories}
    meant = keypoint_categories(categories, path, skeleton.keypoint_names, chosen)
    if ignore_joint_names:
        return {category['id'] for category in meant}
    advice = (
        'if they are the same joints in the same order, only named otherwise, pass '
        '--ignore-joint-names; else give a generator trained with these joints'
    )
    named = [category for category in meant if category.get('keypoints')]
    if len(meant) < len(categories):
        advice += f'; of the categories {describe_categories(categories)}, {CHOOSE}'
    for category in named:
        context = f'{path}, compared with the generator,'
        check_same_joints(skeleton, category['keypoints'], context, advice)
    return {category['id'] for category in named}
