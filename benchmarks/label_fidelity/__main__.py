"""Do synthesised people stand as their labels say? A judge who knows all poses tells.

Usage: python -m benchmarks.label_fidelity [--size cpu|gpu] [--data figures|balance4view]

A pose estimator (the judge) learns from true images with all poses well covered. It then looks at
people synthesised in rare and in common target poses, and at the true images of the same people in
the same poses. What it finds on the synthesised as a share of what it finds on the true images says
how far labels and pixels agree; copies of the source must score near zero. Every step is skipped
where its result is in the work directory, so that an interrupted run is simply started again.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.files import METAINFO, RESULTS, ROOT, check_settings
from benchmarks.label_fidelity.arms import (
    ARMS,
    Trial,
    body_error,
    judge_images,
    load_generator,
    make_trial,
    moved_joints,
    synthesize,
)
from benchmarks.label_fidelity.report import report
from benchmarks.label_fidelity.training import SIZES, Size, load_judge, train_generator, train_judge
from benchmarks.label_fidelity.worlds import World, balance4view_world, figures_world

SHEET_TRIALS = 8


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', choices=SIZES, default='cpu')
    parser.add_argument('--data', choices=('figures', 'balance4view'), default='figures')
    parser.add_argument('--data-root', type=Path, default=ROOT / 'data' / 'balance4view')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--per-person', type=int, default=4, help='targets of each kind')
    parser.add_argument('--arms', nargs='+', choices=ARMS, default=list(ARMS))
    parser.add_argument('--jobs', type=int, default=2, help='trainings at a time')
    parser.add_argument('--work-dir', type=Path)
    parser.add_argument('--out', type=Path, default=RESULTS)
    args = parser.parse_args()
    default = ROOT / 'work_dirs' / f'label_fidelity_{args.data}_{args.size}'
    args.work_dir = (args.work_dir or default).resolve()
    return args


def run_seed(seed: int, world: World, judge: Any, args: Any, size: Size, device: str) -> None:
    """Judge all arms of a seed; one file of results each."""
    skeleton = world.skeleton
    results = args.work_dir / 'results' / str(seed)
    missing = [name for name in args.arms if not (results / f'{name}.npz').exists()]
    if not missing:
        return
    results.mkdir(parents=True, exist_ok=True)
    made = [
        make_trial(source, target, skeleton, size.crop, (96, 128))
        for source, target in world.trials(seed, args.per_person)
    ]
    trials = [trial for trial in made if trial is not None]
    visible = np.stack([trial.plan.target_visible > 0 for trial in trials])
    keypoints = np.stack([trial.keypoints for trial in trials])
    true_images = np.stack([trial.true_image for trial in trials])
    true_keypoints = np.stack([trial.true_keypoints for trial in trials])
    hits, confirmed = judge_images(judge, true_images, true_keypoints, visible, device)
    common = dict(
        rare=np.array([trial.rare for trial in trials]),
        family=np.array([trial.family for trial in trials]),
        visible=visible,
        true_hits=hits,
        true_confirmed=confirmed,
        moved=moved_joints(trials),
        asked=len(made),
    )
    shown = sheet_trials(trials)
    _save(
        results / 'trials.npz',
        true_images=true_images,
        shown=shown,
        source=np.stack([trials[i].plan.condition for i in shown]),
    )
    for name in missing:
        arm = ARMS[name]
        folder = args.work_dir / 'generators' / f'{arm.training}_{seed}'
        generator = load_generator(arm, folder if arm.training else None, METAINFO, size.crop)
        images, accepted = synthesize(arm, generator, trials, device)
        hits, confirmed = judge_images(judge, images, keypoints, visible, device)
        _save(
            results / f'{name}.npz',
            hits=hits,
            confirmed=confirmed,
            accepted=accepted,
            error=body_error(trials, images, skeleton),
            images=images,
            **common,
        )


def _save(path: Path, **arrays: Any) -> None:
    partial = path.with_name(f'.{path.name}')
    np.savez_compressed(partial, **arrays)
    os.replace(partial, path)


def sheet_trials(trials: list[Trial]) -> list[int]:
    """Rare trials and common ones, evenly spread over the people."""
    chosen = []
    for kind in (True, False):
        indices = [i for i, trial in enumerate(trials) if trial.rare == kind]
        chosen += [indices[i] for i in np.linspace(0, len(indices) - 1, SHEET_TRIALS).astype(int)]
    return chosen


def main() -> None:
    """Train what is missing, judge what is not judged yet, write the report."""
    args = parse_args()
    size = SIZES[args.size]
    args.work_dir.mkdir(parents=True, exist_ok=True)
    check_settings(args.work_dir, {**asdict(size), 'per_person': args.per_person})
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if args.data == 'figures':
        data = args.work_dir / 'figures'
        world = figures_world(data, args.seeds, size.judge_people, size.people)
    else:
        world = balance4view_world(args.data_root.resolve(), args.seeds)
    trainings = sorted({ARMS[name].training for name in args.arms} - {None})
    jobs = [(training, seed) for seed in args.seeds for training in trainings]
    with ThreadPoolExecutor(args.jobs) as pool:
        started = [
            pool.submit(
                train_generator, name, seed, world.train[seed], args.work_dir, size, args.jobs
            )
            for name, seed in jobs
        ]
        checkpoint = train_judge(world.judge, args.work_dir / 'judge', size)
        for future in started:
            future.result()
    judge = load_judge(checkpoint, device)
    for seed in args.seeds:
        run_seed(seed, world, judge, args, size, device)
    name = 'label_fidelity' if args.data == 'figures' else f'label_fidelity_{args.data}'
    report(args, asdict(size), args.out / name)


if __name__ == '__main__':
    main()
