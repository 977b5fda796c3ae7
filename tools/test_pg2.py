"""Test a trained PG2: the scores of the paper's Table 1 and more, images and a sheet.

IS, mask-IS and FID need --inception-weights, LPIPS --lpips-weights, PCKh and OKS a pose model:
files on this machine, nothing is downloaded. Without them the table says so.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric

from pg2aug.engine.testing import build_test_runner, cuts_out_targets, metric_settings
from pg2aug.evaluation import SynthesisMetric
from pg2aug.evaluation.images_hook import FOLDERS, SHEET_NAME, SynthesisImagesHook
from pg2aug.expansion.files import file_sha256

RESULTS_NAME = 'results.json'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, such as configs/pg2/*.py')
    parser.add_argument('checkpoint', help='what tools/train_pg2.py wrote with it')
    parser.add_argument('--pairs', metavar='CSV', help="pairs to test, instead of the config's")
    parser.add_argument('--num-pairs', type=int, metavar='N', help='draw so many pairs')
    parser.add_argument(
        '--out', type=Path, metavar='DIR', help='write results.json, the images and a sheet there'
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


def read_config(args: argparse.Namespace) -> Config:
    """The config with what the command line says about the test."""
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = str(args.out or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}')
    dataset = cfg.get('test_dataloader', {}).get('dataset', {})
    if args.pairs is not None:
        # A config's relative path is below data_root, that of a command line is not.
        dataset['pairs'] = str(Path(args.pairs).absolute())
    if args.num_pairs is not None:
        dataset['num_pairs'] = args.num_pairs
    cfg.setdefault('test_evaluator', dict(type='pg2aug.SynthesisMetric'))
    keys = ('image', 'inception_weights', 'lpips_weights', 'pose_model', 'pose_checkpoint')
    settings = {key: getattr(args, key) for key in keys if getattr(args, key) is not None}
    # Where processes meet: MMEngine's own choice is the current directory.
    metric_settings(cfg).setdefault('collect_dir', str(Path(cfg.work_dir) / 'collect'))
    metric_settings(cfg).update(settings)
    if args.other_weights:
        metric_settings(cfg)['other_weights'] = True
    return cfg


def prepare_folder(folder: Path, overwrite: bool) -> None:
    """Refuse, or empty, a folder with the results of another run.

    Raises:
        ValueError: If there are any, and they are not to be replaced.
    """
    found = [folder / name for name in (*FOLDERS, SHEET_NAME, RESULTS_NAME)]
    found = [path for path in found if path.exists()]
    if found and not overwrite:
        raise ValueError(f'{found[0]} exists: pass --overwrite to replace it')
    # The other processes look later, or find them gone.
    if int(os.environ.get('RANK', 0)) == 0:
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test(args: argparse.Namespace) -> dict[str, Any] | None:
    """Run the test; the report, None in processes other than the first."""
    if args.out is not None:
        prepare_folder(args.out, args.overwrite)
    cfg = read_config(args)
    runner = build_test_runner(cfg, args.checkpoint)
    if args.out is not None:
        image = metric_settings(cfg).get('image', 'refined')
        runner.register_hook(SynthesisImagesHook(args.out, image, cuts_out_targets(cfg)))
    runner.test()
    if get_rank() != 0:
        return None
    metrics: list[BaseMetric] = runner.test_loop.evaluator.metrics
    metric = next(metric for metric in metrics if isinstance(metric, SynthesisMetric))
    tested = dict(
        config=args.config,
        checkpoint=args.checkpoint,
        checkpoint_sha256=file_sha256(args.checkpoint),
        pairs=cfg.test_dataloader.dataset.get('pairs'),
    )
    return tested | metric.report


def main(argv: list[str] | None = None) -> int:
    """Test, log and write the results; the exit status."""
    args = parse_args(argv)
    try:
        report = test(args)
    except (ValueError, FileNotFoundError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    if report is not None and args.out is not None:
        path = args.out / RESULTS_NAME
        path.write_text(json.dumps(report, indent=2) + '\n')
        print(f'written: {path}, {args.out / SHEET_NAME} and {", ".join(FOLDERS)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
