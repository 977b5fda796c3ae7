"""Expanding a data set: a plan, everything that is missing of it, and the files of it."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from pg2aug.datasets.coco_files import ANNOTATION_FILE
from pg2aug.expansion.plan.expansion_plan import (
    ExpansionPlan,
    PlanRequest,
    make_draws,
    plan_expansion,
)
from pg2aug.expansion.plan.plan_file import FORMAT, read_items, write_plan
from pg2aug.expansion.work.attempts import Job
from pg2aug.expansion.work.items import Output, Recipe
from pg2aug.expansion.work.parts import GROUP_BATCHES, Part, group_items
from pg2aug.expansion.work.pipeline import Progress, make_parts
from pg2aug.expansion.work.ranks import Ranks
from pg2aug.expansion.write.merge import MissingImagesError, Summary, merge
from pg2aug.expansion.write.output_folder import OutputFolder


def expand(
    job: Job,
    output: Output,
    request: PlanRequest,
    seed: int,
    generator: str,
    info: Mapping[str, Any],
    *,
    inputs: Mapping[str, Any] | None = None,
    workers: int = 4,
    ranks: Ranks | None = None,
    report: Callable[[Progress], None] | None = None,
    finish: Callable[[Summary], None] | None = None,
    plan_only: bool = False,
) -> Summary | None:
    """Write new images and one COCO keypoint file, or what is missing of them.

    Everything follows from the arguments: the same ones write the same bytes, interrupted or not,
    in one process or several, each of which makes its own share of the plan. Whoever finishes last
    merges. An image that no attempt gives is left out.

    Args:
        job: Persons, poses and what synthesises.
        output: Where to, and in which form.
        request: How many images, and of what.
        seed: Of all draws; 0 or more.
        generator: Name of the generator, for the provenance of each person.
        info: The COCO file's ``info``; the counts are added.
        inputs: What else the result depends on: a run that is to be finished must agree.
        workers: Threads that read and write.
        ranks: The processes of this run; None for this one alone.
        report: Called after each batch.
        finish: Called at the end by the process that merges, before another run may begin.
        plan_only: Write the plan alone; the same call without it goes on from there.

    Returns:
        What came of it; None where other processes are not done yet, and of a plan alone.

    Raises:
        FileExistsError: If the folder holds anything else.
        OSError: If a file cannot be written.
        ValueError: If the folder holds an expansion with other settings, a number is out of range,
            or no attempt was accepted.
    """
    ranks = ranks or Ranks()
    if workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    folder = OutputFolder(output.root, ranks.rank)
    settings = {
        'format': FORMAT,
        'request': vars(request),
        'seed': seed,
        'output': {name: value for name, value in vars(output).items() if name != 'root'},
        'generator': generator,
        'info': dict(info),
        'inputs': dict(inputs or {}),
    }
    with ranks.agreed():
        folder.check_place(job.sources.folder)
        draws, regions = make_draws(job.sources, job.bank, request, seed)
        if ranks.rank == 0:
            write_plan(
                folder, lambda: plan_expansion(draws, regions, request), job.sources, settings
            )
        # Before anyone merges: what a merge reopens is not for the others to make.
        finished = set(folder.parts.glob('*.jsonl'))
    with folder.locked(), warnings.catch_warnings():
        # The limit is ours to tell.
        warnings.simplefilter('ignore', Image.DecompressionBombWarning)
        if plan_only:
            return None
        recipe = Recipe(
            job=job,
            plan=ExpansionPlan(read_items(folder), draws),
            folder=folder,
            provenance={'seed': seed, 'generator': generator},
            output=output,
        )
        report = report or (lambda progress: None)
        summary = _run(recipe, finished, info, workers, ranks, report)
        if summary is None:
            return None
        summary = replace(summary, regions=regions)
        if finish is not None:
            finish(summary)
        return summary


def _run(
    recipe: Recipe,
    finished: set[Path],
    info: Mapping[str, Any],
    workers: int,
    ranks: Ranks,
    report: Callable[[Progress], None],
) -> Summary | None:
    groups = group_items(len(recipe.plan.items), GROUP_BATCHES * recipe.output.batch_size)
    parts = [
        Part(recipe.folder, number, items, recipe.output.max_attempts)
        for number, items in enumerate(groups)
    ]
    own = parts[ranks.rank :: ranks.size]
    missing = [part for part in own if part.path not in finished]
    while True:
        progress = Progress(sum(len(part.items) for part in own))
        progress.done = progress.items - sum(len(part.items) for part in missing)
        report(progress)
        make_parts(recipe, missing, progress, workers, report)
        if not all(part.is_finished for part in parts):
            return None
        try:
            return _merge_once(recipe, parts, info)
        except MissingImagesError:
            # Other processes have nothing left to make: all is this one's.
            own, missing = parts, [part for part in parts if not part.is_finished]


def _merge_once(recipe: Recipe, parts: Sequence[Part], info: Mapping[str, Any]) -> Summary | None:
    """Merge, unless another process does it while this one waits."""
    path = recipe.folder.root / ANNOTATION_FILE
    before = _inode(path)
    with recipe.folder.merging():
        # While this one waited, another may have found images gone, and be making them.
        if _inode(path) != before or not all(part.is_finished for part in parts):
            return None
        return merge(recipe, parts, info)


def _inode(path: Path) -> int | None:
    return path.stat().st_ino if path.exists() else None
