"""Answers of the report's page, and the annotation file without what they reject."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pg2aug.expansion.report.page import data_set_id
from pg2aug.expansion.report.stream import iter_entries
from pg2aug.utils.files import load_json, replacing
from pg2aug.validation.entries import is_integer

FORMAT = 'pg2aug review 1'
REVIEWED_FILE = 'person_keypoints_reviewed.json'
_VERDICTS = ('accept', 'reject', None)
_LISTS = ('licenses', 'images', 'annotations', 'categories')
_IMAGE_OF = {'images': 'id', 'annotations': 'image_id'}
_EXAMPLES = 5


@dataclass(frozen=True)
class Answer:
    """What was said of one synthesised person.

    Attributes:
        verdict: 'accept', 'reject', or None where there is a comment alone.
        comment: May be empty.
    """

    verdict: str | None
    comment: str


@dataclass(frozen=True)
class ReviewSummary:
    """What a review did to a data set.

    Attributes:
        path: The new annotation file.
        accepted: Persons accepted.
        rejected: Persons rejected.
        not_reviewed: Persons without a verdict, who are kept.
        images: Images kept.
        images_removed: Images left out.
    """

    path: Path
    accepted: int
    rejected: int
    not_reviewed: int
    images: int
    images_removed: int


def read_review(path: str | Path, data_set: str) -> dict[int, Answer]:
    """Read what the report's page exports.

    Args:
        path: The json file.
        data_set: Id of the data set that it has to be of, see
            :func:`pg2aug.expansion.report.page.data_set_id`.

    Returns:
        Answers by annotation id.

    Raises:
        ValueError: If it is malformed, or of another data set; the message begins with the path.
        OSError: If it cannot be read.
    """
    try:
        content = load_json(path, 'it')
        if not isinstance(content, dict) or content.get('format') != FORMAT:
            raise ValueError(f'no review that the report exports (no {FORMAT!r} in it)')
        if content['data_set'] != data_set:
            raise ValueError(
                f'a review of data set {content["data_set"]}, but this one is {data_set}: it was '
                'made anew, or the folder is another one'
            )
        answers: dict[int, Answer] = {}
        if not isinstance(content['reviews'], list):
            raise ValueError(f"'reviews' is no list but a {type(content['reviews']).__name__}")
        for entry in content['reviews']:
            number, answer = _parse(entry)
            if number in answers:
                raise ValueError(f'annotation {number} is there twice')
            answers[number] = answer
    except KeyError as error:
        raise ValueError(f'{path}: has no {error}') from error
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return answers


def _parse(entry: Any) -> tuple[int, Answer]:
    if not isinstance(entry, dict):
        raise ValueError(f'a review is no object but a {type(entry).__name__}')
    number, verdict, comment = (entry[key] for key in ('annotation_id', 'verdict', 'comment'))
    if not is_integer(number) or verdict not in _VERDICTS or not isinstance(comment, str):
        raise ValueError(
            "every review has an 'annotation_id', a 'verdict' (accept, reject or null) and a "
            f"'comment', got {entry}"
        )
    return number, Answer(verdict, comment)


def apply_review(annotations: str | Path, review: str | Path, target: str | Path) -> ReviewSummary:
    """Write the annotation file of an expansion again, without what was rejected.

    Where a synthesised person is rejected, the image goes with everyone in it: a person with a
    wrong label or none would still be seen. Who was not reviewed is kept. The image files stay. A
    kept person's ``pg2aug`` tells the answer under ``review``, the file's ``info`` the numbers.

    Args:
        annotations: COCO file of the expansion.
        review: What the report's page exported.
        target: File to write, whole or not at all.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If the review is malformed, of another data set, names persons that are not in
            it, or rejects everything.
    """
    annotations, target = Path(annotations), Path(target)
    if not annotations.is_file():
        raise FileNotFoundError(f'{annotations} does not exist: name the folder of an expansion')
    answers = read_review(review, data_set_id(annotations))
    removed: set[int] = set()
    made = images = 0
    unknown = set(answers)
    for key, entry in iter_entries(annotations):
        images += key == 'images'
        if key != 'annotations' or 'pg2aug' not in entry:
            continue
        made += 1
        unknown.discard(entry['id'])
        if entry['id'] in answers and answers[entry['id']].verdict == 'reject':
            removed.add(entry['image_id'])
    if unknown:
        named = ', '.join(map(str, sorted(unknown)[:_EXAMPLES]))
        more = ' and others' if len(unknown) > _EXAMPLES else ''
        raise ValueError(
            f'{review}: no synthesised person has the annotation id {named}{more}: was it changed?'
        )
    if len(removed) == images:
        raise ValueError(f'{review}: every image is rejected, nothing would remain')
    verdicts = [answer.verdict for answer in answers.values()]
    accepted, rejected = verdicts.count('accept'), verdicts.count('reject')
    summary = ReviewSummary(
        target, accepted, rejected, made - accepted - rejected, images - len(removed), len(removed)
    )
    _write(target, _reviewed(annotations, answers, removed, summary))
    return summary


def _reviewed(
    path: Path, answers: Mapping[int, Answer], removed: set[int], summary: ReviewSummary
) -> Iterator[tuple[str, Any]]:
    names = ('accepted', 'rejected', 'not_reviewed')
    for key, entry in iter_entries(path):
        if key == 'info':
            yield key, {**entry, 'review': {name: getattr(summary, name) for name in names}}
        elif key == 'annotations' and entry['id'] in answers:
            answer = answers[entry['id']]
            said = {'verdict': answer.verdict, 'comment': answer.comment}
            if entry['image_id'] not in removed:
                yield key, {**entry, 'pg2aug': {**entry['pg2aug'], 'review': said}}
        elif _IMAGE_OF.get(key) is None or entry[_IMAGE_OF[key]] not in removed:
            yield key, entry


def _write(target: Path, entries: Iterable[tuple[str, Any]]) -> None:
    """Write a COCO file entry by entry, for it may be larger than memory."""
    with replacing(target) as file:
        file.writelines(text.encode() for text in _encoded(entries))


def _encoded(entries: Iterable[tuple[str, Any]]) -> Iterator[str]:
    before, absent = '{', [*_LISTS]
    for key, group in groupby(entries, key=lambda item: item[0]):
        yield f'{before}{json.dumps(key)}: '
        if key in _LISTS:
            absent.remove(key)
            for place, (_, entry) in enumerate(group):
                yield f'{"[" if place == 0 else ", "}{json.dumps(entry)}'
            yield ']'
        else:
            yield json.dumps(next(group)[1])
        before = ', '
    # Those that are empty have no entries to come from.
    yield ''.join(f', {json.dumps(key)}: []' for key in absent) + '}'
