"""The table of the proof on COCO, from what MMPose's tests wrote (benchmarks/README.md).

Usage: python -m benchmarks.proof_table work_dirs/proof
"""

import argparse
import json
from pathlib import Path

from benchmarks.common.statistics import mean_interval
from benchmarks.common.tables import mean_cell, table

PARTS = {'rarest': 'AP, rarest poses', 'others': 'AP, others'}


def read_scores(folder: Path) -> dict[str, dict[str, dict[int, float]]]:
    """AP in percent, by arm, part of the validation set and seed.

    Args:
        folder: With ``ARM_SEED/val_PART.json`` for each run.

    Raises:
        SystemExit: If there is no such file.
    """
    scores: dict[str, dict[str, dict[int, float]]] = {}
    for path in sorted(folder.glob('*_[0-9]*/val_*.json')):
        arm, seed = path.parent.name.rsplit('_', 1)
        part = path.stem.removeprefix('val_')
        ap = 100 * json.loads(path.read_text())['coco/AP']
        scores.setdefault(arm, {}).setdefault(part, {})[int(seed)] = ap
    if not scores:
        raise SystemExit(f'no ARM_SEED/val_PART.json in {folder}: run the tests first')
    return scores


def proof_table(scores: dict[str, dict[str, dict[int, float]]]) -> str:
    """A Markdown table of means and 95% intervals over seeds.

    Args:
        scores: As :func:`read_scores` gives them.
    """
    rows = []
    for arm, parts in scores.items():
        cells = [_cell(parts.get(part, {})) for part in PARTS]
        seeds = sorted({seed for part in parts.values() for seed in part})
        rows.append([arm, ', '.join(map(str, seeds)), *cells])
    return '\n'.join(table(['Arm', 'seeds', *PARTS.values()], rows))


def _cell(seeds: dict[int, float]) -> str:
    return mean_cell(mean_interval(seeds.values())) if seeds else ''


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, metavar='DIR')
    print(proof_table(read_scores(parser.parse_args().folder)))


if __name__ == '__main__':
    main()
