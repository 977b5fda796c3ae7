"""Choosing categories of a COCO file: by name or id, everywhere alike."""

from collections.abc import Mapping, Sequence
from typing import Any


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
