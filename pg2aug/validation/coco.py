"""Is a COCO keypoint file what its readers take it for? All that is wrong, not the first alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pg2aug.utils.files import load_json
from pg2aug.utils.images import MAX_PIXELS
from pg2aug.validation.annotations import MARGIN_PX, check_annotated_twice, check_annotations
from pg2aug.validation.entries import Problem, check_categories, check_ids, check_images
from pg2aug.validation.files import check_files

_LISTS = ('images', 'annotations', 'categories')


def validate_coco(
    ann_file: str | Path,
    image_root: str | Path | None = None,
    *,
    margin_px: float = MARGIN_PX,
    max_pixels: int = MAX_PIXELS,
    follow_links: bool = False,
    workers: int = 4,
) -> Iterator[Problem]:
    """Check a COCO keypoint file, and the images that it names.

    What is checked: entries and their ids, which are unique and refer to what is there; joints and
    skeleton of the categories, the latter's numbers from 1; keypoints (three numbers a joint, flags
    0, 1 or 2, labelled joints finite and in the image), ``num_keypoints``, boxes and areas;
    file names within the folder, and files that decode to the stated size. People who are annotated
    twice are told, but are no error.

    Args:
        ann_file: The json file; it is held in memory.
        image_root: Folder that its file names start from; None to look at no image.
        margin_px: Pixels by which boxes and labelled joints may stand out of their image.
        max_pixels: Images that say they are larger are not decoded, and are a finding.
        follow_links: Accept images that are symbolic links to outside of ``image_root``.
        workers: Images decoded at once.

    Yields:
        What is wrong, first in the file and then in the images; nothing if all is well.

    Raises:
        FileNotFoundError: If the file or the folder does not exist.
        ValueError: If a setting is out of range.
    """
    if margin_px < 0 or max_pixels < 1 or workers < 1:
        raise ValueError(
            f'margin_px must be at least 0, max_pixels and workers at least 1, got {margin_px}, '
            f'{max_pixels} and {workers}'
        )
    root = None if image_root is None else Path(image_root)
    if root is not None and not root.is_dir():
        raise FileNotFoundError(f'image folder {str(root)!r} does not exist')
    # Not a generator itself, so that these errors come at once.
    try:
        content = load_json(ann_file)
    except ValueError as error:
        return iter([Problem('file', 'the file', str(error))])
    return _check(content, root, margin_px, max_pixels, follow_links, workers)


def _check(
    content: Any,
    root: Path | None,
    margin_px: float,
    max_pixels: int,
    follow_links: bool,
    workers: int,
) -> Iterator[Problem]:
    wrong = list(check_outline(content))
    yield from wrong
    if wrong:
        return
    for name in _LISTS:
        yield from check_ids(content[name], name)
    yield from check_categories(content['categories'])
    yield from check_images(content['images'], content.get('licenses') or [])
    yield from check_annotations(content, margin_px)
    yield from check_annotated_twice(content)
    if root is not None:
        yield from check_files(content['images'], root, max_pixels, follow_links, workers)


def check_outline(content: Any) -> Iterator[Problem]:
    """The file is an object with the lists that a COCO keypoint file has, and names joints."""
    if not isinstance(content, Mapping):
        yield Problem('file', 'the file', f'holds a {type(content).__name__}, not an object')
        return
    for name in (*_LISTS, 'licenses'):
        if name in content and not isinstance(content[name], list):
            yield Problem('file', name, f'is a {type(content[name]).__name__}, not a list')
        elif name not in content and name in _LISTS:
            yield Problem('file', 'the file', f'has no {name!r}')
    if isinstance(content.get('categories'), list) and not any(
        isinstance(c, Mapping) and c.get('keypoints') for c in content['categories']
    ):
        yield Problem('file', 'categories', 'none names its joints (keypoints)')
