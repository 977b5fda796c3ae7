"""What a conversion wrote, and all that it left out or that should be known."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pg2aug.datasets.reid.pose_csv import Finding

_EXAMPLES = 3
Findings = Mapping[str, list[Finding]]


@dataclass
class ConversionReport:
    """Counts of what was written, and findings by kind.

    Attributes:
        title: What was converted, in a line.
        left_out: What is in none of the files written: for each kind, every finding.
        noted: What is in them and should be known.
        counts: Number of images, identities and pairs written.
    """

    title: str = ''
    left_out: defaultdict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    noted: defaultdict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, finding: Finding, left_out: bool = True) -> None:
        """Enter what is not written or, if not ``left_out``, what is and has something to it."""
        (self.left_out if left_out else self.noted)[kind].append(finding)

    def lines(self) -> Iterator[str]:
        """The report in lines: the counts, then each kind of finding with a few examples."""
        yield self.title
        yield from (f'{name}: {count}' for name, count in self.counts.items())
        for heading, findings in (('left out', self.left_out), ('noted', self.noted)):
            if findings:
                yield f'{heading}:'
                yield from describe_findings(findings)

    def to_dict(self) -> dict[str, Any]:
        """The report for a json file, with every finding's file and line."""
        return {
            'title': self.title,
            **self.counts,
            'left_out': _listed(self.left_out),
            'noted': _listed(self.noted),
        }


def describe_findings(findings: Findings) -> Iterator[str]:
    """Each kind in a line with its number, followed by its first findings."""
    for kind, found in findings.items():
        yield f'  {len(found)} {kind}'
        yield from (f'    {finding}' for finding in found[:_EXAMPLES])
        if len(found) > _EXAMPLES:
            yield f'    ... and {len(found) - _EXAMPLES} more'


def _listed(findings: Findings) -> dict[str, list[dict[str, Any]]]:
    return {kind: [finding._asdict() for finding in found] for kind, found in findings.items()}
