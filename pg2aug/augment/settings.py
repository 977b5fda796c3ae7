"""What is set of a synthesis, wherever it is set: defaults, checks and help, once."""

import inspect
import os
import re
from dataclasses import dataclass, field
from typing import Any

from pg2aug.augment.checks.label_check import LabelCheck
from pg2aug.augment.extras.pool import pool_slots
from pg2aug.augment.synthesis.inference import PRECISIONS, Precision
from pg2aug.poses import Skeleton
from pg2aug.registry import MODELS
from pg2aug.utils.arguments import check_megabytes, check_switch


@dataclass(frozen=True)
class SynthesisSettings:
    """How persons are chosen, synthesised, checked and put into images.

    :class:`PG2Augment` takes each of them as an argument, ``pg2aug expand`` as an option.

    Args:
        check: Config of the label check; None accepts everything that is synthesised.
        min_joints_ok: Share of a new person's labelled joints that must pass the label check.
        min_visible: Least number of labelled joints of source and target.
        max_view_change: Largest difference, in degrees, of the sides from which a person and a
            target pose are seen: at 180 a front may become a back, which has to be invented. None
            for any; 120 keeps fronts from becoming backs, 60 is what we recommend.
        remove_source: Whether the original person is removed from the background.
        refine: Whether to use the refined image (G2) or the coarse one (G1 alone).
        precision: Number format of the generator's networks: 'auto', 'float32', 'bfloat16' or
            'float16', see :func:`pg2aug.augment.synthesis.inference.network_dtype`.
        compile: Whether to compile them with :func:`torch.compile`.
        cuda_graphs: Whether a GPU replays recorded steps. Needs PG2Hook, for only calls of
            :class:`Synthesizer` with whole batches do so. Batches are then padded to a power of
            two.

    Raises:
        ValueError: If a value is out of range; the text begins with the name of the setting.
    """

    check: dict[str, Any] | None = field(default_factory=lambda: dict(type='AppearanceCheck'))
    min_joints_ok: float = 0.7
    min_visible: int = 8
    max_view_change: float | None = None
    remove_source: bool = True
    refine: bool = True
    precision: Precision = 'auto'
    compile: bool = False
    cuda_graphs: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.min_joints_ok <= 1:
            raise ValueError(f'min_joints_ok must be in [0, 1], got {self.min_joints_ok}')
        if self.min_visible < 3:
            raise ValueError(f'min_visible must be at least 3, got {self.min_visible}')
        if self.max_view_change is not None and not 0 < self.max_view_change <= 180:
            raise ValueError(
                f'max_view_change must be in (0, 180] degrees or None, got {self.max_view_change}'
            )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f'precision must be one of {", ".join(PRECISIONS)}, got {self.precision!r}'
            )
        check_switch('compile', self.compile)
        check_switch('cuda_graphs', self.cuda_graphs)

    def check_skeleton(self, skeleton: Skeleton) -> None:
        """Raise ValueError for an angle that the skeleton does not tell."""
        if self.max_view_change is not None and not skeleton.torso:
            raise ValueError(
                'max_view_change needs shoulders and hips, which the skeleton of the generator '
                'lacks: leave it out'
            )

    def build_check(self) -> LabelCheck | None:
        """The label check; None where there is none.

        Raises:
            ValueError: If it cannot be built.
        """
        if self.check is None:
            return None
        try:
            check: LabelCheck = MODELS.build(dict(self.check, _scope_='pg2aug'))
        except (ImportError, KeyError, TypeError) as error:
            raise ValueError(f'check {self.check} cannot be built: {error}') from error
        return check


def setting_help(name: str) -> str:
    """What a setting is, as its description above says it."""
    text = inspect.getdoc(SynthesisSettings) or ''
    found = re.search(rf'^    {name}: (.*?)(?=^    \w+: |^$)', text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f'SynthesisSettings describes no setting {name!r}')
    return ' '.join(found.group(1).split())


def check_numbers(prob: float, max_draws: int, reuse: int) -> None:
    """Raise ValueError for shares beyond [0, 1] and counts that are too small."""
    if not 0 <= prob <= 1:
        raise ValueError(f'prob must be in [0, 1], got {prob}')
    if max_draws < 1:
        raise ValueError(f'max_draws must be at least 1, got {max_draws}')
    if not isinstance(reuse, int) or isinstance(reuse, bool) or reuse < 1:
        raise ValueError(
            f'reuse must be a whole number from 1 on, got {reuse!r}: set reuse=1 for a new pose '
            'each time'
        )


def check_files(pose_bank: str, neighbours: str | None) -> None:
    """Raise FileNotFoundError for files that are not there."""
    if not os.path.isfile(pose_bank):
        raise FileNotFoundError(
            f'pose_bank {pose_bank!r} does not exist: build one with pg2aug bank, or '
            'give a COCO keypoint json'
        )
    if neighbours is not None and not os.path.isfile(neighbours):
        raise FileNotFoundError(
            f'neighbours {neighbours!r} does not exist: give the annotation file of the dataset'
        )


def check_pool(reuse: int, pool_mb: float, size: tuple[int, int]) -> None:
    """Raise ValueError where a pool is needed that has no room for a crop of (width, height)."""
    check_megabytes('pool_mb', pool_mb, 'leave it out for 1024')
    if reuse > 1 and pool_slots(pool_mb, size) < 1:
        raise ValueError(
            f'pool_mb={pool_mb} has no room for a single crop of {size[0]}x{size[1]}: make it '
            'larger, or set reuse=1'
        )


def check_direct(reuse: int, cuda_graphs: bool) -> None:
    """Raise ValueError where something is asked for that only PG2Hook can do."""
    add = "add custom_hooks=[dict(type='pg2aug.PG2Hook')] to the config"
    if reuse > 1:
        raise ValueError(
            f'PG2Augment(reuse={reuse}) needs a pool of what was synthesised: {add}, or set reuse=1'
        )
    if cuda_graphs:
        raise ValueError(
            'PG2Augment(cuda_graphs=True) replays steps for batches, and by itself the transform '
            f'synthesises one person at a time: {add}, or set cuda_graphs=False'
        )
