"""The whole way in minutes: people, PG2, an augmented pose estimator, an expanded dataset.

Runs the project's own commands one after the other, as a user would, on procedural people, and
leaves contact sheets of each step and SUMMARY.md in the output folder.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mmpose
from demo_sheets import draw_people, draw_poses, draw_predictions

from pg2aug.cli.configs import configs_folder
from pg2aug.cli.exit_status import exit_status
from pg2aug.utils.files import replacing
from pg2aug.utils.output import old_folder, writing_folder

CONFIGS = Path(os.path.relpath(configs_folder()))
PG2_CONFIG = CONFIGS / 'pg2' / 'pg2-self_figures-64x48.py'
POSE_CONFIG = CONFIGS / 'pose' / 'td-hm_res18-small_pg2aug_figures-128x96.py'
IMAGES_PER_PERSON, VAL_PEOPLE = 16, 10
SPLITS = ('train', 'val')
SUMMARY = 'SUMMARY.md'
MADE = (SUMMARY, 'figures', 'pg2', 'bank.npz', 'bank.png', 'browse', 'pose', 'expanded')
PG2AUG = ('-m', 'pg2aug')
MMPOSE_TRAIN = Path(os.path.relpath(mmpose.__file__)).parent / '.mim' / 'tools' / 'train.py'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('demo'), help='its own folder, made anew')
    parser.add_argument('--train-people', type=int, default=40)
    parser.add_argument('--stage1-iters', type=int, default=700, help='of PG2')
    parser.add_argument('--stage2-iters', type=int, default=100, help='of PG2')
    parser.add_argument('--epochs', type=int, default=4, help='of the pose estimator')
    parser.add_argument('--num', type=int, default=50, help='images to expand the dataset by')
    return parser.parse_args(argv)


@dataclass(frozen=True)
class Step:
    """A command to run.

    Attributes:
        title: What it does.
        made: What it leaves, and where.
        command: Arguments of the interpreter.
        sheets: Its contact sheets: a pattern below the demo's folder.
        draw: Draws them, where the command does not.
    """

    title: str
    made: str
    command: tuple[object, ...]
    sheets: str
    draw: Callable[[], None] | None = None

    def run(self) -> None:
        """Run the command, and draw its sheets."""
        code = subprocess.run([sys.executable, *map(str, self.command)], check=False).returncode
        if code:
            raise ChildProcessError(f'the step {self.title!r} failed with exit code {code}')
        if self.draw:
            self.draw()


def make_steps(args: argparse.Namespace) -> list[Step]:
    """The steps in their order."""
    out = args.out
    figures = out / 'figures'
    train, val = ((figures / f'person_keypoints_{s}.json', figures / 'images' / s) for s in SPLITS)
    config = out / 'pg2' / PG2_CONFIG.name
    checkpoint = out / 'pg2' / f'iter_{args.stage1_iters + args.stage2_iters}.pth'
    bank = out / 'bank.npz'
    pg2_options = [
        f'stage1_iters={args.stage1_iters}',
        f'stage2_iters={args.stage2_iters}',
        f'train_dataloader.dataset.dataset.data_root={figures}/',
        f'custom_hooks.0.dataset.dataset.data_root={figures}/',
    ]
    augment = 'train_dataloader.dataset.pipeline.1'
    pose_options = [
        *(f'{split}_dataloader.dataset.data_root={figures}/' for split in (*SPLITS, 'test')),
        f'{augment}.generator.config={config}',
        f'{augment}.generator.checkpoint={checkpoint}',
        f'{augment}.pose_bank={bank}',
    ]
    pose_config = out / 'pose' / POSE_CONFIG.name
    pose_checkpoint = out / 'pose' / f'epoch_{args.epochs}.pth'
    return [
        Step(
            'Make procedural people',
            f'{args.train_people * IMAGES_PER_PERSON} images of {args.train_people} people to '
            f'train on and {VAL_PEOPLE * IMAGES_PER_PERSON} of {VAL_PEOPLE} others to validate: '
            '`figures/`',
            (
                *(*PG2AUG, 'demo-data', figures, '--train-people', args.train_people),
                *('--val-people', VAL_PEOPLE, '--images-per-person', IMAGES_PER_PERSON),
            ),
            'figures/people.png',
            partial(draw_people, *train, figures / 'people.png'),
        ),
        Step(
            'Train PG2',
            f'a generator, its config and its log: `pg2/`, weights in `pg2/{checkpoint.name}`',
            (
                *(*PG2AUG, 'train', PG2_CONFIG, '--work-dir', out / 'pg2', '--amp'),
                *('--cfg-options', *pg2_options),
            ),
            'pg2/samples/*.png',
        ),
        Step(
            'Build the pose bank',
            'the training poses and how often each is drawn, rare ones more often: `bank.npz`',
            (*PG2AUG, 'bank', train[0], '--out', bank),
            'bank.png',
            partial(draw_poses, bank, out / 'bank.png'),
        ),
        Step(
            'Browse what the estimator will see',
            'samples of PG2Augment with the labels that are trained on: `browse/`',
            (
                *(*PG2AUG, 'browse', POSE_CONFIG, '--num', 16, '--out', out / 'browse'),
                *('--cfg-options', *pose_options),
            ),
            'browse/*.png',
        ),
        Step(
            'Train a pose estimator with PG2Augment',
            f'an estimator, its config and its log: `pose/`, weights in '
            f'`pose/{pose_checkpoint.name}`; its predictions on validation images',
            (
                *(MMPOSE_TRAIN, POSE_CONFIG, '--work-dir', out / 'pose', '--cfg-options'),
                *(f'train_cfg.max_epochs={args.epochs}', f'train_cfg.val_interval={args.epochs}'),
                *(f'default_hooks.checkpoint.interval={args.epochs}', *pose_options),
            ),
            'pose/predictions.png',
            partial(
                draw_predictions,
                *(pose_config, pose_checkpoint, *val, out / 'pose' / 'predictions.png'),
            ),
        ),
        Step(
            'Expand the dataset',
            f'up to {args.num} new images and their COCO file: `expanded/`',
            (
                *(*PG2AUG, 'expand', '--config', config, '--checkpoint', checkpoint),
                *('--ann-file', train[0], '--img-root', train[1]),
                *('--pose-bank', bank, '--num', args.num, '--seed', 0, '--out', out / 'expanded'),
            ),
            'expanded/*.png',
        ),
    ]


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Run the steps, and write what they made; the exit status."""
    args = parse_args(argv)
    # In its place from the start: the paths in configs and commands are those that stay.
    with writing_folder(args.out, 'demo', overwrite=True, in_place=MADE):
        run(args)
    print(f'\n{(args.out / SUMMARY).read_text()}\nin {args.out}/')
    return 0


def run(args: argparse.Namespace) -> None:
    """Run the steps in an empty folder."""
    old = old_folder(args.out)
    before = f' The one before is in {old}.' if old.exists() else ''
    (args.out / SUMMARY).write_text(f'The demo has not finished.{before}\n')
    lines = ['# What the demo made', '']
    started = time.time()
    for number, step in enumerate(make_steps(args), 1):
        command = ' '.join(map(str, step.command))
        print(f'\n=== {number}. {step.title}\n{command}\n', flush=True)
        step_started = time.time()
        step.run()
        lines += [
            f'{number}. **{step.title}** ({time.time() - step_started:.0f} s): {step.made}',
            f'   `python {command}`',
            *(f'   - {path.relative_to(args.out)}' for path in sorted(args.out.glob(step.sheets))),
        ]
    lines += ['', f'Took {time.time() - started:.0f} s. The .png files are contact sheets.']
    with replacing(args.out / SUMMARY) as file:
        file.write(('\n'.join(lines) + '\n').encode())


if __name__ == '__main__':
    sys.exit(main())
