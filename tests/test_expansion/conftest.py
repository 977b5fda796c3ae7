import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from helpers import COCO_METAINFO, TINY_MODEL, make_pg2
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from pg2aug.augment import GeneratorFile, Synthesizer
from pg2aug.augment.eligibility import restrict_bank
from pg2aug.cli import expand
from pg2aug.expansion import ImageFolder, Job, load_sources
from pg2aug.figures import make_figures
from pg2aug.poses import PoseBank


@pytest.fixture(scope='session')
def tool():
    return expand


@pytest.fixture(scope='session')
def generator(tmp_path_factory):
    """Paths of the config and the checkpoint of an untrained generator."""
    folder = tmp_path_factory.mktemp('generator')
    Config(dict(model=TINY_MODEL)).dump(folder / 'tiny.py')
    crop = dict(size=TINY_MODEL['size'], padding=1.25)
    meta = dict(dataset_meta=dict(parse_pose_metainfo(dict(COCO_METAINFO)), crop=crop))
    checkpoint = dict(state_dict=make_pg2().state_dict(), meta=meta)
    torch.save(checkpoint, folder / 'tiny.pth')
    return folder / 'tiny.py', folder / 'tiny.pth'


@pytest.fixture(scope='session')
def pose_bank(tmp_path_factory):
    return make_figures(tmp_path_factory.mktemp('bank'), 3, 5, rare_fraction=1.0, seed=7)


@pytest.fixture(scope='session')
def all_couples(tmp_path_factory):
    """Folder of ``couples.json`` and ``couples``, images with two people each."""
    root = tmp_path_factory.mktemp('couples')
    figures = make_figures(root / 'figures', 4, 3, size=(72, 96), rare_fraction=0, seed=1)
    content = json.loads(figures.read_text())
    singles, annotations = content['images'], content['annotations']
    folder = root / 'couples'
    folder.mkdir()
    content['images'] = []
    for number in range(6):
        pair = [singles[number], singles[number + 6]]
        paths = [figures.parent / 'images' / 'train' / image['file_name'] for image in pair]
        name = f'{number}.png'
        cv2.imwrite(str(folder / name), np.hstack([cv2.imread(str(path)) for path in paths]))
        entry = dict(id=100 + number, file_name=name, width=144, height=96, license=1)
        content['images'].append(entry | {'flickr_url': f'http://example.org/{number}'})
        annotations[number]['image_id'] = annotations[number + 6]['image_id'] = 100 + number
        right = annotations[number + 6]
        right['bbox'][0] += 72
        for k in range(0, 51, 3):
            right['keypoints'][k] += 72 if right['keypoints'][k + 2] else 0
    for annotation in annotations:
        annotation['id'] += 1000
    (root / 'couples.json').write_text(json.dumps(content))
    return root


@pytest.fixture
def couples(all_couples, tmp_path):
    """Annotation file and image folder of six images with two people each, to be changed."""
    shutil.copy(all_couples / 'couples.json', tmp_path)
    shutil.copytree(all_couples / 'couples', tmp_path / 'couples')
    return tmp_path / 'couples.json', tmp_path / 'couples'


@pytest.fixture
def make_job(generator, pose_bank, couples):
    def make(**settings):
        file = GeneratorFile.load(*map(str, generator))
        bank = restrict_bank(PoseBank.load(pose_bank), file.skeleton, 8, 'bank')
        return Job(
            sources=load_sources(couples[0], ImageFolder(str(couples[1])), file.skeleton),
            bank=bank,
            synthesizer=Synthesizer(file.build(), check=None),
            size=file.size,
            padding=file.padding,
            **settings,
        )

    return make


@pytest.fixture(scope='session')
def synthesize_once(tool, generator, pose_bank, all_couples, tmp_path_factory):
    """Run the tool on the couples for tests that share and do not change its output folder."""

    def run(*arguments, num=4, check=False):
        out = tmp_path_factory.mktemp('expanded') / 'out'
        command = ['--config', generator[0], '--checkpoint', generator[1]]
        command += ['--ann-file', all_couples / 'couples.json', '--pose-bank', pose_bank]
        command += ['--img-root', all_couples / 'couples', '--num', num, '--out', out]
        command += ['--device', 'cpu'] if check else ['--device', 'cpu', '--no-check']
        assert tool.main([str(item) for item in [*command, *arguments]]) == 0
        return out

    return run


@pytest.fixture
def synthesize(tool, generator, pose_bank, couples, tmp_path):
    """Run the tool on the couples, unchecked: its exit status and output folder."""

    def run(*arguments, out='out', num=4, check=False, chosen=None):
        trained = ['--config', generator[0], '--checkpoint', generator[1]]
        command = trained if chosen is None else [*chosen]
        command += ['--ann-file', couples[0], '--img-root', couples[1], '--pose-bank', pose_bank]
        command += ['--out', tmp_path / out, '--device', 'cpu', '--batch-size', 4]
        command += [] if num is None else ['--num', num]
        command += [] if check else ['--no-check']
        return tool.main([str(item) for item in [*command, *arguments]]), tmp_path / out

    return run
