"""Ids, categories and image entries of a COCO keypoint file."""

import math
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple, TypeGuard

_LONGEST = 1 << 31


class Problem(NamedTuple):
    """Something wrong in a COCO keypoint file.

    Attributes:
        rule: What was broken, one of a few words to count by.
        where: The entry, e.g. ``annotation 17``.
        what: What is wrong with it.
        is_error: Whether the file is invalid by it; else readers take it, and it is told only.
    """

    rule: str
    where: str
    what: str
    is_error: bool = True

    def __str__(self) -> str:
        return f'{self.where}: {self.what}'


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether a json value is a whole number; ``true`` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a json value is a number; ``true`` is none, but NaN and infinities are."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def finite_numbers(value: Any) -> list[float] | None:
    """The numbers of a list; None if it is no list, or holds anything else."""
    if not isinstance(value, list) or not all(map(is_number, value)):
        return None
    try:
        numbers = [float(v) for v in value]
    except OverflowError:
        # A whole number of more digits than any float has.
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def known_ids(entries: Sequence[Any]) -> set[int]:
    """The valid ids of a list of entries."""
    ids = (entry.get('id') for entry in entries if isinstance(entry, dict))
    return {value for value in ids if is_integer(value)}


def is_listed(value: Any, known: Container[int]) -> bool:
    """Whether a json value is one of the known ids."""
    return is_integer(value) and value in known


def entry_name(kind: str, entry: dict[str, Any]) -> str:
    """How findings name an entry, e.g. ``image 3 (a.jpg)``."""
    file_name = f' ({entry["file_name"]!r})' if 'file_name' in entry else ''
    return f'{kind} {entry.get("id")!r}{file_name}'


def stated_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height of an image entry; None if they are no sizes."""
    width, height = image.get('width'), image.get('height')
    if is_integer(width) and is_integer(height) and min(width, height) > 0:
        # No image file has a larger one.
        return (width, height) if max(width, height) < _LONGEST else None
    return None


def check_ids(entries: Sequence[Any], name: str) -> Iterator[Problem]:
    """Every entry of the list ``name`` is an object with an id of its own."""
    seen: Counter[int] = Counter()
    for place, entry in enumerate(entries):
        where = f'{name}[{place}]'
        if not isinstance(entry, dict):
            yield Problem('entry', where, f'is a {type(entry).__name__}, not an object')
        elif 'id' not in entry:
            yield Problem('entry', where, 'has no id')
        elif not is_integer(entry['id']):
            yield Problem('id', where, f'has the id {entry["id"]!r}, not a whole number')
        else:
            seen[entry['id']] += 1
    for value, count in seen.items():
        if count > 1:
            yield Problem('id', name, f'the id {value} is there {count} times')


def check_categories(categories: Sequence[Any]) -> Iterator[Problem]:
    """Joints have names of their own; the skeleton connects them, counted from 1."""
    for category in categories:
        if not isinstance(category, dict) or not category.get('keypoints'):
            continue
        where, names = entry_name('category', category), category['keypoints']
        if not isinstance(names, list) or not all(isinstance(n, str) and n for n in names):
            yield Problem('category', where, f'its keypoints are no list of names: {names!r}')
            continue
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            yield Problem('category', where, f'joints of the same name: {twice}')
        yield from check_limbs(category.get('skeleton', []), len(names), where)


def check_limbs(skeleton: Any, num_joints: int, where: str) -> Iterator[Problem]:
    """Limbs are pairs of different joints, counted from 1."""
    if not isinstance(skeleton, list):
        yield Problem('skeleton', where, f'its skeleton is a {type(skeleton).__name__}, not a list')
        return
    for limb in skeleton:
        pair = isinstance(limb, list) and len(limb) == 2 and all(map(is_integer, limb))
        if not pair:
            yield Problem('skeleton', where, f'the limb {limb!r} is no pair of joint numbers')
        elif not all(1 <= joint <= num_joints for joint in limb):
            what = f'the limb {limb} is outside of 1 to {num_joints} (joints are counted from 1)'
            yield Problem('skeleton', where, what)
        elif limb[0] == limb[1]:
            yield Problem('skeleton', where, f'the limb {limb} connects a joint with itself')


def check_images(images: Sequence[Any], licenses: Sequence[Any]) -> Iterator[Problem]:
    """Images have a size, a file name that stays in the folder, and a licence that is listed."""
    known = known_ids(licenses)
    for image in images:
        if not isinstance(image, dict):
            continue
        where = entry_name('image', image)
        if stated_size(image) is None:
            size = [image.get('width'), image.get('height')]
            yield Problem('image-size', where, f'width and height are {size}, not pixels')
        problem = name_problem(image.get('file_name'))
        if problem is not None:
            yield Problem('file-name', where, problem)
        if 'license' in image and not is_listed(image['license'], known):
            yield Problem('reference', where, f'the license {image["license"]!r} is not listed')


def name_problem(name: Any) -> str | None:
    """Why a file name cannot be used within an image folder; None if it can."""
    if not isinstance(name, str) or not name or '\0' in name:
        return f'the file name is {name!r}'
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or '..' in parts:
        return 'the file name leads out of the image folder'
    return None
