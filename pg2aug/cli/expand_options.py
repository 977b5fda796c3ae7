"""The command line of `pg2aug expand`."""

import argparse
from pathlib import Path

from mmengine.config import DictAction

from pg2aug.augment.settings import SynthesisSettings, setting_help
from pg2aug.augment.synthesis.inference import PRECISIONS
from pg2aug.expansion.report.page import ITEMS
from pg2aug.expansion.report.review import REVIEWED_FILE
from pg2aug.expansion.work.items import ATTEMPTS_PER_IMAGE
from pg2aug.utils.images import MAX_PIXELS

REGIONS = 32
_DEFAULTS = SynthesisSettings()


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of what makes a data set."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_generator(parser.add_argument_group('generator'))
    _add_data(parser.add_argument_group('data'))
    _add_plan(parser.add_argument_group('what to make'))
    _add_sources(parser.add_argument_group('persons to start from'))
    _add_checks(parser.add_argument_group('label check'))
    _add_running(parser.add_argument_group('running'))
    _add_report(parser.add_argument_group('report'))
    return parser


def parse_review(arguments: list[str]) -> argparse.Namespace | None:
    """What --apply-review asks for, which goes with --out alone; None where it is not given."""
    given = {argument.partition('=')[0] for argument in arguments}
    if '--apply-review' not in given or {'-h', '--help'} & given:
        return None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _add_review(parser)
    parser.add_argument('--out', required=True, type=Path, metavar='DIR')
    args, others = parser.parse_known_args(arguments)
    if others:
        parser.error(f'--apply-review goes with --out alone, not with {" ".join(others)}')
    return args


def _add_generator(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--config', metavar='CONFIG', help="a trained generator's")
    group.add_argument('--checkpoint', metavar='CKPT', help="a trained generator's")
    group.add_argument(
        '--detail',
        type=int,
        default=1,
        metavar='N',
        help="persons N times as fine as the generator's crops, with the source image's detail",
    )
    group.add_argument(
        '--limb-warp',
        metavar='METAINFO',
        help='instead of both: limbs laid into poses as they are, without any training; the joints '
        "as MMPose's files describe them, e.g. configs/_base_/datasets/coco.py",
    )
    group.add_argument(
        '--size',
        nargs=2,
        type=int,
        metavar=('W', 'H'),
        help='size of the crops of --limb-warp, e.g. 192 256',
    )
    group.add_argument(
        '--coarse', action='store_true', help='images of stage 1 alone, not refined by stage 2'
    )


def _add_data(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--ann-file', required=True, metavar='JSON', help='COCO keypoint json')
    group.add_argument('--img-root', required=True, metavar='DIR', help='folder of its images')
    group.add_argument(
        '--pose-bank',
        required=True,
        metavar='BANK',
        help='.npz of `pg2aug bank`, or COCO json',
    )
    group.add_argument(
        '--out',
        required=True,
        type=Path,
        metavar='DIR',
        help='new or empty folder, or that of the same command, which is then finished',
    )
    group.add_argument(
        '--ignore-joint-names',
        action='store_true',
        help="take the joints of --ann-file and of a json bank to be the generator's, in its order",
    )
    group.add_argument(
        '--category',
        metavar='NAME',
        help="name or id of the persons' category (default: those with the generator's joints)",
    )
    group.add_argument(
        '--max-pixels',
        type=int,
        default=MAX_PIXELS,
        metavar='N',
        help=f'larger images are not decoded (default: {MAX_PIXELS})',
    )
    group.add_argument(
        '--follow-links',
        action='store_true',
        help='use images that are symbolic links to outside of --img-root',
    )


def _add_plan(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--num', type=int, metavar='N', help='images to make')
    group.add_argument(
        '--balance',
        nargs='?',
        type=int,
        const=REGIONS,
        metavar='REGIONS',
        help='fill the regions of pose space that the data set has few persons in, until all have '
        f'as many, or --num is reached (default: {REGIONS} regions)',
    )
    group.add_argument(
        '--per-image',
        type=int,
        metavar='N',
        help='new images of each source image: so many, or at most so many with --num or --balance',
    )
    group.add_argument(
        '--plan-only',
        action='store_true',
        help='write the plan and stop; the same command without it goes on',
    )
    group.add_argument(
        '--crops', action='store_true', help='images of the new persons alone, not whole images'
    )
    group.add_argument('--seed', type=int, default=0, metavar='S')
    group.add_argument(
        '--max-attempts',
        type=int,
        default=ATTEMPTS_PER_IMAGE,
        metavar='N',
        help=f'at an image, until it is given up (default: {ATTEMPTS_PER_IMAGE})',
    )
    group.add_argument(
        '--max-view-change',
        type=float,
        default=_DEFAULTS.max_view_change,
        metavar='DEGREES',
        help=_described('max_view_change'),
    )


def _add_sources(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--min-visible',
        type=int,
        default=_DEFAULTS.min_visible,
        metavar='N',
        help=_described('min_visible'),
    )
    group.add_argument(
        '--min-size',
        type=float,
        default=0,
        metavar='PX',
        help="least length of the larger side of a person's box",
    )
    group.add_argument(
        '--max-overlap',
        type=float,
        metavar='F',
        help='share of a box that the box of somebody else, or of a crowd, may cover',
    )
    group.add_argument(
        '--max-hidden',
        type=float,
        metavar='F',
        help='share of the labelled joints that may be flagged as hidden',
    )
    group.add_argument(
        '--no-truncated',
        action='store_true',
        help='leave out persons whose box reaches the border of the image',
    )


def _add_checks(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--min-joints-ok',
        type=float,
        default=_DEFAULTS.min_joints_ok,
        metavar='F',
        help=_described('min_joints_ok'),
    )
    check = group.add_mutually_exclusive_group()
    check.add_argument(
        '--check',
        nargs='+',
        action=DictAction,
        type=key_value,
        default=_DEFAULTS.check,
        metavar='KEY=VALUE',
        help='e.g. max_distance=40, or type=PoseModelCheck config=... checkpoint=..., '
        'or type=MODULE.CLASS (default: AppearanceCheck)',
    )
    check.add_argument(
        '--no-check', action='store_true', help='keep every image and label, right or wrong'
    )


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--batch-size', type=int, default=16, metavar='B')
    group.add_argument('--device', metavar='D', help='a GPU if there is one, else cpu')
    group.add_argument(
        '--precision',
        choices=PRECISIONS,
        default=_DEFAULTS.precision,
        help="number format of the generator's networks (default: auto, 16 bits where the device "
        'multiplies them natively)',
    )
    group.add_argument(
        '--workers',
        type=int,
        default=4,
        metavar='N',
        help='threads that read and write beside the device (default: 4)',
    )
    group.add_argument(
        '--shard-size',
        type=int,
        metavar='N',
        help='images in a folder: numbered folders below images/ (default: a single folder)',
    )
    group.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm'),
        default='none',
        help='pytorch under torchrun, slurm under srun: the processes share the work',
    )


def _add_report(group: argparse._ArgumentGroup) -> None:
    report = group.add_mutually_exclusive_group()
    report.add_argument('--no-report', action='store_true', help='write no report/index.html')
    report.add_argument(
        '--report-items',
        type=int,
        default=ITEMS,
        metavar='N',
        help=f'new persons that the report shows, at most (default: {ITEMS})',
    )
    _add_review(group)


def _add_review(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        '--apply-review',
        type=Path,
        metavar='REVIEW',
        help=f'with --out alone: write {REVIEWED_FILE} into that folder, the annotations without '
        "what the report's export rejects",
    )


def _described(name: str) -> str:
    """What a setting is, and its default."""
    default, text = getattr(_DEFAULTS, name), setting_help(name).rstrip('.')
    text = text.replace('None for any; ', '')
    return f'{text[0].lower()}{text[1:]} (default: {"any" if default is None else default})'


def key_value(text: str) -> str:
    """Text of the form KEY=VALUE, or an error of argparse's."""
    if '=' not in text:
        raise argparse.ArgumentTypeError(f'{text!r} is not KEY=VALUE')
    return text
