"""Test a trained PG2: the scores of the paper's Table 1 and more, images and a sheet.

IS, mask-IS and FID need --inception-weights, LPIPS --lpips-weights, PCKh and OKS a pose model:
files on this machine, nothing is downloaded. Without them the table says so.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.dist import barrier, get_rank
from mmengine.evaluator import BaseMetric

from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print
from pg2aug.engine.testing import build_test_runner, cuts_out_targets, metric_settings
from pg2aug.evaluation import SynthesisMetric, format_report
from pg2aug.evaluation.images_hook import FOLDERS, SHEET_NAME, SynthesisImagesHook
from pg2aug.utils.config_file import read_config
from pg2aug.utils.files import file_sha256, naming, replacing
from pg2aug.utils.output import check_folder, new_folder, writing_folder

RESULTS_NAME = 'results.json'
RESULTS = (*FOLDERS, SHEET_NAME, RESULTS_NAME)
COMMAND = 'test'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, such as configs/pg2/*.py')
    parser.add_argument('checkpoint', help='what `pg2aug train` wrote with it')
    parser.add_argument('--pairs', metavar='CSV', help="pairs to test, instead of the config's")
    parser.add_argument('--num-pairs', type=int, metavar='N', help='draw so many pairs')
    parser.add_argument(
        '--out',
        type=Path,
        metavar='DIR',
        help='folder of its own for the results',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace what is in --out')
    parser.add_argument('--image', choices=('refined', 'coarse'), help='default: refined')
    weights = parser.add_argument_group('networks of the metrics, from files')
    weights.add_argument('--inception-weights', metavar='PATH', help="torch-fidelity's Inception")
    weights.add_argument('--lpips-weights', metavar='PATH', help="torchvision's AlexNet")
    weights.add_argument(
        '--other-weights',
        action='store_true',
        help="accept other weights than the published: scores compare with nobody else's",
    )
    weights.add_argument('--pose-model', metavar='CONFIG', help='MMPose top-down estimator')
    weights.add_argument('--pose-checkpoint', metavar='CKPT', help='its weights')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='settings to override, as key=value'
    )
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm'), default='none')
    # torch.distributed.launch passes it as an argument; torchrun sets the variable.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def test_settings(args: argparse.Namespace, work_dir: str) -> Config:
    """The config with what the command line says about the test."""
    cfg = read_config(args.config, 'the config of the test (CONFIG)')
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = work_dir
    dataset = cfg.get('test_dataloader', {}).get('dataset', {})
    if args.pairs is not None:
        if not Path(args.pairs).is_file():
            raise FileNotFoundError(f'--pairs {args.pairs!r} does not exist: correct its path')
        # A config's relative path is below data_root, that of a command line is not.
        dataset['pairs'] = str(Path(args.pairs).absolute())
    if args.num_pairs is not None:
        dataset['num_pairs'] = args.num_pairs
    cfg.setdefault('test_evaluator', dict(type='pg2aug.SynthesisMetric'))
    keys = ('image', 'inception_weights', 'lpips_weights', 'pose_model', 'pose_checkpoint')
    settings = {key: getattr(args, key) for key in keys if getattr(args, key) is not None}
    if args.out is not None:
        # Where processes meet: MMEngine's own choice is the current directory.
        metric_settings(cfg).setdefault('collect_dir', str(new_folder(args.out) / 'collect'))
    metric_settings(cfg).update(settings)
    if args.other_weights:
        metric_settings(cfg)['other_weights'] = True
    return cfg


@contextmanager
def _folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """The folder to write into, for all processes; the first one makes it and renames it."""
    with ExitStack() as stack:
        if get_rank() == 0:
            stack.enter_context(writing_folder(out, COMMAND, overwrite=overwrite))
        barrier()
        yield new_folder(out)
        barrier()


def test(args: argparse.Namespace, work_dir: str) -> dict[str, Any] | None:
    """Run the test and write its results; the report, None in processes other than the first."""
    if args.out is not None:
        check_folder(args.out, COMMAND, args.overwrite)
    cfg = test_settings(args, work_dir)
    runner = build_test_runner(cfg, args.checkpoint)
    metrics: list[BaseMetric] = runner.test_loop.evaluator.metrics
    metric = next(metric for metric in metrics if isinstance(metric, SynthesisMetric))
    metric.logs_report = False  # it is printed
    tested = dict(
        config=args.config,
        checkpoint=args.checkpoint,
        checkpoint_sha256=file_sha256(args.checkpoint),
        pairs=cfg.test_dataloader.dataset.get('pairs'),
    )
    if args.out is None:
        runner.test()
        return tested | metric.report if get_rank() == 0 else None
    with _folder(args.out, args.overwrite) as folder:
        hook = SynthesisImagesHook(folder, metric.image, cuts_out_targets(cfg))
        runner.register_hook(hook)
        runner.test()
        if get_rank() != 0:
            return None
        report = tested | metric.report
        with replacing(folder / RESULTS_NAME) as file:
            file.write((json.dumps(report, indent=2) + '\n').encode())
    return report


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Test, write the results and print the scores; the exit status.

    Standard output is the scores alone, everything else goes to standard error.
    """
    args = parse_args(argv)
    temporary = TemporaryDirectory()
    with redirect_stdout(sys.stderr), temporary as work_dir, naming(args.config, args.checkpoint):
        report = test(args, work_dir)
    if report is not None:
        if args.out is not None:
            print(f'written: {", ".join(RESULTS)} in {args.out}', file=sys.stderr, flush=True)
        print(format_report(report))
    return 0
