"""Files of answers that the page of the user study writes."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pg2aug.evaluation.user_study import Protocol, study_id
from pg2aug.evaluation.user_study_images import KINDS, Kind
from pg2aug.utils.files import load_json

FORMAT = 'pg2aug user study answers 1'
EXPOSURE_TOLERANCE = 0.25
"""Images shown for a time that differs by more than this share of it do not count."""


@dataclass(frozen=True)
class Trial:
    """One image, ``exposure_ms`` None where closing the page cut its showing short."""

    image: str
    kind: Kind
    practice: bool
    answer: Kind
    exposure_ms: float | None
    response_ms: float | None


@dataclass(frozen=True)
class Answers:
    """What one rater answered, in the order of showing."""

    file: Path
    study_id: str
    rater: str
    protocol: Protocol
    trials: tuple[Trial, ...]

    def counted(self) -> list[Trial]:
        """The trials that are not practice and whose exposure was as the protocol says."""
        nominal = self.protocol.exposure_ms
        return [
            trial
            for trial in self.trials
            if not trial.practice
            and trial.exposure_ms is not None
            and abs(trial.exposure_ms - nominal) <= EXPOSURE_TOLERANCE * nominal
        ]


def read_answers(path: Path) -> Answers:
    """Read a file that the page has written.

    Raises:
        ValueError: If it is malformed, incomplete or changed; the message begins with the path.
        OSError: If it cannot be read.
    """
    try:
        content = load_json(path, 'it')
        if not isinstance(content, dict) or content.get('format') != FORMAT:
            raise ValueError(f'no answers of a user study (no {FORMAT!r} in it)')
        return _parse(path, content)
    except KeyError as error:
        raise ValueError(f'{path}: has no {error}') from error
    except (ValueError, TypeError) as error:
        raise ValueError(f'{path}: {error}') from error


def read_study_id(key_file: Path) -> str:
    """The id of the study whose ``key.json`` this is.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is something else.
        OSError: If it cannot be read.
    """
    if not key_file.is_file():
        raise FileNotFoundError(
            f'{key_file} does not exist: name the folder that the study was written to, which '
            f'holds {key_file.name}'
        )
    try:
        return str(load_json(key_file)['study_id'])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{key_file} is not the key of a user study: {error!r}') from error


def _parse(path: Path, content: dict[str, Any]) -> Answers:
    rater = content['rater']
    if not isinstance(rater, str) or not rater:
        raise ValueError(f"'rater' must be a name, got {rater!r}")
    for name, kind, what in (('protocol', dict, 'an object'), ('trials', list, 'a list')):
        if not isinstance(content[name], kind):
            raise ValueError(f'{name!r} must be {what}, got {content[name]!r}')
    protocol = Protocol(**content['protocol'])
    trials = tuple(_parse_trial(number, trial) for number, trial in enumerate(content['trials'], 1))
    kinds = {trial.image: trial.kind for trial in trials}
    total = 2 * protocol.num_images
    if len(kinds) != len(trials):
        raise ValueError('an image was answered twice: the file was changed')
    if len(trials) < total:
        raise ValueError(f'incomplete: {len(trials)} of {total} images are answered')
    if study_id(kinds, protocol) != content['study_id']:
        raise ValueError(
            f'its images or protocol are not those of study {content["study_id"]}: '
            'the file was changed'
        )
    for number, trial in enumerate(trials, 1):
        if trial.practice != (number <= protocol.num_practice):
            raise ValueError(f"trial {number}: 'practice' is {trial.practice}, which is wrong")
    return Answers(path, content['study_id'], rater, protocol, trials)


def _parse_trial(number: int, content: dict[str, Any]) -> Trial:
    try:
        trial = Trial(**content)
    except TypeError as error:
        raise ValueError(f'trial {number} is malformed: {error}') from error
    for name in ('kind', 'answer'):
        if getattr(trial, name) not in KINDS:
            raise ValueError(
                f"trial {number}: {name!r} must be 'real' or 'generated', "
                f'got {getattr(trial, name)!r}'
            )
    for name in ('exposure_ms', 'response_ms'):
        value = getattr(trial, name)
        if value is not None and not _is_duration(value):
            raise ValueError(
                f'trial {number}: {name!r} must be a time in ms or null, got {value!r}'
            )
    if not isinstance(trial.practice, bool) or not isinstance(trial.image, str):
        raise ValueError(f"trial {number}: 'practice' must be true or false, 'image' a text")
    return trial


def _is_duration(value: object) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= 0  # type: ignore[arg-type,operator]
