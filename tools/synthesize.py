"""Expand a COCO keypoint data set: its persons in new poses, as images and one COCO json.

Writes into OUT: plan.json and plan.npy (what is going to be made), images/, parts/ (what has been
made), and at the end person_keypoints.json, refused.json (attempts that gave no image, and why),
sheet.png (look at it first) and report/index.html, a page to review it on. The same command writes
the same bytes, and finishes what was interrupted. The exit status is 0 also where --max-attempts
gave fewer images than asked for, which is said on stderr. What the report exports is applied by
--apply-review REVIEW --out OUT.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine import fileio
from rich.console import Console

from pg2aug.augment import GeneratorFile, LabelCheck, Synthesizer
from pg2aug.augment.eligibility import restrict_bank
from pg2aug.augment.settings import SynthesisSettings
from pg2aug.augment.synthesis.inference import network_dtype
from pg2aug.cli.expand_options import make_parser, parse_review
from pg2aug.datasets.coco_files import ANNOTATION_FILE
from pg2aug.expansion import (
    ImageFolder,
    Job,
    Output,
    PlanRequest,
    Ranks,
    SourceFilter,
    Summary,
    expand,
    expansion_info,
    load_sources,
)
from pg2aug.expansion.plan.plan_file import ITEMS_FILE, PLAN_FILE
from pg2aug.expansion.report.page import remove_partial_report, write_report
from pg2aug.expansion.report.review import REVIEWED_FILE, apply_review
from pg2aug.expansion.work.progress import progress_display
from pg2aug.expansion.work.ranks import local_device_index
from pg2aug.expansion.write.coco import described_check
from pg2aug.expansion.write.merge import REFUSED_FILE
from pg2aug.expansion.write.output_folder import file_sha256
from pg2aug.poses import PoseBank, Skeleton
from pg2aug.registry import MODELS


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    argv = sys.argv[1:] if argv is None else argv
    # A review needs nothing but the folder.
    if (review := parse_review(argv)) is not None:
        return review
    parser = make_parser(__doc__)
    args = parser.parse_args(argv)
    trained = args.config is not None and args.checkpoint is not None
    untrained = args.limb_warp is not None and args.size is not None
    given = (args.config, args.checkpoint, args.limb_warp, args.size)
    if trained == untrained or sum(value is not None for value in given) != 2:
        parser.error('give --config and --checkpoint, or --limb-warp and --size')
    if untrained and args.coarse:
        parser.error('--coarse is for a trained generator: --limb-warp has one stage only')
    if args.detail != 1 and args.limb_warp is not None:
        parser.error('--detail is for a trained generator: --limb-warp is as fine as its --size')
    if args.seed >= 1 << 63:
        parser.error(f'--seed must be less than 2**63, got {args.seed}')
    if args.seed < 0 or args.min_visible < 3 or not 0 <= args.min_joints_ok <= 1:
        parser.error('--seed must be 0 or more, --min-visible 3 or more, --min-joints-ok in [0, 1]')
    if args.max_view_change is not None and not 0 < args.max_view_change <= 180:
        parser.error(f'--max-view-change must be in (0, 180], got {args.max_view_change}')
    if args.report_items < 1:
        parser.error(f'--report-items must be at least 1, got {args.report_items}')
    if args.num is args.per_image is args.balance is None:
        parser.error('say how many images: --num, --per-image or --balance')
    return args


def build_check(config: dict[str, Any]) -> LabelCheck:
    try:
        check: LabelCheck = MODELS.build(dict(config, _scope_='pg2aug'))
    except (ImportError, KeyError, TypeError) as error:
        raise ValueError(f'--check {config} cannot be built: {error}') from error
    return check


@contextmanager
def chosen_device(name: str | None) -> Iterator[torch.device]:
    """The device to work on, set to give the same bytes today and tomorrow."""
    device = torch.device(name or ('cuda' if torch.cuda.is_available() else 'cpu'))
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'--device {name}: PyTorch finds no CUDA GPU; use --device cpu')
    if device.type == 'cuda' and device.index is None:
        device = torch.device('cuda', local_device_index())
        torch.cuda.set_device(device)
    cudnn, threads = torch.backends.cudnn, torch.get_num_threads()
    before = cudnn.benchmark, cudnn.deterministic
    # Neither whichever kernel is fastest today nor the number of threads may decide on rounding.
    cudnn.benchmark, cudnn.deterministic = False, True
    torch.set_num_threads(1)
    try:
        yield device
    finally:
        torch.set_num_threads(threads)
        cudnn.benchmark, cudnn.deterministic = before


def load_bank(path: str, skeleton: Skeleton, min_visible: int, ignore_names: bool) -> PoseBank:
    if not fileio.isfile(path):
        raise FileNotFoundError(f'pose bank {path!r} does not exist')
    if ignore_names and Path(path).suffix == '.json':
        bank = PoseBank.from_annotations([path], skeleton=skeleton)
    else:
        bank = PoseBank.load(path)
    return restrict_bank(bank, skeleton, min_visible, f'pose bank {path!r}')


def generator_config(args: argparse.Namespace) -> dict[str, Any]:
    if args.limb_warp is None:
        return dict(config=args.config, checkpoint=args.checkpoint, detail=args.detail)
    metainfo = dict(from_file=args.limb_warp)
    return dict(type='LimbWarpGenerator', metainfo=metainfo, size=args.size)


def build_job(args: argparse.Namespace, generator: GeneratorFile, device: torch.device) -> Job:
    skeleton, ignore_names = generator.skeleton, args.ignore_joint_names
    source_filter = SourceFilter(**filter_settings(args))
    folder = ImageFolder(args.img_root, args.max_pixels, args.follow_links)
    return Job(
        sources=load_sources(
            args.ann_file, folder, skeleton, args.min_visible, ignore_names, source_filter
        ),
        bank=load_bank(args.pose_bank, skeleton, args.min_visible, ignore_names),
        synthesizer=Synthesizer(
            generator.build(),
            None if args.no_check else build_check(args.check),
            SynthesisSettings(
                check=None if args.no_check else args.check,
                min_joints_ok=args.min_joints_ok,
                refine=not args.coarse,
                precision=args.precision,
            ),
            device=device,
        ),
        size=generator.size,
        padding=generator.padding,
        min_visible=args.min_visible,
        max_view_change=args.max_view_change,
    )


def filter_settings(args: argparse.Namespace) -> dict[str, Any]:
    return dict(
        min_size=args.min_size,
        max_overlap=args.max_overlap,
        max_hidden=args.max_hidden,
        truncated=not args.no_truncated,
    )


def make_info(args: argparse.Namespace, job: Job, generator: GeneratorFile) -> dict[str, Any]:
    names = 'seed', 'min_visible', 'max_view_change', 'min_joints_ok', 'coarse', 'crops'
    settings = {name: getattr(args, name) for name in names}
    settings['label_check'] = described_check(None if args.no_check else args.check)
    settings['source_filter'] = filter_settings(args)
    return expansion_info(job.sources, generator, args.config, args.pose_bank, **settings)


def run(args: argparse.Namespace, ranks: Ranks, device: torch.device) -> Summary | None:
    console = Console(quiet=ranks.rank > 0)
    output = Output(args.out, args.crops, args.shard_size, args.batch_size, args.max_attempts)
    request = PlanRequest(args.num, args.per_image, args.balance)
    generator = GeneratorFile.from_config(generator_config(args))
    job = build_job(args, generator, device)
    left_out = job.sources.left_out
    console.print(f'{len(job.sources.persons)} persons to start from, {left_out.total} left out')
    for line in left_out.lines():
        console.print(f'  left out {line}', highlight=False, markup=False, soft_wrap=True)
    console.print(f'{int((job.bank.weights > 0).sum())} poses to put them into')
    inputs = {
        'ann_file': file_sha256(args.ann_file),
        'max_pixels': args.max_pixels,
        'follow_links': args.follow_links,
        'device': device.type,
        'precision': str(network_dtype(args.precision, device)),
        'torch': torch.__version__,
        'numpy': np.__version__,
    }
    name = f'rank {ranks.rank} of {ranks.size}: ' if ranks.size > 1 else ''
    with progress_display(console, name) as report:
        summary = expand(
            job,
            output,
            request,
            args.seed,
            Path(generator.source).name,
            make_info(args, job, generator),
            inputs=inputs,
            workers=args.workers,
            ranks=ranks,
            report=report,
            plan_only=args.plan_only,
        )
    if args.plan_only and ranks.rank == 0:
        console.print(describe_plan(args.out), soft_wrap=True)
    if summary is not None:
        print_summary(args, summary)
        write_page(args, job)
    return summary


def write_page(args: argparse.Namespace, job: Job) -> None:
    if args.no_report:
        remove_partial_report(args.out)
        return
    files = dict(annotation_file=ANNOTATION_FILE, refused_file=REFUSED_FILE, plan_file=PLAN_FILE)
    try:
        page = write_report(args.out, job.sources, job.bank, **files, items=args.report_items)
    except (OSError, ValueError) as error:
        raise ValueError(
            f'the data set in {args.out} is complete, its report is not: {error}; the same command '
            'writes the report again, and needs the source images for it'
        ) from error
    print(f'report: {page}')


def describe_plan(folder: Path) -> str:
    plan = json.loads((folder / PLAN_FILE).read_bytes())
    items = np.load(folder / ITEMS_FILE, mmap_mode='r', allow_pickle=False)
    names = 'source_annotation_id', 'target_pose'
    persons, poses = (len(np.unique(items[name])) for name in names)
    text = f'{len(items)} images planned, of {persons} persons in {poses} poses -> {folder}'
    regions = plan.get('images_by_region')
    if regions is not None:
        pairs = zip(regions['before'], regions['added'], strict=True)
        text += '\n  by region of pose space, what is there + what is added: '
        text += ', '.join(f'{before} + {added}' for before, added in pairs)
    return text


def print_acceptance(report: dict[str, Any]) -> None:
    def share(counts: list[int]) -> str:
        seen, accepted = counts
        return f'{accepted / seen:.0%} of {seen}' if seen else '-'

    rarity = ', '.join(map(share, report['by_rarity']))
    joints = ', '.join(f'{name} {share(counts)}' for name, counts in report['by_joint'].items())
    print(f'label check: {share(report["persons"])} persons accepted')
    print(f'  by rarity of the pose, commonest tenth first: {rarity}')
    print(f'  by joint: {joints}')


def print_summary(args: argparse.Namespace, summary: Summary) -> None:
    print(f'{summary.accepted} images of {summary.attempts} attempts -> {args.out}')
    for reason, count in summary.refused.most_common():
        print(f'  refused {count}: {reason}')
    if not args.no_check:
        print_acceptance(summary.acceptance)
    if summary.accepted < summary.wanted:
        print(
            f'warning: only {summary.accepted} of {summary.wanted} images were made: the others '
            f'were given up after --max-attempts ({args.max_attempts}) each, or because the source '
            'image that they were to be of cannot be used',
            file=sys.stderr,
        )


def review(args: argparse.Namespace) -> None:
    folder = args.out
    done = apply_review(folder / ANNOTATION_FILE, args.apply_review, folder / REVIEWED_FILE)
    print(
        f'{done.accepted} persons accepted, {done.rejected} rejected, {done.not_reviewed} not '
        f'reviewed and kept\n{done.images} images, {done.images_removed} left out -> {done.path}'
    )


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        if args.apply_review is not None:
            review(args)
            return 0
        ranks = Ranks.join(args.launcher)
        with chosen_device(args.device) as device:
            summary = run(args, ranks, device)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f'error: the memory does not suffice ({error}): ask for less', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted: the same command goes on from here', file=sys.stderr)
        return 130
    if summary is None and ranks.size > 1 and not args.plan_only:
        print(f'rank {ranks.rank} of {ranks.size} is done; the last one merges', file=sys.stderr)
    return 0


if __name__ == '__main__':
    sys.exit(main())
