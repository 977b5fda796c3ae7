"""Score of a user study: R2G, real images rated generated, and G2R, generated rated real."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from pg2aug.evaluation.user_study_answers import EXPOSURE_TOLERANCE, Answers, read_answers
from pg2aug.evaluation.user_study_images import KINDS, Kind
from pg2aug.utils.files import replacing

CONFIDENCE = 0.95

_NAMES: dict[Kind, str] = {'real': 'R2G', 'generated': 'G2R'}


def estimate(wrong: Sequence[int], shown: Sequence[int]) -> dict[str, Any]:
    """Mean of the raters' error rates, with a 95 % confidence interval.

    The interval is Student's t over raters, within [0, 1]. Where raters do not differ, as with a
    single one, it says nothing; then it is Wilson's over all answers.

    Args:
        wrong: Wrong answers of each rater.
        shown: Images that were shown to each rater, greater than 0.

    Returns:
        ``value``, ``low`` and ``high``, from 0 to 1, and ``interval``, the method.
    """
    rates = np.array(wrong) / np.array(shown)
    if np.ptp(rates) > 0:
        interval = stats.ttest_1samp(rates, 0).confidence_interval(CONFIDENCE)
        method = f'{CONFIDENCE:.0%} t interval over {len(rates)} raters'
    else:
        test = stats.binomtest(int(np.sum(wrong)), int(np.sum(shown)))
        interval = test.proportion_ci(CONFIDENCE, method='wilson')
        why = 'one rater' if len(rates) == 1 else f'{len(rates)} raters with the same rate'
        method = f'{CONFIDENCE:.0%} Wilson interval over {np.sum(shown)} answers ({why})'
    low, high = np.clip([interval.low, interval.high], 0, 1).tolist()
    return {'value': float(rates.mean()), 'low': low, 'high': high, 'interval': method}


def score_answers(paths: Iterable[Path], wanted_study: str | None = None) -> dict[str, Any]:
    """Score the answers to one study.

    Args:
        paths: Files of answers; those that cannot be used are left out.
        wanted_study: Leave out the answers to other studies; if None there must be no others.

    Returns:
        ``study_id``, ``protocol``, ``num_raters``, ``R2G`` and ``G2R`` (see :func:`estimate`),
        ``raters`` with the counts of each, and ``left_out`` with a line for each file left out.

    Raises:
        ValueError: If no file can be used, or they belong to several studies.
    """
    answers, left_out = _read_all(paths)
    if wanted_study is not None:
        others = [one for one in answers if one.study_id != wanted_study]
        left_out += [f'{o.file}: of study {o.study_id}, not {wanted_study}' for o in others]
        answers = [one for one in answers if one.study_id == wanted_study]
    _check_one_study(answers)
    answers, twice = _drop_repeated_raters(answers)
    left_out += twice
    raters = [_count(one) for one in answers]
    for one, counts in zip(answers, raters, strict=True):
        if not all(counts[f'{kind}_shown'] for kind in KINDS):
            left_out.append(f'{one.file}: no image of a kind was shown for the right time')
    raters = [counts for counts in raters if all(counts[f'{kind}_shown'] for kind in KINDS)]
    if not raters:
        listed = ''.join(f'\n  {line}' for line in left_out)
        raise ValueError(f'there are no answers to score; left out:{listed or " none"}')
    result: dict[str, Any] = {
        'study_id': answers[0].study_id,
        'protocol': {**asdict(answers[0].protocol), 'exposure_tolerance': EXPOSURE_TOLERANCE},
        'num_raters': len(raters),
    }
    for kind, name in _NAMES.items():
        wrong, shown = ([r[f'{kind}_{what}'] for r in raters] for what in ('wrong', 'shown'))
        result[name] = estimate(wrong, shown)
    return {**result, 'raters': raters, 'left_out': left_out}


def format_score(result: dict[str, Any]) -> str:
    """The score in a few lines."""
    raters = result['raters']
    counted = sum(rater[f'{kind}_shown'] for rater in raters for kind in KINDS)
    badly_shown = sum(rater['badly_shown'] for rater in raters)
    protocol = result['protocol']
    lines = [
        f'study {result["study_id"]}: {len(raters)} rater{"s" * (len(raters) != 1)}, {counted} '
        f'answers; images shown {protocol["exposure_ms"] / 1000:g} s, the first '
        f'{protocol["num_practice"]} for practice and not counted'
    ]
    if badly_shown:
        lines.append(
            f'{badly_shown} answers not counted: the image was shown more than '
            f'{EXPOSURE_TOLERANCE:.0%} longer or shorter, or the page was left'
        )
    for kind, name in _NAMES.items():
        rate = result[name]
        other = KINDS[1 - KINDS.index(kind)]
        lines.append(
            f'{name} ({kind} rated {other}): {rate["value"]:.1%} '
            f'[{rate["low"]:.1%}, {rate["high"]:.1%}], {rate["interval"]}'
        )
    return '\n'.join(lines)


def write_score(path: Path, result: dict[str, Any]) -> None:
    """Write the result of :func:`score_answers` as json, whole or not at all."""
    with replacing(path) as file:
        file.write((json.dumps(result, indent=1) + '\n').encode())


def _read_all(paths: Iterable[Path]) -> tuple[list[Answers], list[str]]:
    answers, left_out = [], []
    for path in paths:
        try:
            answers.append(read_answers(path))
        except ValueError as error:
            left_out.append(str(error))
        except IsADirectoryError:
            left_out.append(f'{path}: is a folder, give the files in it: {path}/*.json')
        except FileNotFoundError:
            what = 'no file matches, give the files' if '*' in path.name else 'does not exist'
            left_out.append(f'{path}: {what}')
        except OSError as error:
            left_out.append(f'{path}: {error.strerror}')
    return answers, left_out


def _check_one_study(answers: Iterable[Answers]) -> None:
    studies = defaultdict(list)
    for one in answers:
        studies[one.study_id].append(str(one.file))
    if len(studies) > 1:
        listed = ''.join(f'\n  {study}: {", ".join(names)}' for study, names in studies.items())
        raise ValueError(
            f'the answers belong to {len(studies)} studies; name the folder of one by --study, or '
            f'score them apart:{listed}'
        )


def _drop_repeated_raters(answers: Iterable[Answers]) -> tuple[list[Answers], list[str]]:
    first: dict[str, Answers] = {}
    left_out = []
    for one in answers:
        known = first.setdefault(one.rater, one)
        if known is not one:
            content = 'the same' if known.trials == one.trials else 'different'
            left_out.append(
                f'{one.file}: {content} answers of rater {one.rater!r}, see {known.file}'
            )
    return list(first.values()), left_out


def _count(answers: Answers) -> dict[str, Any]:
    counted = answers.counted()
    counts: dict[str, Any] = {'rater': answers.rater, 'file': str(answers.file)}
    for kind in KINDS:
        own = [trial for trial in counted if trial.kind == kind]
        counts[f'{kind}_shown'] = len(own)
        counts[f'{kind}_wrong'] = sum(trial.answer != kind for trial in own)
    measured = len(answers.trials) - answers.protocol.num_practice
    return {**counts, 'badly_shown': measured - len(counted)}
