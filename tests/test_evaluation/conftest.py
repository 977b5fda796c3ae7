import pytest
import torch
from helpers import SIZE, TINY_MODEL
from training_helpers import train_config, write_stick_people

from pg2aug.datasets import PersonPairDataset
from pg2aug.registry import MODELS


@pytest.fixture(scope='session')
def people(tmp_path_factory):
    """Config of a COCO dataset of three stick people in three poses each: 18 pairs."""
    return write_stick_people(tmp_path_factory.mktemp('people'))


@pytest.fixture(scope='session')
def checkpoint(people, tmp_path_factory):
    """What a training of the tiny model would have written, with random weights."""
    path = tmp_path_factory.mktemp('checkpoint') / 'tiny.pth'
    torch.manual_seed(0)
    model = MODELS.build(dict(TINY_MODEL, stage1_iters=0, _scope_='pg2aug'))
    # Untrained images are all but grey: these fill the range, and some of it is clipped.
    torch.nn.init.normal_(model.generator1.head.weight, std=0.3)
    torch.nn.init.normal_(model.generator2.head.weight, std=0.3)
    meta = dict(dataset_meta=PersonPairDataset(people, SIZE).metainfo)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return str(path)


@pytest.fixture
def test_config(people, tmp_path):
    """Makes a config with a test of the people, and keys merged over it."""

    def make(num_pairs=None, batch_size=4, **settings):
        cfg = train_config(people, tmp_path / 'run')
        cfg.test_dataloader = dict(
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
            dataset=dict(
                type='pg2aug.PersonPairDataset',
                size=SIZE,
                flip=False,
                num_pairs=num_pairs,
                dataset=people,
            ),
        )
        cfg.merge_from_dict(settings)
        return cfg

    return make
