"""Images a second of the Synthesizer, over a plain loop and against the device's own limit."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.speed.counts import count_generator
from benchmarks.speed.plain import PlainSynthesizer, plain_copy
from benchmarks.speed.setup import crop_size, generator_config, load_generator, make_batch
from benchmarks.speed.timing import alternate, matmul_rates, ratio, remember, spread, timed
from pg2aug.augment import AppearanceCheck, Synthesizer
from pg2aug.augment.settings import SynthesisSettings


@dataclass(frozen=True)
class SynthesizerSize:
    """How large the measurement is.

    Attributes:
        generators: Names of configs/pg2; the first is the recommended one.
        batch_size: Persons at once.
        frame: (width, height) of the images that they are put into.
        rounds: Times that all take turns.
        matmul: Side of the matrices whose product is timed.
        modes: Further settings of the Synthesizer that take their turn, by name.
    """

    generators: tuple[str, ...]
    batch_size: int
    frame: tuple[int, int]
    rounds: int
    matmul: int
    modes: dict[str, dict[str, Any]] = field(default_factory=dict)


def measure_synthesizer(
    generator: str, people: Path, size: SynthesizerSize, work_dir: Path, device: str
) -> dict[str, Any]:
    """Both loops over the same persons, with the same weights and the same check."""
    model = load_generator(generator, work_dir / 'generators')
    batch = make_batch(people, size.batch_size, crop_size(generator), size.frame)
    plain = PlainSynthesizer(plain_copy(model, device), AppearanceCheck(), device)
    calls = {'plain': lambda: timed(lambda: plain(batch))}
    for mode, settings in {'fast': {}, **size.modes}.items():
        synthesizer = Synthesizer(
            model, AppearanceCheck(), SynthesisSettings(**settings), size.batch_size, device
        )
        calls[mode] = lambda run=synthesizer: timed(
            lambda: run(batch.images, batch.plans, batch.matrices)
        )
    seconds = alternate(calls, size.rounds)
    rates = {
        f'{name}_images_per_second': spread([size.batch_size / s for s in seconds[name]])
        for name in ('plain', 'fast')
    }
    modes = {name: ratio(seconds, 'plain', name) for name in size.modes}
    return {'speedup': ratio(seconds, 'plain', 'fast'), 'modes': modes, **rates}


def run_synthesizer(
    size: SynthesizerSize, people: Path, work_dir: Path, device: str
) -> dict[str, Any]:
    """The part ``synthesizer``."""
    folder = work_dir / 'synthesizer'
    matmul = remember(
        folder / 'matmul.json', lambda: matmul_rates(device, size.rounds, size.matmul)
    )
    best = max(rate['median'] for rate in matmul.values())
    measured = {}
    for name in size.generators:
        entry = remember(
            folder / f'{name}.json',
            lambda n=name: measure_synthesizer(n, people, size, work_dir, device),
        )
        counts = count_generator(generator_config(name))
        operations = 2 * sum(network['forward'] for network in counts.values())
        rates = entry['fast_images_per_second']['runs']
        measured[name] = entry | {
            'fraction_of_matmul_rate': spread([rate * operations / best for rate in rates])
        }
    return {
        'synthesizer_speedup': measured[size.generators[0]]['speedup'],
        'synthesizer': measured,
        'matmul_operations_per_second': matmul,
        'synthesizer_batch_size': size.batch_size,
        'synthesizer_frame': list(size.frame),
    }
