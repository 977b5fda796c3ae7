"""A small world of files that every command can be run on, and the commands."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from helpers import COCO_METAINFO, SIZE, TINY_MODEL, make_pg2
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from painted_people import training_config
from reid_world import pose, write_csv, write_images
from test_evaluation.study_world import make_answers, make_images
from training_helpers import train_config

import pg2aug_command
from pg2aug.expansion.report.page import data_set_id
from pg2aug.expansion.report.review import FORMAT
from pg2aug.figures import make_figures
from pg2aug.poses import PoseBank
from pg2aug.poses.read.metainfo import metainfo_file

FIGURES = 'figures/person_keypoints_train.json'
PHOTOS = 'figures/images/train'


@dataclass(frozen=True)
class Command:
    """A command line in a folder of the world, what it reads, and what it writes.

    Attributes:
        words: The command line.
        reads: Kinds of the files that are damaged, by their names; ``*`` is the first that fits.
        writes: Files that are there if it succeeds, and are not if it fails.
        unfinished: Whether what a failed run leaves for the next is no defect.
        cases: How many times each file is damaged.
    """

    words: list[str]
    reads: dict[str, str]
    writes: tuple[str, ...] = ()
    unfinished: bool = False
    cases: int = 12


_EXPAND = ['expand', '--ann-file', FIGURES, '--img-root', PHOTOS, '--num', '2', '--out', 'out']
_EXPAND += ['--device', 'cpu', '--max-attempts', '3', '--workers', '1', '--no-report']
_LIMB_WARP = ['--limb-warp', 'coco.py', '--size', '32', '64']
_TRAINED = ['--config', 'tiny.py', '--checkpoint', 'tiny.pth', '--no-check']
_MODEL = ['--pose-model', 'pose.py', '--pose-checkpoint', 'pose.pth', '--device', 'cpu']
_PEOPLE = ['--identities', 'who.csv', '--boxes', 'boxes.json']

COMMANDS = {
    'validate': Command(
        ['validate', FIGURES, '--img-root', PHOTOS],
        {FIGURES: 'json', f'{PHOTOS}/*': 'image'},
        cases=30,
    ),
    'bank': Command(
        ['bank', FIGURES, '--out', 'new.npz'], {FIGURES: 'json'}, ('new.npz',), cases=40
    ),
    'bank-metainfo': Command(
        ['bank', f'{FIGURES}::coco.py', '--out', 'new.npz', '--num-novel', '3'],
        {'coco.py': 'metainfo', FIGURES: 'json'},
        ('new.npz',),
        cases=20,
    ),
    'bank-3d': Command(
        ['bank', 'mocap.npz', '--metainfo', 'coco.py', '--out', 'new.npz'],
        {'mocap.npz': 'npz', 'coco.py': 'metainfo'},
        ('new.npz',),
    ),
    'split': Command(
        ['split', FIGURES, '--rarest', 'rare.json', '--others', 'others.json'],
        {FIGURES: 'json'},
        ('rare.json', 'others.json'),
        cases=30,
    ),
    'expand': Command(
        [*_EXPAND, *_LIMB_WARP, '--pose-bank', 'bank.npz'],
        {FIGURES: 'json', 'bank.npz': 'npz', 'coco.py': 'metainfo', f'{PHOTOS}/*': 'image'},
        ('out/person_keypoints.json', 'out/refused.json'),
        unfinished=True,
        cases=16,
    ),
    'expand-trained': Command(
        [*_EXPAND, *_TRAINED, '--pose-bank', FIGURES],
        {'tiny.py': 'config', 'tiny.pth': 'checkpoint'},
        ('out/person_keypoints.json', 'out/refused.json'),
        unfinished=True,
        cases=25,
    ),
    'review': Command(
        ['expand', '--apply-review', 'review.json', '--out', 'expanded'],
        {'review.json': 'json', 'expanded/person_keypoints.json': 'json'},
        ('expanded/person_keypoints_reviewed.json',),
        cases=16,
    ),
    'convert': Command(
        ['convert', 'market1501', 'poses.csv', 'market', '--pairs', 'pairs.csv', '--out', 'out'],
        {'poses.csv': 'csv', 'pairs.csv': 'csv', 'market/*': 'image'},
        ('out/person_keypoints.json', 'out/pairs.csv', 'out/report.json'),
        cases=16,
    ),
    'annotate': Command(
        ['annotate', 'photos', *_MODEL, *_PEOPLE, '--min-score', '-100', '--out', 'out'],
        {
            'pose.py': 'config',
            'pose.pth': 'checkpoint',
            'who.csv': 'csv',
            'boxes.json': 'json',
            'photos/*': 'image',
        },
        ('out/person_keypoints.json', 'out/report.json'),
    ),
    'train': Command(
        ['train', 'train.py', '--work-dir', 'work'],
        {'train.py': 'config', FIGURES: 'json'},
        unfinished=True,
        cases=14,
    ),
    'resume': Command(
        ['train', 'train.py', '--work-dir', 'work', '--resume', 'start.pth'],
        {'start.pth': 'checkpoint'},
        unfinished=True,
        cases=8,
    ),
    'test': Command(
        ['test', 'test.py', 'tiny.pth', '--out', 'out'],
        {'tiny.pth': 'checkpoint', 'test.py': 'config'},
        ('out/results.json',),
        cases=8,
    ),
    'study': Command(
        ['study', '--score', 'answers.json', '--study', 'study', '--out', 'score.json'],
        {'answers.json': 'json', 'study/key.json': 'json'},
        ('score.json',),
        cases=16,
    ),
    'browse': Command(
        ['browse', 'browse.py', '--num', '2', '--out', 'out', '--device', 'cpu'],
        {'browse.py': 'config', FIGURES: 'json', 'bank.npz': 'npz'},
        cases=12,
    ),
}


def make_world(folder: Path) -> None:
    """Write all files that the commands read; paths in them are relative to the folder."""
    path = make_figures(folder / 'figures', 4, 3, size=(72, 96), rare_fraction=0.3, seed=5)
    PoseBank.load(path).save(folder / 'bank.npz')
    shutil.copy(metainfo_file('configs/_base_/datasets/coco.py'), folder / 'coco.py')
    rng = np.random.default_rng(0)
    names = [str(n) for n in json.loads(path.read_text())['categories'][0]['keypoints']]
    poses = rng.normal(size=(6, 17, 3))
    np.savez(folder / 'mocap.npz', keypoints_3d=poses, keypoint_names=np.array(names))
    _write_generator(folder)
    _write_configs(folder)
    _write_market(folder)
    _write_estimator(folder)
    _write_study(folder)
    _write_expansion(folder)
    _write_training(folder)


def _write_generator(folder: Path) -> None:
    Config(dict(model=TINY_MODEL)).dump(folder / 'tiny.py')
    meta = dict(parse_pose_metainfo(dict(COCO_METAINFO)), crop=dict(size=SIZE, padding=1.25))
    state = make_pg2().state_dict()
    torch.save(dict(state_dict=state, meta=dict(dataset_meta=meta)), folder / 'tiny.pth')


def _write_configs(folder: Path) -> None:
    people = dict(
        type='CocoDataset',
        data_root='figures',
        ann_file='person_keypoints_train.json',
        data_prefix=dict(img='images/train/'),
    )
    pairs = dict(
        type='pg2aug.PersonPairDataset', size=SIZE, flip=False, num_pairs=3, dataset=people
    )
    cfg = train_config(people, 'work', stage1_iters=1, stage2_iters=0)
    cfg.custom_imports = None
    cfg.default_hooks.checkpoint.interval = 1
    cfg.dump(folder / 'train.py')
    cfg.test_dataloader = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=pairs,
    )
    cfg.dump(folder / 'test.py')
    size = (48, 64)
    codec = dict(type='MSRAHeatmap', input_size=size, heatmap_size=(12, 16), sigma=1)
    limb_warp = dict(type='LimbWarpGenerator', metainfo=COCO_METAINFO, size=(32, 64))
    pipeline = [
        dict(type='LoadImage'),
        dict(type='PG2Augment', generator=limb_warp, pose_bank='bank.npz'),
        dict(type='GetBBoxCenterScale'),
        dict(type='TopdownAffine', input_size=size),
        dict(type='GenerateTarget', encoder=codec),
        dict(type='PackPoseInputs'),
    ]
    normal = dict(type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True)
    loader = dict(dataset=dict(people, pipeline=pipeline))
    Config(dict(model=dict(data_preprocessor=normal), train_dataloader=loader)).dump(
        folder / 'browse.py'
    )


def _write_market(folder: Path) -> None:
    names = [f'{person:04d}_c1s1_{k:06d}_00.jpg' for person in (2, 7) for k in range(3)]
    write_images(folder / 'market', *names, size=(64, 128))
    write_csv(folder / 'poses.csv', [(name, pose((64, 128))) for name in names])
    pairs = [('from', 'to'), (names[0], names[1]), (names[3], names[5])]
    (folder / 'pairs.csv').write_text(''.join(f'{a},{b}\n' for a, b in pairs))


def _write_estimator(folder: Path) -> None:
    from mmengine.registry import DefaultScope
    from mmpose.registry import MODELS

    photos = [f'{k}.png' for k in range(4)]
    write_images(folder / 'photos', *photos, size=(60, 80))
    rows = ''.join(f'{name},{k // 2}\n' for k, name in enumerate(photos))
    (folder / 'who.csv').write_text(f'file_name,person_id\n{rows}')
    images = [dict(id=k, file_name=name) for k, name in enumerate(photos)]
    boxes = [
        dict(id=k, image_id=k, category_id=1, bbox=[3, 4, 50, 60], score=0.9) for k in range(4)
    ]
    categories = [dict(id=1, name='person')]
    content = dict(images=images, annotations=boxes, categories=categories)
    (folder / 'boxes.json').write_text(json.dumps(content))
    cfg = training_config(folder / 'estimator', 1)
    cfg.dump(folder / 'pose.py')
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(dict(cfg.model, _scope_='mmpose'))
    meta = dict(dataset_meta=parse_pose_metainfo(dict(COCO_METAINFO)))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'pose.pth')


def _write_study(folder: Path) -> None:
    real, fake = (make_images(folder / name, 8, seed) for seed, name in enumerate(('real', 'fake')))
    words = ['study', str(real), str(fake), '--out', str(folder / 'study'), '--num-images', '8']
    assert pg2aug_command.main(words) == 0
    answers = make_answers(folder / 'study', 'a', 1, 1)
    (folder / 'answers.json').write_text(json.dumps(answers))


def _write_expansion(folder: Path) -> None:
    words = [str(folder / word) if word in (FIGURES, PHOTOS, 'out') else word for word in _EXPAND]
    words += ['--limb-warp', str(folder / 'coco.py'), *_LIMB_WARP[2:]]
    assert pg2aug_command.main([*words, '--pose-bank', str(folder / 'bank.npz')]) == 0
    (folder / 'out').rename(folder / 'expanded')
    made = folder / 'expanded/person_keypoints.json'
    first = next(
        entry['id']
        for entry in json.loads(made.read_text())['annotations']
        if 'pg2aug' in entry or 'synthesised' in entry or entry['id'] > 0
    )
    answers = [dict(annotation_id=first, verdict='reject', comment='a comment')]
    review = dict(format=FORMAT, data_set=data_set_id(made), reviews=answers)
    (folder / 'review.json').write_text(json.dumps(review))


def _write_training(folder: Path) -> None:
    data_root = f'train_dataloader.dataset.dataset.data_root={folder / "figures"}'
    words = ['train', str(folder / 'train.py'), '--work-dir', str(folder / 'work')]
    sheets = f'custom_hooks.0.dataset.dataset.data_root={folder / "figures"}'
    assert pg2aug_command.main([*words, '--cfg-options', data_root, sheets]) == 0
    (folder / 'work' / 'iter_1.pth').rename(folder / 'start.pth')
    shutil.rmtree(folder / 'work')
