import copy

import numpy as np
import pytest
import torch
from augment_world import PADDING, SIZE, SKELETON, make_figure, make_sample, plan_for
from helpers import COCO_METAINFO
from mmengine.config import Config

from pg2aug.augment import AppearanceCheck, GeneratorFile, Synthesizer
from pg2aug.augment.extras.detail import DetailedGenerator
from pg2aug.compat import load_checkpoint
from pg2aug.models import PG2, LimbWarpGenerator
from pg2aug.registry import MODELS

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


@pytest.mark.parametrize(
    'kind', ['LimbWarpGenerator', 'pg2aug.LimbWarpGenerator', LimbWarpGenerator]
)
def test_the_limb_warp_needs_a_skeleton_and_a_size_alone(kind):
    config = dict(LIMB_WARP, type=kind)
    before = copy.deepcopy(config)
    file = GeneratorFile.from_config(config)
    assert config == before
    assert (file.size, file.padding, file.source) == (SIZE, 1.25, 'LimbWarpGenerator')
    assert file.skeleton == SKELETON
    model = file.build()
    assert isinstance(model, LimbWarpGenerator)
    assert model.skeleton == SKELETON


def test_a_generator_may_be_named_by_its_class(generator, monkeypatch):
    config = Config.fromfile(generator['config'])
    config.model.type = PG2
    monkeypatch.setattr('pg2aug.augment.generator_file.read_config', lambda *_: config)
    assert isinstance(GeneratorFile.from_config(generator).build(), PG2)


def test_a_config_that_cannot_be_read_is_told(generator, tmp_path):
    (tmp_path / 'broken.py').write_text('model = dict(')
    with pytest.raises(ValueError, match=r"generator config '.*broken.py' cannot be read"):
        GeneratorFile.from_config({**generator, 'config': str(tmp_path / 'broken.py')})


@pytest.mark.parametrize('trunk', [True, False])
def test_trunks_that_come_out_as_sticks_are_told_once(monkeypatch, trunk):
    messages = []
    monkeypatch.setattr(
        'pg2aug.augment.generator_file.print_log', lambda text, **_: messages.append(text)
    )
    corners = ['left_shoulder', 'right_shoulder', 'right_hip', 'left_hip']
    names = corners if trunk else ['withers', 'back', 'tail_base', 'tail_end']
    opposites = corners[1::-1] + corners[:1:-1] if trunk else [''] * 4
    description = dict(
        dataset_name='a horse of this test',
        keypoint_info={
            k: dict(name=name, swap=opposite)
            for k, (name, opposite) in enumerate(zip(names, opposites, strict=True))
        },
        skeleton_info={k: dict(link=(names[k], names[k + 1])) for k in range(3)},
    )
    for _ in range(2):
        GeneratorFile.from_config(dict(LIMB_WARP, metainfo=description))
    assert len(messages) == (0 if trunk else 1)
    assert all('as thin as limbs (back to tail_base), and' in text for text in messages)


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


def test_a_config_of_other_preprocessing_is_told(generator, tmp_path):
    config = Config.fromfile(generator['config'])
    config.model.data_preprocessor.heatmap_radius = 3.0
    config.dump(tmp_path / 'other.py')
    with pytest.raises(ValueError, match=r'heatmap_radius=2\.0, not 3\.0\. Give the config it was'):
        GeneratorFile.from_config({**generator, 'config': str(tmp_path / 'other.py')})


@pytest.fixture
def with_matte(generator, tmp_path):
    """The generator as it was described, but untrained, and with a matte of its own."""
    config = Config.fromfile(generator['config'])
    config.model.data_preprocessor.update(foreground=True, aligned=True, matte=True)
    config.dump(tmp_path / 'matte.py')
    content = load_checkpoint(generator['checkpoint'])
    model = MODELS.build(dict(config.model, stage1_iters=0, _scope_='pg2aug'))
    meta = {**content['meta'], 'cfg': config.pretty_text}
    torch.save({'meta': meta, 'state_dict': model.state_dict()}, tmp_path / 'matte.pth')
    return dict(config=str(tmp_path / 'matte.py'), checkpoint=str(tmp_path / 'matte.pth'))


def test_detail_makes_the_crops_larger_and_the_generator_no_other(with_matte):
    plain, fine = (GeneratorFile.from_config({**with_matte, 'detail': n}) for n in (1, 3))
    assert plain.size == GeneratorFile.from_config(with_matte).size == SIZE
    assert fine.size == (3 * SIZE[0], 3 * SIZE[1])
    assert (fine.padding, fine.source, fine.detail) == (plain.padding, plain.source, 3)
    model = fine.build()
    assert isinstance(model, DetailedGenerator)
    assert model.skeleton == SKELETON
    assert not model.training
    assert all(torch.equal(v, fine.state_dict[n]) for n, v in model.model.state_dict().items())


@pytest.mark.parametrize('detail', [0, -1, 1.5, True, '2'])
def test_a_detail_that_is_no_number_of_times_is_refused(generator, detail):
    with pytest.raises(ValueError, match='detail must be a whole number from 1 on'):
        GeneratorFile.from_config({**generator, 'detail': detail})


def test_detail_needs_to_know_what_is_person(generator):
    with pytest.raises(ValueError, match=r'detail=2 needs a generator .*\(matte=True\)'):
        GeneratorFile.from_config({**generator, 'detail': 2})


def test_persons_with_detail_are_synthesised_and_pasted(with_matte):
    sample = make_sample(seed=1)
    plans = []
    for detail in (1, 2):
        file = GeneratorFile.from_config({**with_matte, 'detail': detail})
        plans.append(plan_for(sample, make_figure(seed=2), size=file.size))
        image = torch.from_numpy(sample['img'].transpose(2, 0, 1).copy())[None].float()
        matrix = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
        result = Synthesizer(file.build(), AppearanceCheck())(image, plans[-1:], matrix)
        assert result.images.shape == image.shape
        assert result.images.isfinite().all()
        assert result.made.shape[-2:] == (detail * SIZE[1], detail * SIZE[0])
    np.testing.assert_array_equal(*(plan.target_keypoints for plan in plans))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda c: c['state_dict']['generator1.head.weight'].fill_(np.nan), 'are not finite, such'),
        (lambda c: c.pop('state_dict'), "no weights in 'state_dict'"),
        (lambda c: c.update(state_dict=[1]), "a list as 'state_dict'"),
        (lambda c: c['state_dict'].update(more=3), "no weights in 'state_dict'"),
        (lambda c: c.update(meta=None), r"no meta\['dataset_meta'\]"),
        (lambda c: c.update(meta=[]), r"no meta\['dataset_meta'\]"),
        (lambda c: c['meta'].update(dataset_meta=3), "a int as 'dataset_meta' of 'meta'"),
        (lambda c: c['meta']['dataset_meta'].update(crop=3), 'cannot be used: TypeError'),
        (lambda c: c['meta']['dataset_meta']['crop'].update(size=(1, -1)), 'size must be'),
        (lambda c: c['meta']['dataset_meta'].pop('flip_indices'), 'flip_indices'),
        (lambda c: c['meta']['dataset_meta'].update(skeleton_links=[3]), 'cannot be used'),
    ],
)
def test_a_broken_checkpoint_is_told_by_its_name(generator, tmp_path, change, words):
    content = copy.deepcopy(load_checkpoint(generator['checkpoint']))
    change(content)
    path = tmp_path / 'broken.pth'
    torch.save(content, path)
    with pytest.raises(ValueError, match=rf'broken\.pth.*{words}|{words}.*broken\.pth'):
        GeneratorFile.from_config({**generator, 'checkpoint': str(path)})


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('model = [', 'cannot be read: SyntaxError'),
        ('raise SystemExit(0)', 'cannot be read: SystemExit'),
        ('1 / 0', 'cannot be read: ZeroDivisionError'),
        ("model = 'PG2'", "no model of type 'pg2aug.PG2'"),
        ("_base_ = ['gone.py']", 'cannot be read'),
    ],
)
def test_a_broken_config_is_told_by_its_name(generator, tmp_path, text, words):
    path = tmp_path / 'broken.py'
    path.write_text(text)
    with pytest.raises(ValueError, match=rf'broken\.py.*{words}'):
        GeneratorFile.from_config({**generator, 'config': str(path)})


@pytest.mark.parametrize(
    'wrong',
    [
        dict(generator1=dict(num_blocks=0)),
        dict(generator1=dict(base_channels='a')),
        dict(generator1=3),
        dict(discriminator=dict(channels=[])),
        dict(size=(32,)),
    ],
    ids=str,
)
def test_a_model_that_cannot_be_built_is_told_by_its_config(generator, tmp_path, wrong):
    config = Config.fromfile(generator['config'])
    config.merge_from_dict(dict(model=wrong))
    path = tmp_path / 'wrong.py'
    config.dump(path)
    with pytest.raises(ValueError, match=r'wrong\.py'):
        GeneratorFile.from_config({**generator, 'config': str(path)}).build()
