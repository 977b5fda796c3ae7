"""A number, and beside it all that must be known to compare it with another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pg2aug.evaluation.pairs import EvaluatedPairs

Columns = Mapping[str, NDArray[np.floating[Any]]]
"""Named arrays with one entry a pair along the first axis."""

TABLE1 = ('SSIM', 'IS', 'mask-SSIM', 'mask-IS')
"""The columns of the paper's Table 1."""


@dataclass(frozen=True)
class Score:
    """One metric's result.

    Attributes:
        name: Name of the metric.
        value: The number; None where it was not computed, and ``note`` says why.
        protocol: Name of the protocol.
        settings: What the protocol consists of.
        versions: Versions of the libraries that computed it.
        weights: File, hash and whether they are the published ones; None for a metric without.
        extra: More numbers that belong to it, such as splits and spread.
        note: What is to be kept in mind with this number.
    """

    name: str
    value: float | None
    protocol: str
    settings: str
    versions: Mapping[str, str]
    weights: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    note: str = ''


class Measure(Protocol):
    """A group of metrics that share their work."""

    def measure(self, pairs: EvaluatedPairs) -> Columns:
        """What has to be kept of each pair; empty if nothing can be computed."""

    def scores(self, columns: Columns) -> list[Score]:
        """The metrics, from what was kept of all pairs."""


def library_versions(*names: str) -> dict[str, str]:
    """Versions of installed distributions.

    Raises:
        ImportError: If one is not installed.
    """
    try:
        return {name: metadata.version(name) for name in names}
    except metadata.PackageNotFoundError as error:
        raise ImportError(
            f'the metrics need {error.name}, which is not installed: pip install scikit-image '
            'torchmetrics torch-fidelity'
        ) from error


def make_report(
    scores: Sequence[Score], num_pairs: int, image_size: tuple[int, int], image: str
) -> dict[str, Any]:
    """Put scores into a form for json, each with what it must be read with.

    Args:
        scores: Scores of all measures.
        num_pairs: Number of pairs.
        image_size: (width, height) of the images.
        image: Which image was evaluated.
    """
    common = dict(num_pairs=num_pairs, image_size=list(image_size), image=image)
    entries = {}
    for score in scores:
        entries[score.name] = dict(
            value=score.value,
            note=score.note,
            protocol=score.protocol,
            settings=score.settings,
            **common,
            **score.extra,
            weights=None if score.weights is None else dict(score.weights),
            versions=dict(score.versions),
        )
    return dict(common, metrics=entries)


def format_report(report: Mapping[str, Any]) -> str:
    """Lines of text: a row in the form of Table 1, then each number with its protocol."""
    width, height = report['image_size']
    metrics = report['metrics']
    lines = [
        f'{report["num_pairs"]} pairs, {width}x{height} (width x height), {report["image"]} image',
        ' / '.join(TABLE1),
        ' / '.join(_shown(metrics[name], 3) + _mark(metrics[name]) for name in TABLE1),
        *(['* see the note below'] if any(_mark(metrics[name]) for name in TABLE1) else []),
        '',
    ]
    for name, entry in metrics.items():
        lines.append(f'{name:<17}{_shown(entry, 4)}')
        lines.append(f'    {entry["protocol"]}: {entry["settings"]}')
        if entry['weights']:
            lines.append(f'    weights: {entry["weights"]["sha256"]}')
        if _mark(entry):
            lines.append(f'    note: {entry["note"]}')
    return '\n'.join(lines)


def _shown(entry: Mapping[str, Any], digits: int) -> str:
    if entry['value'] is None:
        return f'not computed ({entry["note"]})'
    return f'{entry["value"]:.{digits}f}'


def _mark(entry: Mapping[str, Any]) -> str:
    return '*' if entry['note'] and entry['value'] is not None else ''
