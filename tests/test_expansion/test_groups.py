import random

import pytest

from pg2aug.expansion.work.groups import Group


def line(item, number, rounds):
    made = {} if number + 1 == rounds[item] else None
    return {'item': item, 'next': number + 1, 'refused': [], 'made': made}


class Lines:
    """A part in memory: which lines of each item are there."""

    def __init__(self, rounds, there):
        self.items = range(len(rounds))
        self.lines = [
            [line(item, k, rounds) for k in range(count)] for item, count in enumerate(there)
        ]

    def read(self):
        return dict(enumerate(map(list, self.lines)))

    def is_done(self, lines):
        return bool(lines) and lines[-1]['made'] is not None


def slow_steps(rounds, there, batch_size):
    """All batches of all rounds, but for those that lack no line."""
    for number in range(max(rounds)):
        items = [item for item, count in enumerate(rounds) if count > number]
        for start in range(0, len(items), batch_size):
            batch = items[start : start + batch_size]
            missing = {item for item in batch if there[item] <= number}
            if missing:
                yield batch, [number] * len(batch), missing


@pytest.mark.parametrize('seed', range(20))
def test_what_is_to_be_made_is_what_a_loop_finds(seed):
    rng = random.Random(seed)
    count, batch_size = rng.randint(1, 20), rng.randint(1, 6)
    rounds = [rng.randint(1, 4) for _ in range(count)]
    there = [rng.randint(0, most) if seed % 4 else 0 for most in rounds]
    group, steps = Group(Lines(rounds, there), batch_size), []
    while not group.is_done:
        step = group.next_step()
        steps.append((step.items, step.first, step.missing))
        lines = [line(i, n, rounds) for i, n in zip(step.items, step.first, strict=True)]
        assert {new['item'] for new in group.add(step, lines)} == step.missing
    assert steps == list(slow_steps(rounds, there, batch_size))
    assert [len(found) for found in group.lines.values()] == rounds
