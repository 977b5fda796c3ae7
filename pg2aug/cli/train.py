"""Train PG2 from a config."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import DictAction

from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print
from pg2aug.engine.checkpoints import latest_checkpoint
from pg2aug.engine.training import apply_amp, build_runner
from pg2aug.utils.config_file import read_config
from pg2aug.utils.files import naming


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, such as configs/pg2/*.py')
    parser.add_argument(
        '--work-dir', help='logs, checkpoints and samples; ./work_dirs/CONFIG if not given'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='go on from CKPT, or from the latest checkpoint in the work directory',
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='bfloat16',
        choices=('bfloat16', 'float16'),
        help='mixed precision for every optimiser; bfloat16 if no dtype is given',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='settings to override, as key=value'
    )
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm'), default='none')
    # torch.distributed.launch passes it as an argument; torchrun sets the variable.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def train(args: argparse.Namespace) -> None:
    """Train as the command line says."""
    cfg = read_config(args.config, 'the config of the training (CONFIG)')
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    if args.amp:
        apply_amp(cfg, args.amp)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
        if args.resume == 'auto' and latest_checkpoint(cfg.work_dir) is None:
            print(f'--resume: no checkpoint in {cfg.work_dir}, training starts at iteration 0')
    build_runner(cfg).train()


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Train; the exit status."""
    args = parse_args(argv)
    with naming(args.config, None if args.resume == 'auto' else args.resume):
        train(args)
    return 0
