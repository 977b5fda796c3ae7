"""Synthesised persons kept on the device, for when the same is decided again."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pg2aug.augment.person_plan import PersonPlan
from pg2aug.augment.synthesis.batches import Persons
from pg2aug.augment.synthesis.transfer import send

_MAX_CHANNELS = 4


class _Asked(NamedTuple):
    """A person of the batch that is asked for.

    Attributes:
        key: What they are found by; None for those who are never kept.
        again: Whether they are to be kept, for they come again.
        found: The place where they are kept; None where they have to be generated.
    """

    key: bytes | None
    again: bool
    found: int | None


def pool_slots(pool_mb: float, size: tuple[int, int]) -> int:
    """How many persons, in crops of (width, height), a pool of some MiB has room for."""
    return int(pool_mb * 2**20 // (_MAX_CHANNELS * size[0] * size[1]))


class PersonPool:
    """Crops of synthesised persons in 8 bits, with the verdict of the label check.

    A person is found again by all that its crop was made of (:meth:`PersonPlan.digest`); what is
    not there is generated. Persons who do not come again are not kept, and where there is no room,
    those go who were not used for longest. What is where is known on the host: nothing waits for
    the device.

    Args:
        slots: Persons that there is room for.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._places: OrderedDict[bytes, int] = OrderedDict()
        self._free = list(range(slots))
        # One place more, for those who are not kept: no step depends on how many they are.
        self._stored: Persons | None = None

    def __len__(self) -> int:
        """How many persons are kept."""
        return len(self._places)

    def serve(
        self, plans: Sequence[PersonPlan], generate: Callable[[Sequence[PersonPlan]], Persons]
    ) -> Persons:
        """The persons of some plans, those who are not kept newly generated.

        Args:
            plans: At least one.
            generate: Generates and checks the persons of at least one plan.

        Returns:
            The persons. Those taken from the pool are rounded to whole grey levels, and their
            matte to 255ths.
        """
        asked = [self._find(plan) for plan in plans]
        missing = [plan for plan, person in zip(plans, asked, strict=True) if person.found is None]
        made = generate(missing) if missing else None
        if made is not None and all(person.key is None for person in asked):
            return made
        moves = _moves(asked, self._find_places(asked))
        stored = self._storage(made)
        sent = send(moves, stored.made.device)
        # All that is found is read before anything is written: a place may change hands here.
        kept = made if made and len(missing) == len(plans) else _gather(sent, stored, made)
        if any(person.again for person in asked):
            for whole, new in zip(stored, _rounded(kept), strict=True):
                whole.index_copy_(0, sent['place'], new)
        return kept

    def _find(self, plan: PersonPlan) -> _Asked:
        repeats = int(plan.repeats[0])
        if repeats < 0:
            return _Asked(key=None, again=False, found=None)
        key = plan.digest()
        return _Asked(key, again=repeats > 0, found=self._places.get(key))

    def _find_places(self, asked: Sequence[_Asked]) -> list[int]:
        """Where each of some persons is to be kept; those who are not go to the last place."""
        places: list[int] = []
        for key, again, _ in asked:
            places.append(self._place(key, places) if key is not None and again else self.slots)
        for key, again, _ in asked:
            if key is not None and key in self._places and not again:
                self._free.append(self._places.pop(key))
        return places

    def _place(self, key: bytes, taken: Sequence[int]) -> int:
        if key not in self._places:
            if not self._free:
                oldest = next(iter(self._places))
                if self._places[oldest] in taken:
                    # Of two who are written at once to one place, either might be left.
                    return self.slots
                self._free.append(self._places.pop(oldest))
            self._places[key] = self._free.pop()
        self._places.move_to_end(key)
        return self._places[key]

    def _storage(self, made: Persons | None) -> Persons:
        if self._stored is None:
            if made is None:
                raise RuntimeError('a pool that was never written cannot be read')
            room = self.slots + 1
            self._stored = Persons(*(x.new_zeros((room, *x.shape[1:])) for x in _rounded(made)))
        return self._stored


def _moves(
    asked: Sequence[_Asked], places: Sequence[int]
) -> list[dict[str, NDArray[np.int64 | np.bool_]]]:
    """For each person, whether they are ``known``, their ``source`` and their new ``place``.

    The source is a place of the pool for those who are known, else a row of the generated.
    """
    rows = itertools.count()
    return [
        dict(
            known=np.array(person.found is not None),
            source=np.array(next(rows) if person.found is None else person.found),
            place=np.array(place),
        )
        for person, place in zip(asked, places, strict=True)
    ]


def _rounded(kept: Persons) -> Persons:
    colours, matte = kept.made[:, :3], kept.made[:, 3:]
    made = torch.cat([colours, 255 * matte], dim=1).clamp(0, 255).round().to(torch.uint8)
    return Persons(made, kept.joints_ok, kept.accepted)


def _restored(kept: Persons) -> Persons:
    colours, matte = kept.made[:, :3], kept.made[:, 3:]
    return Persons(torch.cat([colours, matte / 255], dim=1), kept.joints_ok, kept.accepted)


def _gather(sent: dict[str, Tensor], stored: Persons, made: Persons | None) -> Persons:
    """Persons by ``source``: a place of the pool where they are ``known``, else a row of made."""
    if made is None:
        return _restored(Persons(*(x.index_select(0, sent['source']) for x in stored)))
    known, source = sent['known'], sent['source']
    # The other's index is 0: it is read, and not used.
    old = _restored(Persons(*(x.index_select(0, source * known) for x in stored)))
    new = (x.index_select(0, source * ~known) for x in made)
    return Persons(
        *(
            torch.where(known.view(-1, *[1] * (a.dim() - 1)), a, b)
            for a, b in zip(old, new, strict=True)
        )
    )
