"""Tables in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table."""
    body = [f'| {" | ".join(row)} |' for row in rows]
    return [f'| {" | ".join(titles)} |', '|---' * len(titles) + '|', *body]


def mean_cell(value: dict[str, Any]) -> str:
    """A percentage of :func:`.statistics.mean_interval`, ± half of its interval."""
    low_high = value['ci95']
    half = '' if low_high is None else f' ± {(low_high[1] - low_high[0]) / 2:.1f}'
    return f'{value["mean"]:.1f}{half}'
