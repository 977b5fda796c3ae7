"""Figures: bars, curves, and what the estimators see in rare poses."""

from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from mmengine.fileio import load

from benchmarks.common.sheets import write_sheet
from benchmarks.rare_pose.arms import TITLES
from benchmarks.rare_pose.worlds import TestSet
from pg2aug.poses import Skeleton
from pg2aug.visualization.skeletons import contact_sheet, draw_skeleton

matplotlib.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

SHOWN_ROWS, SCALE = 12, 1.5


def bars(report: dict[str, Any], path: Path) -> None:
    """Rare PCK and AP of every arm, with 95% intervals over seeds."""
    regimes = report['regimes']
    figure, axes = plt.subplots(
        len(regimes), 2, figsize=(10, 0.9 + 2.9 * len(regimes)), squeeze=False, layout='constrained'
    )
    for row, (regime, found) in zip(axes, regimes.items(), strict=True):
        arms = list(found['arms'])
        for axis, metric in zip(row, ('pck', 'ap'), strict=True):
            values = [found['arms'][arm]['rare'][metric] for arm in arms]
            heights = [value['mean'] for value in values]
            errors = [value['mean'] - (value['ci95'] or [value['mean']])[0] for value in values]
            axis.barh([TITLES[arm] for arm in arms], heights, xerr=errors, color='#4477aa')
            axis.invert_yaxis()
            axis.set_title(f'{regime}: {metric.upper()} on rare poses, %')
        row[1].set_yticklabels([])
    _save(figure, path)


def curves(report: dict[str, Any], path: Path) -> None:
    """PCK on rare and on common poses over each thing that was varied."""
    sweeps = [
        (key, regime, values)
        for key, regimes in report['sweeps'].items()
        for regime, values in regimes.items()
    ]
    figure, axes = plt.subplots(
        2,
        len(sweeps),
        figsize=(3.2 * len(sweeps), 6),
        squeeze=False,
        sharey='row',
        layout='constrained',
    )
    arms = dict.fromkeys(arm for *_, values in sweeps for point in values.values() for arm in point)
    colours = {arm: f'C{i}' for i, arm in enumerate(arms)}
    for column, (key, regime, values) in zip(axes.T, sweeps, strict=True):
        for axis, subset in zip(column, ('rare', 'common'), strict=True):
            _curve(axis, values, subset, colours)
            axis.set_xlabel(key)
            if key == 'images':
                axis.set_xscale('log')
                axis.set_xticks([float(value) for value in values], list(values))
                axis.minorticks_off()
        column[0].set_title(regime)
    for row, subset in zip(axes, ('rare', 'common'), strict=True):
        row[0].set_ylabel(f'PCK on {subset} poses, %')
    lines = [Line2D([], [], color=colours[arm], marker='o', label=TITLES[arm]) for arm in arms]
    figure.legend(handles=lines, loc='outside lower center', ncols=len(arms))
    _save(figure, path)


def _curve(axis: Any, values: dict[str, Any], subset: str, colours: dict[str, str]) -> None:
    """A line for each arm: mean over seeds."""
    for arm in dict.fromkeys(arm for of_value in values.values() for arm in of_value):
        points = [
            (float(value), of_value[arm][subset]['pck'])
            for value, of_value in values.items()
            if arm in of_value
        ]
        means = [spread['mean'] for _, spread in points]
        axis.plot([value for value, _ in points], means, marker='o', color=colours[arm])


def predictions(folders: dict[str, Path], test: TestSet, path: Path) -> None:
    """Rare test images with the pose that they have, and what each arm's estimator sees in them.

    Args:
        folders: Of the runs, by arm.
        test: The test set.
        path: PNG to write.
    """
    skeleton = Skeleton.from_coco_category(test.content['categories'][0])
    names = {image['id']: image['file_name'] for image in test.content['images']}
    of_rare = test.subsets()['rare']
    rare = [a for a in test.content['annotations'] if a['id'] in of_rare]
    found = {
        arm: {sample['id']: sample['pred_instances']['keypoints'][0] for sample in load(pkl)}
        for arm, pkl in ((arm, folder / 'predictions.pkl') for arm, folder in folders.items())
    }
    rows = []
    for annotation in [rare[i] for i in np.linspace(0, len(rare) - 1, SHOWN_ROWS).astype(int)]:
        image = cv2.imread(str(test.path.parent / 'images/test' / names[annotation['image_id']]))
        image = cv2.resize(image, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
        triples = np.array(annotation['keypoints'], float).reshape(-1, 3)
        shown = triples[:, 2] > 0
        poses = [triples[:, :2], *(of_arm[annotation['id']] for of_arm in found.values())]
        # Coordinates are of pixel centres.
        drawn = [draw_skeleton(image, (p + 0.5) * SCALE - 0.5, shown, skeleton) for p in poses]
        rows.append([image, *drawn])
    titles = [TITLES[arm] for arm in folders]
    write_sheet(path, contact_sheet(rows, ['image', 'truth', *titles]))


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=90, metadata={'Software': None})
    plt.close(figure)
