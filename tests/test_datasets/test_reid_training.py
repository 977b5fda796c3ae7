"""From images and annotations to a training: the converters and the shipped config fit."""

import csv

import cv2
import pytest
import torch
from mmengine.config import Config
from reid_world import convert, pose, write_csv, write_images

from pg2aug.engine.training import build_runner

PARTS = {'train': (2, 7), 'test': (1, 3)}
SIZE = (64, 128)


@pytest.fixture
def market(tmp_path):
    """Three images of each of two persons in each part, converted as docs/datasets.md says."""
    root = tmp_path / 'Market-1501'
    for part, persons in PARTS.items():
        names = [f'{person:04d}_c1s1_00045{k}_03.jpg' for person in persons for k in range(3)]
        folder = root / f'bounding_box_{part}'
        write_images(folder, *names, size=SIZE)
        poses = write_csv(tmp_path / f'{part}.csv', [(name, pose(SIZE)) for name in names])
        assert convert('market1501', poses, folder, '--out', root / part)[0] == 0
    return root


def shipped_config(root, work_dir):
    shipped = Config.fromfile('configs/pg2/paper/g1-mask_market1501-128x64.py')
    # MMEngine takes longer to format a config than this training takes.
    cfg = Config(shipped.to_dict(), format_python_code=False)
    cfg.merge_from_dict(
        {
            'train_dataloader.dataset.dataset.data_root': f'{root}/',
            'custom_hooks.0.dataset.dataset.data_root': f'{root}/',
            'train_dataloader.batch_size': 2,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'model.generator1': dict(base_channels=4, bottleneck_features=8),
            'default_hooks.logger.interval': 1,
            'stage1_iters': 2,
            'work_dir': str(work_dir),
            'experiment_name': work_dir.name,
        }
    )
    return cfg


def test_the_shipped_config_trains_on_what_a_converter_writes(market, tmp_path):
    runner = build_runner(shipped_config(market, tmp_path / 'work'))
    runner.train()
    dataset = runner.train_dataloader.dataset
    with (market / 'train' / 'pairs.csv').open() as file:
        pairs = list(csv.reader(file))[1:]
    assert len(pairs) == 2 * 6
    assert len(dataset) == 2 * len(pairs)
    image = cv2.imread(str(market / 'bounding_box_train' / pairs[0][1]))
    assert torch.equal(dataset[0]['target_image'], torch.from_numpy(image.transpose(2, 0, 1)))
    assert runner.iter == 2
    sheet = cv2.imread(str(tmp_path / 'work' / 'samples' / 'iter_2.png'))
    assert sheet.shape[0] > 8 * SIZE[1], 'eight pairs of the test part'
