"""Choosing categories of a COCO file: by name or id, everywhere alike."""

from collections.abc import Mapping, Sequence
from typing import Any

from pg2aug.poses.skeleton import joint_key

CHOOSE = 'choose one by its name or its id: --category of pg2aug bank, split and expand'
"""What to do where a file has categories of different joints."""


def chosen_categories(
    categories: Sequence[Mapping[str, Any]], chosen: str, path: str
) -> list[Mapping[str, Any]]:
    """The categories of a name or an id; several may have the same name.

    Args:
        categories: Of the file.
        chosen: A name, or an id as text; a name goes first.
        path: Names the file in errors.

    Raises:
        ValueError: If there is none; lists those that are there.
    """
    for key in ('name', 'id'):
        found = [category for category in categories if str(category.get(key)) == chosen]
        if found:
            return found
    raise ValueError(f'{path} has no category {chosen!r}: it has {describe_categories(categories)}')


def describe_categories(categories: Sequence[Mapping[str, Any]]) -> str:
    """Categories by id and name, with their number of joints, in words."""
    words = []
    for category in categories:
        joints = len(category.get('keypoints') or ())
        words.append(f'{category.get("id")} {category.get("name")!r} ({joints} joints)')
    return ', '.join(words) or 'none'


def keypoint_categories(
    categories: Sequence[Mapping[str, Any]],
    path: str,
    names: Sequence[str] | None = None,
    chosen: str | None = None,
) -> list[Mapping[str, Any]]:
    """The categories whose people are meant; all of the same joints, where these are named.

    Args:
        categories: Of the file.
        path: Names the file in errors.
        names: The joints that are wanted, whatever the file calls them, as MMPose's data sets take
            them: categories of as many joints are meant, or without any all that name joints.
        chosen: Name or id of the category that is wanted.

    Raises:
        ValueError: If there is no such category; or, where neither is given, if there are several
            of different joints.
    """
    if chosen is not None:
        return chosen_categories(categories, chosen, path)
    posed = [category for category in categories if category.get('keypoints')]
    if names is not None:
        as_many = [category for category in posed if len(category['keypoints']) == len(names)]
        return as_many or posed or list(categories)
    different = {tuple(joint_key(str(name)) for name in c['keypoints']) for c in posed}
    if len(different) > 1:
        raise ValueError(
            f'{path} has categories of different joints: {describe_categories(posed)}; {CHOOSE}'
        )
    return posed or list(categories)
