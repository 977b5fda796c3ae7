"""The browser shows the labels that are trained on, not those that were planned."""

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from training_helpers import train_config

from pg2aug.cli import browse
from pg2aug.engine.training import build_runner
from pg2aug.figures import make_figures
from pg2aug.registry import MODELS

INPUT = (48, 64)
LEFT_JOINTS = (5, 7, 9, 11, 13, 15)
"""Shoulder to ankle; the right joint of each follows."""


@MODELS.register_module()
class RefuseChosen:
    """A label check that refuses some joints of the plan."""

    def __init__(self, joints):
        self.joints = list(joints)

    def __call__(self, synthesis):
        passed = synthesis.visible > 0
        passed[:, self.joints] = False
        return passed


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """People, a generator of theirs, and both in the first lines of a pose config."""
    folder = tmp_path_factory.mktemp('browse')
    make_figures(folder, num_people=3, images_per_person=4, size=(72, 96), seed=4)
    people = dict(
        type='CocoDataset',
        data_root=str(folder),
        ann_file='person_keypoints_train.json',
        data_prefix=dict(img='images/train/'),
    )
    cfg = train_config(people, folder / 'pg2', stage1_iters=1, stage2_iters=1)
    cfg.dump(folder / 'pg2.py')
    build_runner(Config.fromfile(folder / 'pg2.py')).train()
    generator = dict(
        config=str(folder / 'pg2' / 'pg2.py'), checkpoint=str(folder / 'pg2' / 'iter_2.pth')
    )
    return folder, people, generator


@pytest.fixture
def drawn(monkeypatch):
    """Keypoints and visibility of each skeleton drawn on an image, in order."""
    calls = []
    draw = browse.draw_skeleton

    def record(image, keypoints, visible, *args, **kwargs):
        calls.append((keypoints, np.asarray(visible) > 0))
        return draw(image, keypoints, visible, *args, **kwargs)

    monkeypatch.setattr(browse, 'draw_skeleton', record)
    return calls


def write_config(path, world, *augments):
    """A pose config that mirrors every sample."""
    folder, people, generator = world
    common = dict(
        type='PG2Augment', generator=generator, pose_bank=f'{folder}/{people["ann_file"]}'
    )
    codec = dict(type='MSRAHeatmap', input_size=INPUT, heatmap_size=(12, 16), sigma=1)
    steps = [
        dict(type='GetBBoxCenterScale'),
        dict(type='RandomFlip', prob=1.0, direction='horizontal'),
        dict(type='RandomBBoxTransform'),
        dict(type='TopdownAffine', input_size=INPUT),
        dict(type='GenerateTarget', encoder=codec),
        dict(type='PackPoseInputs'),
    ]
    datasets = [
        {**people, 'pipeline': [dict(type='LoadImage'), {**common, **augment}, *steps]}
        for augment in augments
    ]
    metainfo = dict(from_file='configs/_base_/datasets/coco.py')
    combined = dict(type='CombinedDataset', metainfo=metainfo, datasets=datasets)
    dataset = combined if len(datasets) > 1 else datasets[0]
    preprocessor = dict(
        type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True
    )
    Config(
        dict(model=dict(data_preprocessor=preprocessor), train_dataloader=dict(dataset=dataset))
    ).dump(path)
    return str(path)


def final_labels(config, seed=0):
    """Joints and visibility of the first sample, as the pipeline leaves them before packing."""
    init_default_scope('mmpose')
    dataset, _, _ = browse.load(Config.fromfile(config), 'cpu')
    np.random.seed(seed)  # noqa: NPY002
    order = np.random.default_rng(seed).permutation(len(dataset))
    results = dataset.get_data_info(int(order[0]))
    for transform in dataset.pipeline.transforms[:-1]:
        results = transform(results)
    assert results['flip']
    return results['transformed_keypoints'][0], results['keypoint_weights'][0] > 0


def test_labels_of_mirrored_samples_are_those_trained_on(world, drawn, tmp_path):
    config = write_config(tmp_path / 'pose.py', world, dict(check=None))
    browse.main(
        [config, '--num', '3', '--rows', '2', '--out', str(tmp_path / 'browse'), '--device=cpu']
    )
    sheets = sorted((tmp_path / 'browse').glob('sheet_*.png'))
    assert [sheet.name for sheet in sheets] == ['sheet_000.png', 'sheet_001.png']
    assert all(cv2.imread(str(sheet)) is not None for sheet in sheets)
    keypoints, labelled = final_labels(config)
    shown, visible = drawn[0]
    np.testing.assert_array_equal(visible, labelled)
    assert visible.sum() > 8
    np.testing.assert_allclose(shown[visible], keypoints[visible], atol=1e-3)


def test_sheets_of_an_earlier_run_are_not_left_among_new_ones(world, tmp_path, capsys):
    config = write_config(tmp_path / 'pose.py', world, dict(check=None))
    out = tmp_path / 'browse'
    arguments = [config, '--rows', '1', '--out', str(out), '--device=cpu']
    for number in (2, 1):
        assert browse.main([*arguments, '--num', str(number)]) == 0
        assert len(list(out.glob('sheet_*.png'))) == number
    (out / 'sheet_000_before.png').write_bytes(b'mine')
    assert browse.main([*arguments, '--num', '1']) == 2
    assert 'something else than results of browse (sheet_000_before.png)' in capsys.readouterr().err
    assert (out / 'sheet_000_before.png').read_bytes() == b'mine'


def test_a_refused_joint_of_a_mirrored_sample_is_left_out_on_its_own_side(world, drawn, tmp_path):
    _, labelled = final_labels(write_config(tmp_path / 'pose.py', world, dict(check=None)))
    left = next(joint for joint in LEFT_JOINTS if labelled[[joint, joint + 1]].all())
    check = dict(type='RefuseChosen', joints=[left])
    config = write_config(tmp_path / 'pose.py', world, dict(check=check, min_joints_ok=0.1))
    browse.main([config, '--num', '1', '--out', str(tmp_path / 'browse'), '--device', 'cpu'])
    _, visible = drawn[0]
    assert np.flatnonzero(labelled & ~visible).tolist() == [left + 1]


def test_nothing_is_drawn_of_a_refused_person(world, drawn, tmp_path, monkeypatch):
    captions = []
    sheet = browse.contact_sheet
    monkeypatch.setattr(
        browse,
        'contact_sheet',
        lambda *args, **kwargs: captions.extend(kwargs['captions']) or sheet(*args, **kwargs),
    )
    check = dict(type='RefuseChosen', joints=range(5, 17))
    config = write_config(tmp_path / 'pose.py', world, dict(check=check, min_joints_ok=0.9))
    browse.main([config, '--num', '1', '--out', str(tmp_path / 'browse'), '--device', 'cpu'])
    _, labelled = final_labels(config)
    assert not drawn[0][1].any()
    assert captions == [f'refused: 0 of {labelled.sum()} joints']


def test_augments_that_differ_are_refused_as_in_training(world, tmp_path, capsys):
    config = write_config(tmp_path / 'pose.py', world, dict(check=None), dict(refine=False))
    assert (
        browse.main([config, '--num', '1', '--out', str(tmp_path / 'browse'), '--device', 'cpu'])
        == 2
    )
    assert 'share one synthesizer, but' in capsys.readouterr().err


def browse_changed(world, tmp_path, change):
    """The status of the browser for a config after a change."""
    path = write_config(tmp_path / 'pose.py', world, dict(check=None))
    config = Config.fromfile(path)
    change(config)
    config.dump(path)
    return browse.main([path, '--num', '2', '--out', str(tmp_path / 'out'), '--device', 'cpu'])


def test_a_pipeline_that_ends_outside_the_data_set_is_shown(world, tmp_path):
    def wrap(config):
        inner = config.train_dataloader.dataset
        outer = inner.pipeline[2:]
        inner.pipeline = inner.pipeline[:2]
        config.train_dataloader.dataset = dict(
            type='CombinedDataset',
            metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
            datasets=[inner],
            pipeline=outer,
        )

    assert browse_changed(world, tmp_path, wrap) == 0
    assert (tmp_path / 'out' / 'sheet_000.png').is_file()


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda c: c.pop('model'), 'pose.py: it has no model.data_preprocessor: give the config'),
        (lambda c: c.pop('train_dataloader'), 'pose.py: it has no train_dataloader.dataset: give'),
        (
            lambda c: c.train_dataloader.dataset.update(type='Nope'),
            'KeyError: ',
        ),
        (
            lambda c: c.train_dataloader.dataset.update(ann_file='gone.json'),
            'gone.json',
        ),
        (
            lambda c: c.train_dataloader.dataset.pipeline[1].pop('pose_bank'),
            'TypeError: PG2Augment',
        ),
        (
            lambda c: c.train_dataloader.dataset.pipeline.append(dict(type='RandomFlip')),
            "pg2aug browse makes samples as PG2Hook does: the pipeline must end in dict(type='Pack",
        ),
    ],
)
def test_a_config_that_cannot_be_shown_is_told_in_a_line(world, tmp_path, capsys, change, words):
    assert browse_changed(world, tmp_path, change) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count('\n') == 1
