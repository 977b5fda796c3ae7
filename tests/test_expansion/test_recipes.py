"""The configs of docs/offline.md, read from there and trained with."""

import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from pg2aug import compat  # noqa: F401

DOC = Path(__file__).resolve().parents[2] / 'docs' / 'offline.md'


@pytest.fixture(scope='module')
def expanded(synthesize_once):
    return synthesize_once(num=10)


@pytest.fixture
def recipe(expanded, all_couples, tmp_path):
    """A config of the documentation, with the paths of the tests' data."""

    def read(name):
        found = re.search(rf'<!-- tested: {name} -->\n```python\n(.*?)```', DOC.read_text(), re.S)
        text = found[1]
        replacements = {
            'data/coco/': f'{all_couples}/',
            'annotations/person_keypoints_train2017.json': 'couples.json',
            'train2017/': 'couples/',
            'expanded/': f'{expanded}/',
        }
        for old, new in replacements.items():
            if old != 'expanded/':
                assert ('own = ' in text) == (old in text)
            text = text.replace(old, new)
        assert str(expanded) in text
        (tmp_path / 'recipe.py').write_text(text)
        return Config.fromfile(tmp_path / 'recipe.py')

    return read


def train(config, tmp_path, batch_size):
    """Two steps on the CPU, from random weights, without validation; the paths that were read."""
    import mmpose.models  # noqa: F401
    from mmengine.runner import Runner

    config = config.copy()
    for name in ('val_dataloader', 'val_cfg', 'val_evaluator', 'param_scheduler'):
        config[name] = None
    for name in ('test_dataloader', 'test_cfg', 'test_evaluator'):
        config[name] = None
    for name in ('auto_scale_lr', 'custom_hooks'):
        config.pop(name, None)
    config.default_hooks = dict(checkpoint=None)
    config.model.backbone.pop('init_cfg', None)
    config.train_dataloader.update(batch_size=batch_size, num_workers=0, persistent_workers=False)
    config.train_cfg = dict(by_epoch=False, max_iters=2)
    config.work_dir = str(tmp_path / 'work')
    config.experiment_name = tmp_path.name
    runner = Runner.from_cfg(config)
    paths = []
    runner.model.data_preprocessor.register_forward_pre_hook(
        lambda _, given: paths.append([s.img_path for s in given[0]['data_samples']])
    )
    runner.train()
    assert np.isfinite(runner.message_hub.get_scalar('train/loss').current())
    return paths, runner


def small_resnet(config):
    config.model.backbone.update(depth=18, stem_channels=8, base_channels=8)
    config.model.head.update(in_channels=64, deconv_out_channels=(16, 16, 16))
    return config


@pytest.mark.slow
def test_a_share_of_the_new_persons(recipe, tmp_path):
    config = small_resnet(recipe('combined'))
    paths, runner = train(config, tmp_path, 6)
    data = runner.train_dataloader.dataset
    own, new = (len(subset) for subset in data.datasets)
    assert (own, new) == (12, 20)
    assert len(data) == own + round(0.3 * new)
    assert [len(batch) for batch in paths] == [6, 6]
    images = {data[n]['data_samples'].img_path for n in range(len(data))}
    assert {Path(path).parent.name for path in images} == {'couples', 'images'}


@pytest.mark.slow
def test_a_share_of_every_batch(recipe, tmp_path):
    config = small_resnet(recipe('multi-source'))
    assert config.train_dataloader.sampler.batch_size == config.train_dataloader.batch_size == 64
    config.train_dataloader.sampler.batch_size = 8
    paths, _ = train(config, tmp_path, 8)
    for batch in paths:
        folders = [Path(path).parent.name for path in batch]
        assert (folders.count('couples'), folders.count('images')) == (6, 2)


@pytest.mark.slow
def test_bottom_up(recipe, tmp_path, expanded):
    config = recipe('bottom-up')
    # A hundredth of the work: a quarter of the size, an eighth of the channels.
    for stage in config.model.backbone.extra.values():
        channels = tuple(max(4, n // 8) for n in stage['num_channels'])
        blocks = (1,) * len(stage['num_blocks'])
        stage.update(num_channels=channels, num_blocks=blocks, num_modules=1)
    config.model.head.in_channels = sum(config.model.backbone.extra.stage4.num_channels)
    smaller = {(512, 512): (128, 128), (128, 128): (32, 32)}
    for stage in config.train_dataloader.dataset.pipeline:
        for settings in (stage, stage.get('encoder', {})):
            for key in ('input_size', 'heatmap_size'):
                if key in settings:
                    settings[key] = smaller[tuple(settings[key])]
    paths, runner = train(config, tmp_path, 2)
    data = runner.train_dataloader.dataset
    assert len(data) == 10
    assert all(len(data.get_data_info(n)['keypoints']) == 2 for n in range(10)), 'whole images'
    assert {Path(path).parent for batch in paths for path in batch} == {expanded / 'images'}
