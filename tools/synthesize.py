"""Expand a COCO keypoint data set: its persons in new poses, as images and one COCO json.

Writes images/, person_keypoints.json, refused.json (attempts that gave no image, and why),
sheet.png (look at it first) and report/index.html, a page to review it on, into OUT. The same
command writes the same bytes. The exit status is 0 also where --max-attempts gave fewer images than
asked for, which is said on stderr. What the report exports is applied by
--apply-review REVIEW --out OUT.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import DictAction
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pg2aug.augment import GeneratorFile, LabelCheck, Synthesizer
from pg2aug.augment.suitable import restrict_bank
from pg2aug.expansion import Job, Summary, expand, expansion_info, load_sources
from pg2aug.expansion.coco import described_check
from pg2aug.expansion.report import ITEMS, write_report
from pg2aug.expansion.review import REVIEWED_FILE, apply_review
from pg2aug.expansion.run import ANNOTATION_FILE, REFUSED_FILE
from pg2aug.poses import PoseBank, Skeleton
from pg2aug.registry import MODELS


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # A review needs nothing but the folder.
    new = not any(argument.startswith('--apply-review') for argument in argv or sys.argv)
    parser.add_argument('--config', metavar='CONFIG', help="a trained generator's")
    parser.add_argument('--checkpoint', metavar='CKPT', help="a trained generator's")
    parser.add_argument(
        '--limb-warp',
        metavar='METAINFO',
        help='instead of both: limbs laid into poses as they are, without any training; the joints '
        "as MMPose's files describe them, e.g. configs/_base_/datasets/coco.py",
    )
    parser.add_argument(
        '--size',
        nargs=2,
        type=int,
        metavar=('W', 'H'),
        help='size of the crops of --limb-warp, e.g. 192 256',
    )
    parser.add_argument('--ann-file', required=new, metavar='JSON', help='COCO keypoint json')
    parser.add_argument('--img-root', required=new, metavar='DIR', help='folder of its images')
    parser.add_argument(
        '--pose-bank',
        required=new,
        metavar='BANK',
        help='.npz of build_pose_bank.py, or COCO json',
    )
    parser.add_argument('--num', required=new, type=int, metavar='N', help='images to make')
    parser.add_argument('--seed', type=int, default=0, metavar='S')
    parser.add_argument(
        '--out', required=True, type=Path, metavar='DIR', help='new or empty folder'
    )
    parser.add_argument('--batch-size', type=int, default=16, metavar='B')
    parser.add_argument('--device', metavar='D', help='a GPU if there is one, else cpu')
    parser.add_argument(
        '--max-attempts', type=int, metavar='N', help='when to give up (default: 20 an image)'
    )
    parser.add_argument(
        '--min-visible', type=int, default=8, metavar='N', help='joints a person must show'
    )
    parser.add_argument(
        '--max-view-change',
        type=float,
        metavar='DEGREES',
        help='how far a person may be turned: 120 keeps fronts from becoming backs (default: any)',
    )
    parser.add_argument(
        '--min-joints-ok',
        type=float,
        default=0.7,
        metavar='F',
        help="share of a new person's joints that must pass the label check (default: 0.7)",
    )
    check = parser.add_mutually_exclusive_group()
    check.add_argument(
        '--check',
        nargs='+',
        action=DictAction,
        type=key_value,
        default=dict(type='AppearanceCheck'),
        metavar='KEY=VALUE',
        help='label check, e.g. max_distance=40, or type=PoseModelCheck config=... checkpoint=..., '
        'or type=MODULE.CLASS (default: AppearanceCheck)',
    )
    check.add_argument(
        '--no-check', action='store_true', help='keep every image and label, right or wrong'
    )
    parser.add_argument(
        '--coarse', action='store_true', help='images of stage 1 alone, not refined by stage 2'
    )
    parser.add_argument(
        '--ignore-joint-names',
        action='store_true',
        help="take the joints of --ann-file and of a json bank to be the generator's, in its order",
    )
    report = parser.add_mutually_exclusive_group()
    report.add_argument('--no-report', action='store_true', help='write no report/index.html')
    report.add_argument(
        '--report-items',
        type=int,
        default=ITEMS,
        metavar='N',
        help=f'new persons that the report shows, at most (default: {ITEMS})',
    )
    parser.add_argument(
        '--apply-review',
        type=Path,
        metavar='REVIEW',
        help=f'with --out alone: write {REVIEWED_FILE} into that folder, the annotations without '
        "what the report's export rejects",
    )
    args = parser.parse_args(argv)
    if args.apply_review is not None:
        return args
    trained = args.config is not None and args.checkpoint is not None
    untrained = args.limb_warp is not None and args.size is not None
    given = (args.config, args.checkpoint, args.limb_warp, args.size)
    if trained == untrained or sum(value is not None for value in given) != 2:
        parser.error('give --config and --checkpoint, or --limb-warp and --size')
    if untrained and args.coarse:
        parser.error('--coarse is for a trained generator: --limb-warp has one stage only')
    if args.seed < 0 or args.min_visible < 3 or not 0 <= args.min_joints_ok <= 1:
        parser.error('--seed must be 0 or more, --min-visible 3 or more, --min-joints-ok in [0, 1]')
    if args.report_items < 1:
        parser.error(f'--report-items must be at least 1, got {args.report_items}')
    if args.max_view_change is not None and not 0 < args.max_view_change <= 180:
        parser.error(f'--max-view-change must be in (0, 180], got {args.max_view_change}')
    return args


def key_value(text: str) -> str:
    if '=' not in text:
        raise argparse.ArgumentTypeError(f'{text!r} is not KEY=VALUE')
    return text


def build_check(config: dict[str, Any]) -> LabelCheck:
    try:
        check: LabelCheck = MODELS.build(dict(config, _scope_='pg2aug'))
    except (ImportError, KeyError, TypeError) as error:
        raise ValueError(f'--check {config} cannot be built: {error}') from error
    return check


def choose_device(name: str | None) -> torch.device:
    device = torch.device(name or ('cuda' if torch.cuda.is_available() else 'cpu'))
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'--device {name}: PyTorch finds no CUDA GPU; use --device cpu')
    # Whichever kernel is fastest today would make the bytes depend on the day.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return device


def load_bank(path: str, skeleton: Skeleton, min_visible: int, ignore_names: bool) -> PoseBank:
    if not Path(path).is_file():
        raise FileNotFoundError(f'pose bank {path!r} does not exist')
    if ignore_names and Path(path).suffix == '.json':
        bank = PoseBank.from_annotations([path], skeleton=skeleton)
    else:
        bank = PoseBank.load(path)
    return restrict_bank(bank, skeleton, min_visible, f'pose bank {path!r}')


def generator_config(args: argparse.Namespace) -> dict[str, Any]:
    if args.limb_warp is None:
        return dict(config=args.config, checkpoint=args.checkpoint)
    metainfo = dict(from_file=args.limb_warp)
    return dict(type='LimbWarpGenerator', metainfo=metainfo, size=args.size)


def build_job(args: argparse.Namespace, generator: GeneratorFile) -> Job:
    skeleton, ignore_names = generator.skeleton, args.ignore_joint_names
    return Job(
        sources=load_sources(
            args.ann_file, args.img_root, skeleton, args.min_visible, ignore_names
        ),
        bank=load_bank(args.pose_bank, skeleton, args.min_visible, ignore_names),
        synthesizer=Synthesizer(
            generator.build(),
            check=None if args.no_check else build_check(args.check),
            min_joints_ok=args.min_joints_ok,
            refine=not args.coarse,
            device=choose_device(args.device),
        ),
        size=generator.size,
        padding=generator.padding,
        seed=args.seed,
        min_visible=args.min_visible,
        max_view_change=args.max_view_change,
    )


def run(args: argparse.Namespace, console: Console) -> Summary:
    generator = GeneratorFile.from_config(generator_config(args))
    job = build_job(args, generator)
    left_out = sum(job.sources.left_out.values())
    console.print(f'{len(job.sources.persons)} persons to start from, {left_out} left out')
    console.print(f'{int((job.bank.weights > 0).sum())} poses to put them into')
    names = 'seed', 'min_visible', 'max_view_change', 'min_joints_ok', 'coarse'
    settings = {name: getattr(args, name) for name in names}
    settings['label_check'] = described_check(None if args.no_check else args.check)
    info = expansion_info(job.sources, generator, args.config, args.pose_bank, **settings)
    columns = (
        *(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
        TextColumn('{task.fields[rate]:.2f} images/s, {task.fields[refused]} refused'),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task('', total=args.num, rate=0.0, refused=0)

        def progress(summary: Summary) -> None:
            rate = summary.accepted / max(bar.tasks[0].elapsed or 0, 1e-9)
            refused = summary.refused.total()
            bar.update(task, completed=summary.accepted, rate=rate, refused=refused)

        summary = expand(
            job,
            args.out,
            args.num,
            Path(generator.source).name,
            info,
            batch_size=args.batch_size,
            max_attempts=args.max_attempts,
            progress=progress,
        )
    if not args.no_report:
        files = dict(annotation_file=ANNOTATION_FILE, refused_file=REFUSED_FILE)
        page = write_report(args.out, job.sources, job.bank, **files, items=args.report_items)
        console.print(f'report: {page}')
    return summary


def print_acceptance(report: dict[str, Any]) -> None:
    def share(counts: list[int]) -> str:
        seen, accepted = counts
        return f'{accepted / seen:.0%} of {seen}' if seen else '-'

    rarity = ', '.join(map(share, report['by_rarity']))
    joints = ', '.join(f'{name} {share(counts)}' for name, counts in report['by_joint'].items())
    print(f'label check: {share(report["persons"])} persons accepted')
    print(f'  by rarity of the pose, commonest tenth first: {rarity}')
    print(f'  by joint: {joints}')


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
        summary = run(args, Console())
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'{summary.accepted} images of {summary.attempts} attempts -> {args.out}')
    for reason, count in summary.refused.most_common():
        print(f'  refused {count}: {reason}')
    if not args.no_check:
        print_acceptance(summary.acceptance)
    if summary.accepted < summary.wanted:
        print(
            f'warning: only {summary.accepted} of {summary.wanted} images were made before '
            '--max-attempts was reached',
            file=sys.stderr,
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
