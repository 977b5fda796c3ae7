"""What an expansion to very many images costs in time, memory and disk, besides synthesis.

Tiny procedural people are expanded as tools/synthesize.py does it: planned, read, poses fitted,
labelled, encoded, written, recorded and merged; then the same is asked for again. The synthesis
itself is left out, unless --synthesize is given: an image stays as it is. Prints a json with the
rate, the memory in use at each tenth and at the end of the merge, and what lies in the output
folder. --plan-only plans for as many persons and poses as COCO has, and makes nothing.
"""

import argparse
import json
import resource
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pg2aug.augment import GeneratorFile, Plan, Synthesizer
from pg2aug.augment.eligibility import restrict_bank
from pg2aug.augment.synthesis.synthesizer import Persons
from pg2aug.expansion import (
    ImageFolder,
    Job,
    Output,
    PlanRequest,
    Progress,
    expand,
    load_sources,
    make_plan,
)
from pg2aug.expansion.plan.draws import PoseRegions
from pg2aug.expansion.plan.expansion_plan import Draws
from pg2aug.figures import make_figures
from pg2aug.poses import PoseBank

METAINFO = dict(from_file='configs/_base_/datasets/coco.py')
SIZE = (24, 32)
PEOPLE, IMAGES = 150_000, 64_000
PAGE = resource.getpagesize()


class LeftOut(Synthesizer):
    """A synthesizer that accepts everybody and changes nothing."""

    def generate(self, plans: Sequence[Plan]) -> Persons:
        """Nobody, accepted."""
        people, joints = len(plans), self.skeleton.num_keypoints
        shown = torch.ones(people, joints, dtype=torch.bool)
        made = torch.zeros(people, 4, 1, 1)
        return Persons(made, made[:, :3], shown, torch.ones(people, dtype=torch.bool))

    def composite(
        self, images: Tensor, plans: Sequence[Plan], persons: Tensor, matrices: Tensor
    ) -> Tensor:
        """The images as they are."""
        return images.float()


def make_job(folder: Path, synthesize: bool) -> Job:
    """People to expand, made once; their own poses are the bank."""
    if not folder.exists():
        make_figures(folder, 60, 10, size=(32, 48), rare_fraction=0.2, seed=1)
    ann_file = folder / 'person_keypoints_train.json'
    generator = GeneratorFile.from_config(
        dict(type='LimbWarpGenerator', metainfo=METAINFO, size=SIZE)
    )
    kind = Synthesizer if synthesize else LeftOut
    images = ImageFolder(str(folder / 'images' / 'train'))
    return Job(
        sources=load_sources(ann_file, images, generator.skeleton),
        bank=restrict_bank(PoseBank.load(ann_file), generator.skeleton, 8, 'bank'),
        synthesizer=kind(generator.build(), check=None),
        size=SIZE,
        padding=1.25,
    )


def memory_mb() -> float:
    """Memory that this process has in use."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * PAGE / 1e6


def folder_megabytes(path: Path) -> float:
    """Size of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob('*') if file.is_file()]
    return round(sum(file.stat().st_size for file in files) / 1e6, 1)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Expand, and take the time, the memory and the space."""
    job = make_job(args.work_dir / 'people', args.synthesize)
    out = args.work_dir / 'out'
    shutil.rmtree(out, ignore_errors=True)
    marks: list[dict[str, float]] = []
    started = time.monotonic()

    def report(progress: Progress) -> None:
        if progress.done >= len(marks) * args.num // 10:
            seconds = round(time.monotonic() - started, 1)
            mark = {'images': progress.done, 'seconds': seconds, 'memory_mb': round(memory_mb())}
            marks.append(mark)
            print(json.dumps(mark), flush=True)

    output = Output(out, shard_size=args.shard_size, batch_size=64)
    expand(job, output, PlanRequest(args.num), 0, 'none', {}, report=report)
    total = time.monotonic() - started
    memory = memory_mb()
    started = time.monotonic()
    expand(job, output, PlanRequest(args.num), 0, 'none', {}, report=lambda progress: None)
    again = time.monotonic() - started
    sizes = {path.name: folder_megabytes(path) for path in sorted(out.iterdir())}
    return {
        'synthesized': args.synthesize,
        'marks': marks,
        'merge_seconds': round(total - marks[-1]['seconds'], 1),
        'memory_after_merge_mb': round(memory),
        'again_seconds': round(again, 1),
        'peak_memory_mb': round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        'folders': len([path for path in (out / 'images').iterdir() if path.is_dir()]),
        'images': sum(1 for _ in (out / 'images').rglob('*.jpg')),
        'parts': len(list((out / 'parts').iterdir())),
        'megabytes': sizes,
    }


def measure_plan(num: int) -> dict[str, Any]:
    """Plan alone."""
    rng = np.random.default_rng(0)
    starts = np.linspace(0, PEOPLE, IMAGES + 1).astype(np.int64)
    draws = Draws(PoseRegions.group(rng.random(PEOPLE)), rng.permutation(PEOPLE), starts, 0)
    started = time.monotonic()
    plan = make_plan(draws, np.zeros(1, np.int64), PlanRequest(num))
    return {
        'images': num,
        'seconds': round(time.monotonic() - started, 1),
        'peak_memory_mb': round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        'plan_mb': round(plan.items.nbytes / 1e6),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--num', type=int, default=100_000, help='images')
    parser.add_argument('--shard-size', type=int, default=10_000, help='images in a folder')
    parser.add_argument('--synthesize', action='store_true', help='make the persons, too')
    parser.add_argument('--plan-only', action='store_true', help='make no images')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/scale_offline'))
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = measure_plan(args.num) if args.plan_only else measure(args)
    print(json.dumps(found, indent=1))


if __name__ == '__main__':
    main()
