import copy

import numpy as np
import pytest
import torch
from augment_world import PADDING, SIZE, SKELETON
from helpers import COCO_METAINFO
from mmengine.config import Config

from pg2aug.augment import GeneratorFile
from pg2aug.models import PG2, LimbWarpGenerator

LIMB_WARP = dict(type='LimbWarpGenerator', metainfo=COCO_METAINFO, size=SIZE)


def test_a_trained_generator_is_read_with_how_its_crops_were_made(generator):
    file = GeneratorFile.from_config(generator)
    assert (file.size, file.padding) == (SIZE, PADDING)
    assert file.source == generator['checkpoint']
    assert file.skeleton == SKELETON
    model = file.build()
    assert isinstance(model, PG2)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, file.state_dict[n]) for n, value in model.state_dict().items())


@pytest.mark.parametrize('prefix', ['', 'pg2aug.'])
def test_the_limb_warp_needs_a_skeleton_and_a_size_alone(prefix):
    config = dict(LIMB_WARP, type=f'{prefix}LimbWarpGenerator')
    before = copy.deepcopy(config)
    file = GeneratorFile.from_config(config)
    assert config == before
    assert (file.size, file.padding, file.source) == (SIZE, 1.25, 'LimbWarpGenerator')
    assert file.skeleton == SKELETON
    model = file.build()
    assert isinstance(model, LimbWarpGenerator)
    assert model.skeleton == SKELETON


def test_padding_may_be_given_and_size_is_read_from_a_list():
    file = GeneratorFile.from_config(dict(LIMB_WARP, size=[48, 64], padding=1.5))
    assert (file.size, file.padding) == ((48, 64), 1.5)


def test_the_description_may_be_the_dict_instead_of_its_file():
    description = dict(
        dataset_name='ends',
        keypoint_info={
            k: dict(name=f'{side}_end', id=k, color=[0, 0, 0], type='', swap=f'{other}_end')
            for k, (side, other) in enumerate([('left', 'right'), ('right', 'left')])
        },
        skeleton_info={0: dict(link=('left_end', 'right_end'), id=0, color=[0, 0, 0])},
        joint_weights=[1.0, 1.0],
        sigmas=[0.1, 0.1],
    )
    # As MMEngine's configs hold it.
    config = Config(dict(generator=dict(LIMB_WARP, metainfo=description))).generator
    file = GeneratorFile.from_config(config)
    assert file.skeleton.keypoint_names == ('left_end', 'right_end')
    assert file.build().skeleton == file.skeleton


@pytest.mark.parametrize(
    'wrong',
    [
        {},
        dict(config='a.py'),
        dict(type='LimbWarpGenerator', metainfo=COCO_METAINFO),
        dict(LIMB_WARP, checkpoint='a.pth'),
        dict(LIMB_WARP, type='PG2'),
        dict(LIMB_WARP, config='a.py', checkpoint='a.pth'),
    ],
    ids=lambda wrong: '+'.join(wrong) or 'nothing',
)
def test_what_is_neither_is_told_what_it_may_be(wrong):
    with pytest.raises(
        ValueError, match=r"config='...', checkpoint=.*LimbWarpGenerator.* got"
    ) as e:
        GeneratorFile.from_config(wrong)
    assert str(wrong) in str(e.value)


@pytest.mark.parametrize('size', [(48,), (0, 64), (48, -64), (48.5, 64), '48x64', 48])
def test_a_size_that_is_none_is_told(size):
    with pytest.raises(ValueError, match=r'size must be \(width, height\)'):
        GeneratorFile.from_config(dict(LIMB_WARP, size=size))


@pytest.mark.parametrize('padding', [0, -1.25, np.nan])
def test_a_padding_that_is_none_is_told(padding):
    with pytest.raises(ValueError, match='padding must be'):
        GeneratorFile.from_config(dict(LIMB_WARP, padding=padding))


def test_missing_files_are_told(generator):
    for key in ('config', 'checkpoint'):
        with pytest.raises(FileNotFoundError, match=rf"generator {key} 'gone' does not exist"):
            GeneratorFile.from_config({**generator, key: 'gone'})
