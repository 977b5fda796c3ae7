"""Figures on rarity, fitting and views: of wrong labels, missing joints, fitted poses and sides.

Usage: python benchmarks/pose_geometry.py [--data data] [--out docs/results/pose_geometry]

Procedural people, whose joints and views are known exactly; nothing is rendered. Missing joints are
those of the annotation files of Market-1501 and DeepFashion, and left out where these are absent.
"""

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
from geometry_banks import missing_joints, reference_sizes, wrong_labels
from geometry_people import fitting, views
from pose_bank import coco_skeleton

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    'Market-1501, train': 'market-annotation-train.csv',
    'DeepFashion, test': 'fasion-annotation-test.csv',
}
SETTINGS = ((0.0, 0.0), (0.08, 0.0), (0.0, 0.01), (0.08, 0.01))


def measure(
    data: Path,
    people: int = 1500,
    repeats: int = 10,
    poses: int = 8000,
    pairs: int = 800,
    seen: int = 3000,
) -> dict[str, Any]:
    """Everything; ``missing_joints`` is None where ``data`` has no re-identification files."""
    skeleton = coco_skeleton()
    files = {name: data / 'reid_csv' / file for name, file in FILES.items()}
    there = all(path.exists() for path in files.values())
    return {
        'wrong_labels': wrong_labels(skeleton, people, repeats),
        'missing_joints': {n: missing_joints(p) for n, p in files.items()} if there else None,
        'reference_sizes': reference_sizes(skeleton, poses),
        'fitting': {'pairs': pairs, 'rows': [fitting(skeleton, pairs, *s) for s in SETTINGS]},
        'views': views(skeleton, seen),
    }


def table(head: str, rows: list[str]) -> list[str]:
    """Lines of a table; the first column is text, the others are numbers."""
    return ['', f'| {head} |', '|---|' + '---:|' * head.count('|'), *rows]


def wrong_label_lines(found: dict[str, Any]) -> list[str]:
    """The section on corrupted labels."""
    rows = []
    for name, row in found['times_their_share'].items():
        cells = [
            f'{cell["mean"]:.2f} ({cell["range"][0]:.2f} to {cell["range"][1]:.2f})'
            for cell in (row['all_rules'], row['no_rule'])
        ]
        rows.append(f'| {name.replace("_", ", ")} | {" | ".join(cells)} |')
    return [
        '',
        '## Wrong labels',
        '',
        f'2% of {found["people"]:,} people, a tenth of them in rare poses, with joints moved to a '
        'random place in the box: how many times their share they are drawn. Mean of '
        f'{found["repeats"]} such crowds (lowest to highest).',
        *table('Density, joints moved | all rules | no rule', rows),
    ]


def missing_joint_lines(found: dict[str, Any] | None, sizes: dict[str, Any]) -> list[str]:
    """The section on missing joints and on the size of the reference set."""
    lines = ['', '## Missing joints', '']
    if found is None:
        lines.append('Left out: the annotation files are not there (`--data`).')
    else:
        lines.append('Mean number of labelled joints of 18, of poses with 9 or more.')
        rows = [
            f'| {name} | {row["poses"]:,} | {row["missing_wrists"]:.0%} '
            f'| {row["missing_ankles"]:.0%} | {row["all"]:.1f} | {row["rarest_tenth_knn"]:.1f} '
            f'| {row["rarest_tenth_gmm"]:.1f} |'
            for name, row in found.items()
        ]
        head = 'File | poses | wrists missing, of all rows | ankles missing | all poses'
        lines += table(f'{head} | rarest tenth, k-NN | rarest tenth, GMM', rows)
    return [
        *lines,
        '',
        '## Size of the reference set',
        '',
        f'Of the k-NN rarity of {sizes["poses"]:,} poses of `benchmarks/pose_bank.py`, rank '
        'correlation with the rarity among all of them: '
        f'{sizes["rank_correlation_1000"]:.3f} against 1,000 of them, '
        f'{sizes["rank_correlation_2000"]:.3f} against 2,000. '
        f'{sizes["same_rarest_tenth"]:.0%} of the rarest tenth are the same by either.',
    ]


def fitting_lines(found: dict[str, Any]) -> list[str]:
    """The section on fitted poses."""
    rows = [
        f'| {"varied by 8% more" if row["spread"] else "as rendered"} '
        f'| {"1% off" if row["noise"] else "exact"} | {row["size"]:.2%} '
        f'| {row["proportions"]:.2%} | {row["gain"]:.2%} ± {row["gain_ci95"]:.2%} |'
        for row in found['rows']
    ]
    return [
        '',
        '## Fitted poses',
        '',
        f'The pose of one person fitted to another, {found["pairs"]} pairs, against that other '
        'truly in that pose: mean joint error in body heights. The person is seen in a common '
        'pose, the other in one of any family. ± is half of a 95% interval of the mean over pairs.',
        *table('Arms, legs, shoulders, hips | joints | size alone | proportions | gain', rows),
    ]


def view_lines(found: dict[str, Any]) -> list[str]:
    """The section on views."""
    rows = [
        f'| {cap} | {row["kept"]:.0%} | {row["kept_of_those_over_150"]:.2%} '
        f'| {row["refused_of_those_within"]:.0%} |'
        for cap, row in found['caps'].items()
    ]
    return [
        '',
        '## Views',
        '',
        f'{found["people"]:,} people, every family alike often. Error of `view_angles` in degrees: '
        f'mean {found["mean_error"]:.1f}, median {found["median_error"]:.1f}, nine of ten below '
        f'{found["error_of_nine_in_ten"]:.0f}, mean of those who bend '
        f'{found["mean_error_bending"]:.1f}. Front and back confused, of those truly more than 30 '
        f'degrees off the side view: {found["front_and_back_confused"]}. Of all pairs:',
        *table('Cap, degrees | kept | kept of those over 150 | refused of those within', rows),
    ]


def to_markdown(result: dict[str, Any]) -> str:
    """The text of ``docs/results/pose_geometry.md``."""
    versions = ', '.join(f'{name} {version}' for name, version in result['versions'].items())
    lines = [
        '# The geometry of poses',
        '',
        f'`{result["command"]}`, {versions}. Procedural people, except for missing joints.',
        *wrong_label_lines(result['wrong_labels']),
        *missing_joint_lines(result['missing_joints'], result['reference_sizes']),
        *fitting_lines(result['fitting']),
        *view_lines(result['views']),
    ]
    return '\n'.join([*lines, ''])


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, default=ROOT / 'data')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/results/pose_geometry')
    args = parser.parse_args(argv)
    modules = (('NumPy', np), ('SciPy', scipy), ('scikit-learn', sklearn))
    versions = {'Python': platform.python_version(), **{n: m.__version__ for n, m in modules}}
    result = {'command': 'python benchmarks/pose_geometry.py', 'versions': versions}
    result |= measure(args.data)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.with_suffix('.json').write_text(json.dumps(result, indent=2) + '\n')
    text = to_markdown(result)
    args.out.with_suffix('.md').write_text(text)
    print(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
