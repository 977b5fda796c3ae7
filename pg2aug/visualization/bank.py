"""Charts of a pose bank: what is rare, what is common, and what it brings to a data set."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pg2aug.poses.bank.coverage import ALIKE, PosesAndMask, coverage
from pg2aug.poses.bank.pose_bank import PoseBank
from pg2aug.poses.bank.pose_map import PoseMap, pose_map
from pg2aug.poses.skeleton import Skeleton
from pg2aug.utils.files import replacing
from pg2aug.visualization.poses import novel_sheet, ranked_sheet
from pg2aug.visualization.skeletons import write_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAP_GRID = 8


def plot_bank(
    bank: PoseBank,
    folder: Path,
    *,
    reference: PosesAndMask | None = None,
    parents: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> list[Path]:
    """Write the pictures of a bank as PNG.

    Args:
        bank: The bank.
        folder: Where to; it is made.
        reference: Keypoints ``(M, K, 2)`` and visibility ``(M, K)`` of the data set that the bank
            is for; without it there is no ``coverage.png``.
        parents: ``(num, 2)`` indices of the parents of the last ``num`` poses of the bank, which
            are made up; without it there is no ``novel.png``.
        seed: Of the choice of what is shown.

    Returns:
        The files: ``rarest.png``, ``commonest.png``, ``rarity.png``, ``map.png`` and the above.
    """
    num_novel = 0 if parents is None else len(parents)
    observed = np.nonzero(bank.weights[: len(bank) - num_novel] > 0)[0]
    order = observed[np.argsort(-bank.rarity[observed], kind='stable')]
    images = {
        'rarest': ranked_sheet(bank, order, 'rarest'),
        'commonest': ranked_sheet(bank, order[::-1], 'commonest'),
    }
    if parents is not None:
        images['novel'] = novel_sheet(bank, parents, seed)
    written = []
    for name, image in images.items():
        write_png(folder / f'{name}.png', image)
        written.append(folder / f'{name}.png')
    figures = {'rarity': rarity_figure(bank, num_novel), 'map': map_figure(bank, reference, seed)}
    if reference is not None:
        figures['coverage'] = coverage_figure(bank, reference, parents, seed)
    for name, figure in figures.items():
        with replacing(folder / f'{name}.png', sync=False) as file:
            figure.savefig(file, dpi=110, format='png')
        written.append(folder / f'{name}.png')
    return written


def rarity_figure(bank: PoseBank, num_novel: int = 0) -> 'Figure':
    """Histogram of rarity, and how much of the draws falls on each part of it.

    Args:
        bank: The bank.
        num_novel: How many poses at its end are made up: they are drawn, but not counted as poses.
    """
    figure, axes = _figure(8, 4.5)
    drawable = np.nonzero(bank.weights > 0)[0]
    observed = drawable[drawable < len(bank) - num_novel]
    # In 32 bits the ends could be rounded to beyond the bars.
    rarity = bank.rarity.astype(np.float64)
    lowest, highest = rarity[drawable].min(), np.quantile(rarity[drawable], 0.999)
    bins = np.linspace(lowest, highest, 41).tolist()
    shown = np.clip(rarity, bins[0], bins[-1])
    share = np.full(len(observed), 1 / len(observed))
    axes.hist(shown[observed], bins, weights=share, color='0.75', label='share of the poses')
    axes.hist(
        shown[drawable],
        bins,
        weights=bank.weights[drawable],
        histtype='step',
        lw=2,
        color='C3',
        label='share of the draws' + (', made-up poses included' if num_novel else ''),
    )
    axes.set(
        xlabel='common   <   rarity   <   rare      (the last bar holds everything beyond)',
        ylabel='share',
        title=f'{len(observed)} poses: the rare ones on the right are drawn more often',
    )
    axes.legend()
    return figure


def map_figure(bank: PoseBank, reference: PosesAndMask | None, seed: int = 0) -> 'Figure':
    """PCA of the poses: each a dot, the data set's grey, the bank's coloured by rarity."""
    figure, axes = _figure(10, 8)
    found = pose_map(bank, reference, seed)
    axes.scatter(
        found.others[:, 0],
        found.others[:, 1],
        s=14,
        color='0.7',
        label='data set that the bank is for',
    )
    rarity = bank.rarity[found.indices]
    dots = axes.scatter(
        found.position[:, 0],
        found.position[:, 1],
        s=6,
        c=rarity,
        cmap='viridis',
        vmax=float(np.quantile(rarity, 0.99)),
    )
    figure.colorbar(dots, label="rarity of the bank's poses", extend='max')
    _draw_examples(axes, found, bank.visible[found.indices], bank.skeleton)
    axes.set(
        title='Map of the poses: near each other where they are alike; some are drawn in place',
        xlabel='first principal component, body units',
        ylabel='second',
    )
    axes.set_aspect('equal', adjustable='datalim')
    if len(found.others):
        axes.legend(loc='upper left')
    return figure


def coverage_figure(
    bank: PoseBank,
    reference: PosesAndMask,
    parents: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> 'Figure':
    """Share of the bank's poses that the data set covers, before and after draws."""
    figure, axes = _figure(8, 5)
    measured = coverage(bank, reference, parents=parents, seed=seed)
    for column, (which, color) in enumerate((('all poses', 'C0'), ('the rarest tenth', 'C3'))):
        curve, uniform = measured.by_rarity[:, column], measured.uniform[:, column]
        label = f'{which}, drawn by rarity: {curve[0]:.0%} to {curve[-1]:.0%}'
        axes.plot(curve, color=color, lw=2, label=label)
        axes.plot(uniform, color=color, ls=':', label=f'{which}, drawn uniformly')
    axes.set(
        xlabel='poses drawn from one half of the bank and added to the data set\n'
        f'(covered: the data set has a pose within {ALIKE} body units)',
        ylabel='covered poses of the other half',
        ylim=(0, 1.02),
        xlim=(0, len(measured.uniform) - 1),
        title='How much of the bank the data set covers, before (0) and after it is expanded',
    )
    axes.set_xscale('symlog', linthresh=10)
    axes.xaxis.set_major_formatter('{x:.0f}')
    axes.legend()
    return figure


def _draw_examples(
    axes: 'Axes', found: PoseMap, visible: NDArray[np.bool_], skeleton: Skeleton
) -> None:
    """Draw one pose as a skeleton in every cell of a grid over the map, at its own place."""
    low, high = found.position.min(axis=0), found.position.max(axis=0)
    cell = float((high - low).max()) / _MAP_GRID
    cells = np.floor((found.position - low) / cell).astype(int)
    for index in np.unique(cells, axis=0):
        members = np.nonzero((cells == index).all(axis=1))[0]
        centre = low + (index + 0.5) * cell
        distance = np.linalg.norm(found.position[members] - centre, axis=1)
        # The fullest poses tell most; among them the one nearest to the middle of the cell.
        best = members[np.lexsort([distance, -visible[members].sum(axis=1)])[0]]
        pose, known = found.poses[best], visible[best]
        middle = (pose[known].min(axis=0) + pose[known].max(axis=0)) / 2
        size = np.ptp(pose[known], axis=0).max()
        drawn = (pose - middle) * [1, -1] * 0.8 * cell / size + centre
        for limb in skeleton.limbs:
            if known[list(limb)].all():
                for color, width in (('white', 3.5), ('black', 1.3)):
                    axes.plot(*drawn[list(limb)].T, color=color, lw=width, zorder=3 + (width < 2))


def _figure(width: float, height: float) -> tuple['Figure', 'Axes']:
    # Figures of their own need no display and leave no state behind, as pyplot's would.
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout='constrained')
    return figure, figure.add_subplot()
