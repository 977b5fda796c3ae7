"""What an expansion is going to make: persons, poses, and what to try next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.expansion.plan.draws import Ints, PoseRegions, draw_poses
from pg2aug.expansion.plan.regions import Regions, level, pose_regions
from pg2aug.expansion.sources.sources import Sources
from pg2aug.poses import PoseBank

ITEM = np.dtype(
    [
        *(('person', '<i4'), ('pose', '<i4'), ('region', '<i4')),
        *(('image', '<i4'), ('index', '<i4'), ('of', '<i4')),
    ]
)
"""An item of a plan.

``person`` is an index into the persons of the sources and ``pose`` one into the bank: what is tried
first. ``region`` is that of the pose; ``image`` is the place of the source image among those with
persons, -1 where any will do. What is tried after that follows from ``index`` and ``of``: which of
how many items with the same region and image it is.
"""

MAX_ITEMS = 100_000_000
"""Of a plan: images are named after their items, by eight digits."""

Mask = NDArray[np.bool_]

_STRIDE = 7919


@dataclass(frozen=True)
class PlanRequest:
    """How many images are wanted, and of what.

    Attributes:
        num: Images; None for as many as ``per_image`` or ``balance`` ask for.
        per_image: At most so many for each source image; exactly so many without ``num``. None for
            any number.
        balance: Regions of pose space to be levelled; None draws poses by the bank's weights.
    """

    num: int | None = None
    per_image: int | None = None
    balance: int | None = None

    def __post_init__(self) -> None:
        for name, least in (('num', 1), ('per_image', 1), ('balance', 2)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f'{name} must be at least {least}, got {value}')
        if self.num is self.per_image is self.balance is None:
            raise ValueError('say how many images: give num, per_image or balance')


@dataclass(frozen=True)
class Draws:
    """Which person and pose any attempt at an item takes, and no other attempt at any item.

    Attributes:
        regions: Poses by region.
        order: (P,) the persons in random order, those of an image together.
        starts: (I + 1,) where each image's persons begin in ``order``.
        seed: Of all draws.
    """

    regions: PoseRegions
    order: Ints
    starts: Ints
    seed: int

    def attempt(self, items: NDArray[Any], attempts: Ints) -> tuple[Ints, Ints, Mask]:
        """Persons and poses of attempts at items (M,), and which are repeated.

        Of the fields of ITEM the items need ``region``, ``image``, ``index`` and ``of``.

        Persons of the same region and image take turns. Where a person has been given every pose of
        the region, they are given again: such attempts are to be refused.
        """
        image, region = items['image'].astype(np.int64), items['region'].astype(np.int64)
        number = items['index'] + attempts.astype(np.int64) * items['of']
        anybody = image < 0
        first = np.where(anybody, 0, self.starts[image])
        count = np.where(anybody, len(self.order), self.starts[image + 1] - first)
        turns = number // count
        # Another start for each region, and after each turn: or a person who cannot be used would
        # be met again and again by the same item.
        place = (number + (turns + region) * _STRIDE) % count
        persons = np.where(anybody, self._mixed[place % len(self.order)], self.order[first + place])
        sizes = self.regions.sizes[region]
        poses = draw_poses(self.regions, self.seed, persons, region, turns % sizes)
        return persons, poses, turns >= sizes

    @cached_property
    def _mixed(self) -> Ints:
        return np.random.default_rng((self.seed, 1)).permutation(self.order)


@dataclass(frozen=True)
class ExpansionPlan:
    """Items and the draws that they are tried with.

    Attributes:
        items: (num,) of dtype ITEM, or as they are read from the plan's file.
        draws: Of all attempts.
        summary: For the report: ``images_by_region`` with how many of the data set's poses are in
            each region ``before``, and how many are ``added``. Empty without ``balance``.
    """

    items: NDArray[Any]
    draws: Draws
    summary: Mapping[str, Any] = field(default_factory=dict)


def make_draws(
    sources: Sources, bank: PoseBank, request: PlanRequest, seed: int = 0
) -> tuple[Draws, Regions | None]:
    """Group persons and poses.

    Args:
        sources: Persons to start from.
        bank: Target poses, restricted to suitable ones.
        request: How many images, and of what.
        seed: Of all draws; 0 or more.

    Returns:
        The draws, and the regions of pose space, which count all posed persons of the data set,
        whether they are sources or not; None without ``balance``.
    """
    regions = None
    if request.balance is not None:
        # Also of those who cannot be put into a new pose: they are in the data set all the same.
        regions = pose_regions(bank, sources.poses, request.balance, seed)
    image_ids = {id_: place for place, id_ in enumerate(dict.fromkeys(sources.person_images))}
    images = np.array([image_ids[id_] for id_ in sources.person_images])
    shuffled = np.random.default_rng((seed, 0)).permutation(len(image_ids))
    places = shuffled[images]
    order = np.argsort(places, kind='stable')
    starts = np.searchsorted(places[order], np.arange(len(image_ids) + 1))
    grouped = PoseRegions.group(bank.weights, None if regions is None else regions.labels)
    return Draws(grouped, order, starts, seed), regions


def plan_expansion(draws: Draws, regions: Regions | None, request: PlanRequest) -> ExpansionPlan:
    """Plan an expansion; the same arguments give the same plan.

    Args:
        draws: From :func:`make_draws`.
        regions: Likewise.
        request: How many images, and of what.

    Raises:
        ValueError: If more images are wanted than ``per_image`` or ``MAX_ITEMS`` allows, or pose
            space is level.
    """
    num_images = len(draws.starts) - 1
    capacity = None if request.per_image is None else request.per_image * num_images
    before = np.zeros(1, np.int64) if regions is None else regions.counts
    chosen, added = _regions(request, before, capacity, draws.seed)
    items = np.zeros(len(chosen), ITEM)
    items['region'] = chosen
    items['image'] = -1 if request.per_image is None else np.arange(len(items)) % num_images
    items['index'], items['of'] = _place_in_group(items)
    persons, poses, _ = draws.attempt(items, np.zeros(len(items), np.int64))
    items['person'], items['pose'] = persons, poses
    summary = {}
    if added is not None:
        summary = {'images_by_region': {'before': before.tolist(), 'added': added.tolist()}}
    return ExpansionPlan(items, draws, summary)


def _regions(
    request: PlanRequest, before: Ints, capacity: int | None, seed: int
) -> tuple[Ints, Ints | None]:
    """(num,) region of each item, and (R,) how many each region gets; None without regions."""
    num = request.num
    if num is not None and capacity is not None and num > capacity:
        raise ValueError(
            f'{num} images are more than {request.per_image} for each of the '
            f'{capacity // (request.per_image or 1)} source images: ask for at most {capacity}'
        )
    if request.balance is None:
        return np.zeros(_checked(num or capacity or 0), np.int64), None
    added = level(before, None if num is None else _checked(num))
    if capacity is not None and added.sum() > capacity:
        added = level(before, capacity)
    _checked(int(added.sum()))
    if not added.any():
        raise ValueError('pose space is covered evenly already: there is nothing to add')
    regions = np.repeat(np.arange(len(added)), added)
    return np.random.default_rng((seed, 2)).permutation(regions), added


def _checked(num: int) -> int:
    if num > MAX_ITEMS:
        raise ValueError(
            f'{num} images are more than an expansion can have, {MAX_ITEMS}: ask for fewer, or for '
            'several expansions with seeds and folders of their own'
        )
    return num


def _place_in_group(items: NDArray[Any]) -> tuple[Ints, Ints]:
    """Which of how many items with the same region and image each is: (M,) each."""
    keys = items['image'].astype(np.int64) * (int(items['region'].max()) + 1) + items['region']
    _, group, counts = np.unique(keys, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind='stable')
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    index = np.empty(len(items), np.int64)
    index[order] = np.arange(len(items)) - np.repeat(starts, counts)
    return index, counts[group]
