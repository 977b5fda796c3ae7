"""What PG2Augment costs, and how fast synthesis and training are beside plain implementations.

Usage: python -m benchmarks.speed [--size cpu|gpu] [--parts step synthesizer ...] [--again]

Counts operations and bytes, then times: steps of MMPose trainings with PG2Augment and without; the
Synthesizer and PG2's training beside eager float32 loops; and offline expansion. What is compared
takes turns. What is measured already, in the work directory, is not measured again, so that an
interrupted run is simply started again; --again forgets it first. Results go to
docs/results/speed.{json,md}, which keep what was measured on the other kind of device.
"""

import argparse
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.common.files import RESULTS, ROOT
from benchmarks.speed.counts import run_counts
from benchmarks.speed.offline import run_offline
from benchmarks.speed.report import report
from benchmarks.speed.setup import load_people
from benchmarks.speed.sizes import SIZES
from benchmarks.speed.step import run_steps
from benchmarks.speed.synthesizer import run_synthesizer
from benchmarks.speed.training import run_training

PARTS = ('step', 'synthesizer', 'training', 'offline')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', choices=SIZES, default='cpu')
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=PARTS, help='what to measure')
    parser.add_argument('--again', action='store_true', help='measure these parts anew')
    parser.add_argument('--work-dir', type=Path)
    parser.add_argument('--out', type=Path, default=RESULTS / 'speed')
    args = parser.parse_args()
    args.work_dir = (args.work_dir or ROOT / 'work_dirs' / f'speed_{args.size}').resolve()
    if (args.size == 'gpu') != torch.cuda.is_available():
        parser.error(
            f'--size {args.size} cannot be measured here: PyTorch finds '
            f'{"a" if torch.cuda.is_available() else "no"} GPU (CUDA_VISIBLE_DEVICES= hides one)'
        )
    return args


def measure(args: Any) -> dict[str, Any]:
    """Run the parts that are asked for."""
    size, work_dir = SIZES[args.size], args.work_dir
    device = 'cuda' if args.size == 'gpu' else 'cpu'
    people = load_people(work_dir, size.people, size.image_size)
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        'step': lambda: run_steps(size.step, people, work_dir),
        'synthesizer': lambda: run_synthesizer(size.synthesizer, people, work_dir, device),
        'training': lambda: run_training(size.training, people, work_dir),
        'offline': lambda: run_offline(size.offline, people, work_dir),
    }
    measured: dict[str, Any] = {}
    for part in args.parts:
        if args.again:
            shutil.rmtree(work_dir / part, ignore_errors=True)
        measured |= runs[part]()
    return measured


def main() -> None:
    """Count, measure, write the report."""
    args = parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    counts = run_counts()
    load = os.getloadavg()[0]
    measured = measure(args)
    report(args, counts, measured, [load, os.getloadavg()[0]])


if __name__ == '__main__':
    main()
