"""The whole way in minutes: people, PG2, an augmented pose estimator, an expanded dataset.

Runs the project's own tools one after the other, as a user would, on procedural people, and leaves
contact sheets of each step and SUMMARY.md in the output folder.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import mmpose

TOOLS = Path(os.path.relpath(Path(__file__).resolve().parent))
CONFIGS = TOOLS.parent / 'configs'
PG2_CONFIG = CONFIGS / 'pg2' / 'pg2-foreground_figures-64x48.py'
POSE_CONFIG = CONFIGS / 'pose' / 'td-hm_res18-small_pg2aug_figures-128x96.py'
MMPOSE_TRAIN = Path(os.path.relpath(mmpose.__file__)).parent / '.mim' / 'tools' / 'train.py'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('demo'), help='folder, made anew')
    parser.add_argument('--train-people', type=int, default=120)
    parser.add_argument('--stage1-iters', type=int, default=1200, help='of PG2')
    parser.add_argument('--stage2-iters', type=int, default=200, help='of PG2')
    parser.add_argument('--epochs', type=int, default=4, help='of the pose estimator')
    parser.add_argument('--num', type=int, default=50, help='images to expand the dataset by')
    return parser.parse_args()


def make_steps(args: argparse.Namespace) -> dict[str, list[str]]:
    """Command of each step, by its title."""
    out = args.out
    figures = out / 'figures'
    annotations = figures / 'person_keypoints_train.json'
    config = out / 'pg2' / PG2_CONFIG.name
    checkpoint = out / 'pg2' / f'iter_{args.stage1_iters + args.stage2_iters}.pth'
    bank = out / 'bank.npz'
    augment = 'train_dataloader.dataset.pipeline.1'
    pose_options = [
        f'train_dataloader.dataset.data_root={figures}/',
        f'val_dataloader.dataset.data_root={figures}/',
        f'test_dataloader.dataset.data_root={figures}/',
        f'{augment}.generator.config={config}',
        f'{augment}.generator.checkpoint={checkpoint}',
        f'{augment}.pose_bank={bank}',
    ]
    pg2_options = [
        f'stage1_iters={args.stage1_iters}',
        f'stage2_iters={args.stage2_iters}',
        f'train_dataloader.dataset.dataset.data_root={figures}/',
        f'custom_hooks.0.dataset.dataset.data_root={figures}/',
    ]
    steps = {
        'Make procedural people': [
            *(
                TOOLS / 'make_figures.py',
                figures,
                '--train-people',
                args.train_people,
                '--val-people',
                10,
            ),
            *('--images-per-person', 8),
        ],
        'Train PG2': [
            *(TOOLS / 'train_pg2.py', PG2_CONFIG, '--work-dir', out / 'pg2', '--amp'),
            *('--cfg-options', *pg2_options),
        ],
        'Build the pose bank': [TOOLS / 'build_pose_bank.py', annotations, '--out', bank],
        'Browse what the estimator will see': [
            *(TOOLS / 'browse_augment.py', POSE_CONFIG, '--num', 16, '--out', out / 'browse'),
            *('--cfg-options', *pose_options),
        ],
        'Train a pose estimator with PG2Augment': [
            *(MMPOSE_TRAIN, POSE_CONFIG, '--work-dir', out / 'pose', '--cfg-options'),
            *(f'train_cfg.max_epochs={args.epochs}', f'train_cfg.val_interval={args.epochs}'),
            *(f'default_hooks.checkpoint.interval={args.epochs}', *pose_options),
        ],
        'Expand the dataset': [
            *(TOOLS / 'synthesize.py', '--config', config, '--checkpoint', checkpoint),
            *('--ann-file', annotations, '--img-root', figures / 'images' / 'train'),
            *('--pose-bank', bank, '--num', args.num, '--seed', 0, '--out', out / 'expanded'),
        ],
    }
    return {title: [str(part) for part in command] for title, command in steps.items()}


def prepare(out: Path) -> None:
    """Make the folder anew, if it is one of ours."""
    if out.exists():
        if any(out.iterdir()) and not (out / 'SUMMARY.md').is_file():
            raise SystemExit(f'{out} is not empty and holds no demo: choose another --out')
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / 'SUMMARY.md').write_text('The demo has not finished.\n')


def main() -> None:
    args = parse_args()
    prepare(args.out)
    lines = ['# What the demo made', '']
    started = time.time()
    for number, (title, command) in enumerate(make_steps(args).items(), 1):
        print(f'\n=== {number}. {title}\n{" ".join(command)}\n', flush=True)
        step_started = time.time()
        code = subprocess.run([sys.executable, *command], check=False).returncode
        if code:
            raise SystemExit(f'step {number} ({title}) failed with exit code {code}')
        lines += [
            f'{number}. **{title}** ({time.time() - step_started:.0f} s)',
            f'   `python {" ".join(command)}`',
        ]
    sheets = [
        *sorted((args.out / 'pg2' / 'samples').glob('*.png')),
        *sorted((args.out / 'browse').glob('*.png')),
        *sorted((args.out / 'expanded').glob('*.png')),
    ]
    lines += ['', f'Took {time.time() - started:.0f} s. Sheets to look at:', '']
    lines += [f'- {sheet.relative_to(args.out)}' for sheet in sheets]
    summary = args.out / 'SUMMARY.md'
    summary.write_text('\n'.join(lines) + '\n')
    print(f'\n{summary.read_text()}\nin {args.out}/')


if __name__ == '__main__':
    main()
