"""Expand a COCO keypoint data set: its persons in new poses, as images and one COCO json.

Writes into OUT: plan.json and plan.npy (what is going to be made), images/, parts/ (what has been
made), and at the end person_keypoints.json, refused.json (attempts that gave no image, and why),
sheet.png (look at it first) and report/index.html, a page to review it on. The same command writes
the same bytes, and finishes what was interrupted. The exit status is 0 also where --max-attempts
gave fewer images than asked for, which is said on stderr. What the report exports is applied by
--apply-review REVIEW --out OUT.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine import fileio
from rich.console import Console

from pg2aug.augment import GeneratorFile, Synthesizer
from pg2aug.augment.eligibility import restrict_bank
from pg2aug.augment.settings import SynthesisSettings
from pg2aug.augment.synthesis.inference import network_dtype
from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.expand_options import make_parser, parse_review
from pg2aug.cli.printing import print, printable
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
from pg2aug.expansion.report.page import COMMAND, REPORT_FOLDER, write_report
from pg2aug.expansion.report.review import REVIEWED_FILE, apply_review
from pg2aug.expansion.work.progress import progress_display
from pg2aug.expansion.work.ranks import local_device_index
from pg2aug.expansion.write.coco import described_check
from pg2aug.expansion.write.output_folder import OutputFolder
from pg2aug.poses import PoseBank, Skeleton
from pg2aug.utils.files import file_sha256, load_json, naming
from pg2aug.utils.output import remove_unfinished


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    argv = sys.argv[1:] if argv is None else list(argv)
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
    if args.seed < 0:
        parser.error(f'--seed must be 0 or more, got {args.seed}')
    try:
        args.settings = synthesis_settings(args)
    except ValueError as error:
        parser.error(str(error))
    if args.report_items < 1:
        parser.error(f'--report-items must be at least 1, got {args.report_items}')
    if args.num is args.per_image is args.balance is None:
        parser.error('say how many images: --num, --per-image or --balance')
    return args


def synthesis_settings(args: argparse.Namespace) -> SynthesisSettings:
    """What the command line sets of the synthesis.

    Raises:
        ValueError: If a setting is out of range.
    """
    return SynthesisSettings(
        check=None if args.no_check else args.check,
        min_joints_ok=args.min_joints_ok,
        min_visible=args.min_visible,
        max_view_change=args.max_view_change,
        refine=not args.coarse,
        precision=args.precision,
    )


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
    """The bank of a file, without poses that no person can be put into.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no such pose, or is no bank.
    """
    if not fileio.isfile(path):
        raise FileNotFoundError(f'pose bank {path!r} does not exist')
    if ignore_names and Path(path).suffix == '.json':
        bank = PoseBank.from_annotations([path], skeleton=skeleton)
    else:
        bank = PoseBank.load(path)
    return restrict_bank(bank, skeleton, min_visible, f'pose bank {path!r}')


def generator_config(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line says of the generator, as PG2Augment has it."""
    if args.limb_warp is None:
        return dict(config=args.config, checkpoint=args.checkpoint, detail=args.detail)
    metainfo = dict(from_file=args.limb_warp)
    return dict(type='LimbWarpGenerator', metainfo=metainfo, size=args.size)


def build_job(args: argparse.Namespace, generator: GeneratorFile, device: torch.device) -> Job:
    """All that an expansion works with, read and checked."""
    skeleton, ignore_names = generator.skeleton, args.ignore_joint_names
    source_filter = SourceFilter(**filter_settings(args))
    folder = ImageFolder(args.img_root, args.max_pixels, args.follow_links)
    return Job(
        sources=load_sources(
            args.ann_file,
            folder,
            skeleton,
            args.min_visible,
            ignore_names,
            source_filter,
            args.category,
        ),
        bank=load_bank(args.pose_bank, skeleton, args.min_visible, ignore_names),
        synthesizer=Synthesizer(
            generator.build(), args.settings.build_check(), args.settings, device=device
        ),
        size=generator.size,
        padding=generator.padding,
        min_visible=args.min_visible,
        max_view_change=args.max_view_change,
    )


def filter_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Which persons may be sources."""
    return dict(
        min_size=args.min_size,
        max_overlap=args.max_overlap,
        max_hidden=args.max_hidden,
        truncated=not args.no_truncated,
    )


def make_info(args: argparse.Namespace, job: Job, generator: GeneratorFile) -> dict[str, Any]:
    """The description of the expansion that its COCO file carries."""
    names = 'seed', 'min_visible', 'max_view_change', 'min_joints_ok', 'coarse', 'crops'
    settings = {name: getattr(args, name) for name in names}
    settings['label_check'] = described_check(args.settings.check)
    settings['source_filter'] = filter_settings(args)
    return expansion_info(job.sources, generator, args.config, args.pose_bank, **settings)


def run(args: argparse.Namespace, ranks: Ranks, device: torch.device) -> Summary | None:
    """Expand, and print and write what came of it; None where another process merges."""
    console = Console(quiet=ranks.rank > 0)
    output = Output(args.out, args.crops, args.shard_size, args.batch_size, args.max_attempts)
    request = PlanRequest(args.num, args.per_image, args.balance)
    generator = GeneratorFile.from_config(generator_config(args))
    job = build_job(args, generator, device)
    if not (args.out / ANNOTATION_FILE).exists():
        sources = job.sources
        sources.folder.check_sample([sources.images[i]['file_name'] for i in sources.person_images])
    left_out = job.sources.left_out
    console.print(f'{len(job.sources.persons)} persons to start from, {left_out.total} left out')
    for line in left_out.lines():
        console.print(
            printable(f'  left out {line}'), highlight=False, markup=False, soft_wrap=True
        )
    console.print(f'{int((job.bank.weights > 0).sum())} poses to put them into')
    inputs = {
        'ann_file': file_sha256(args.ann_file),
        **({} if args.category is None else {'category': args.category}),
        'max_pixels': args.max_pixels,
        'follow_links': args.follow_links,
        'device': device.type,
        'precision': str(network_dtype(args.precision, device)),
        'torch': torch.__version__,
        'numpy': np.__version__,
    }

    def finish(summary: Summary) -> None:
        print_summary(args, summary)
        write_page(args, job, summary)

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
            finish=finish,
            plan_only=args.plan_only,
        )
    if args.plan_only and ranks.rank == 0:
        console.print(describe_plan(args.out), soft_wrap=True)
    return summary


def write_page(args: argparse.Namespace, job: Job, summary: Summary) -> None:
    """Write the report, or remove what is left of one.

    Raises:
        ValueError: If it cannot be written.
    """
    if args.no_report:
        remove_unfinished(args.out / REPORT_FOLDER, COMMAND)
        return
    try:
        page = write_report(
            args.out, job.sources, job.bank, regions=summary.regions, items=args.report_items
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f'the data set in {args.out} is complete, its report is not: {error}; the same command '
            'writes the report again, and needs the source images for it'
        ) from error
    print(f'report: {page}')


def describe_plan(folder: Path) -> str:
    """What a plan holds, in a line or two."""
    plan = load_json(folder / PLAN_FILE)
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


def print_summary(args: argparse.Namespace, summary: Summary) -> None:
    """Print what was made and what was refused; warn where it is less than was asked for."""
    for line in summary.lines(args.out, checked=not args.no_check):
        print(line)
    if summary.accepted < summary.wanted:
        print(
            f'warning: only {summary.accepted} of {summary.wanted} images were made: the others '
            f'were given up after --max-attempts ({args.max_attempts}) each, or because the source '
            'image that they were to be of cannot be used',
            file=sys.stderr,
        )


def review(args: argparse.Namespace) -> None:
    """Write the annotations without what a review rejects."""
    folder = args.out
    OutputFolder(folder).check_alone()
    annotations = folder / ANNOTATION_FILE
    with naming(annotations, args.apply_review):
        done = apply_review(annotations, args.apply_review, folder / REVIEWED_FILE)
    print(
        f'{done.accepted} persons accepted, {done.rejected} rejected, {done.not_reviewed} not '
        f'reviewed and kept\n{done.images} images, {done.images_removed} left out -> {done.path}'
    )


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Expand, or apply a review; the exit status."""
    args = parse_args(argv)
    if args.apply_review is not None:
        review(args)
        return 0
    ranks = Ranks.join(args.launcher)
    try:
        with chosen_device(args.device) as device:
            summary = run(args, ranks, device)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt('the same command goes on from here') from error
    if summary is None and ranks.size > 1 and not args.plan_only:
        print(f'rank {ranks.rank} of {ranks.size} is done; the last one merges', file=sys.stderr)
    return 0
