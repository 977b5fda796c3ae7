import json
import os

import cv2
import numpy as np
import pytest
import torch
from attempt_helpers import outcomes
from mmengine.dataset import Compose
from pycocotools.coco import COCO

from pg2aug.augment.synthesis.compositing import PERSON_RADIUS
from pg2aug.expansion import Synthesised
from pg2aug.expansion.write.coco import person_label
from pg2aug.expansion.write.remaining_people import hidden_joints
from pg2aug.models.rasterize import body_alpha


def read(folder):
    return json.loads((folder / 'person_keypoints.json').read_text())


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_the_file_is_valid_coco(synthesize, couples):
    status, out = synthesize(num=5)
    assert status == 0
    coco = COCO(str(out / 'person_keypoints.json'))
    assert len(coco.imgs) == 5
    assert len(coco.anns) == 10
    assert sorted(path.name for path in (out / 'images').iterdir()) == sorted(
        image['file_name'] for image in coco.imgs.values()
    )
    for image in coco.imgs.values():
        pixels = cv2.imread(str(out / 'images' / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3)
    assert read(out)['categories'] == json.loads(couples[0].read_text())['categories']


def test_only_the_replaced_persons_annotation_changes(synthesize, couples):
    _, out = synthesize()
    source, new = COCO(str(couples[0])), COCO(str(out / 'person_keypoints.json'))
    for image in new.imgs.values():
        origin = source.imgs[image['pg2aug']['source_image_id']]
        assert (image['license'], image['flickr_url']) == (1, origin['flickr_url'])
        old = {a['person_id']: a for a in source.imgToAnns[origin['id']]}
        made, kept = sorted(new.imgToAnns[image['id']], key=lambda a: 'pg2aug' not in a)
        assert 'pg2aug' not in kept
        before = old[kept['person_id']]
        assert set(kept) == set(before)
        fresh = {'id', 'image_id', 'keypoints', 'num_keypoints'}
        assert all(kept[key] == before[key] for key in set(kept) - fresh)
        provenance = made['pg2aug']
        assert provenance['source_annotation_id'] == old[made['person_id']]['id']
        assert image['file_name'] == f'{provenance["item"]:08d}.jpg'
        assert provenance['seed'] == 0
        assert provenance['generator'] == 'tiny.pth'
        assert made['keypoints'] != old[made['person_id']]['keypoints']
        # It says what the old pose was, or outlined it.
        assert not {'pose_family', 'segmentation'} & set(made)


def test_the_label_describes_the_new_pose(make_job):
    job = make_job()
    made = [o for o in outcomes(job, 10, 5) if isinstance(o, Synthesised)]
    skeleton = job.synthesizer.skeleton
    for outcome in made:
        label = person_label(outcome, skeleton)
        x, y, width, height = label['bbox']
        triples = np.reshape(label['keypoints'], (-1, 3))
        shown = triples[:, 2] > 0
        assert label['num_keypoints'] == shown.sum() == outcome.joints_ok.sum()
        assert (triples[~shown] == 0).all()
        plan = outcome.plan
        np.testing.assert_allclose(triples[shown, :2], plan.target_keypoints[shown], atol=0.006)
        assert min(x, y) >= 0
        assert x + width <= outcome.image.shape[1]
        assert y + height <= outcome.image.shape[0]
        assert (triples[shown, :2] >= [x - 0.01, y - 0.01]).all()
        assert (triples[shown, :2] <= [x + width + 0.01, y + height + 0.01]).all()
        mask = body_alpha(
            torch.from_numpy(plan.target_keypoints)[None],
            torch.from_numpy(plan.target_drawn)[None],
            outcome.image.shape[:2],
            skeleton,
            torch.from_numpy(plan.target_radius * PERSON_RADIUS),
        )[0, 0].numpy()
        rows, columns = slice(int(y), int(y + height) + 1), slice(int(x), int(x + width) + 1)
        assert label['area'] == pytest.approx((mask[rows, columns] > 0.5).sum(), rel=0.05)
        assert 0 < label['area'] <= width * height


def test_joints_behind_somebody_else_are_flagged_as_hidden(make_job, couples):
    content = json.loads(couples[0].read_text())
    for right in content['annotations'][6:]:
        # So close that the new person is partly behind.
        values = np.reshape(right['keypoints'], (-1, 3)).astype(float)
        values = np.where(values[:, 2:] > 0, values - [50, 0, 0], 0)
        right['keypoints'] = values.ravel().tolist()
    couples[0].write_text(json.dumps(content))
    job = make_job()
    made = [o for o in outcomes(job, 24, 8) if isinstance(o, Synthesised)]
    flags, expected = [], []
    for outcome in made:
        label = person_label(outcome, job.synthesizer.skeleton)
        flags.append(np.reshape(label['keypoints'], (-1, 3))[:, 2])
        hidden = hidden_joints(outcome.plan, job.synthesizer.skeleton)
        hidden |= outcome.plan.target_visible == 1
        expected.append(outcome.joints_ok * (2 - hidden))
        assert label['num_keypoints'] == outcome.joints_ok.sum()
    np.testing.assert_array_equal(flags, expected)
    assert {1, 2} <= set(np.ravel(flags).tolist())


def test_same_seed_same_bytes(synthesize):
    first, again = synthesize('--seed', 5, out='a')[1], synthesize('--seed', 5, out='b')[1]
    assert tree(first) == tree(again)
    other = synthesize('--seed', 6, out='c')[1]
    assert read(other)['annotations'] != read(first)['annotations']


def test_the_batch_size_changes_no_label(synthesize):
    first = synthesize('--batch-size', 1, out='a')[1]
    assert read(synthesize('--batch-size', 5, out='b')[1]) == read(first)


def test_mmpose_reads_it(synthesize):
    from mmpose.registry import DATASETS
    from mmpose.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    _, out = synthesize(num=3)
    pipeline = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale'),
        dict(type='TopdownAffine', input_size=(48, 64)),
        dict(
            type='GenerateTarget',
            encoder=dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=2),
        ),
        dict(type='PackPoseInputs'),
    ]
    config = dict(type='CocoDataset', data_root=str(out), ann_file='person_keypoints.json')
    config |= dict(data_prefix=dict(img='images/'), pipeline=pipeline, _scope_='mmpose')
    dataset = DATASETS.build(config)
    assert isinstance(dataset.pipeline, Compose)
    usable = [a for a in read(out)['annotations'] if a['num_keypoints'] > 0]
    assert len(dataset) == len(usable) == 6
    for index in range(len(dataset)):
        sample = dataset[index]
        assert sample['inputs'].shape == (3, 64, 48)
        assert sample['data_samples'].gt_fields.heatmaps.max() > 0.5


def test_mmpose_trains_on_it(synthesize, tmp_path):
    import mmpose.models  # noqa: F401
    from mmengine.runner import Runner

    _, out = synthesize(num=3)
    codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=2)
    stages = [dict(type='GetBBoxCenterScale'), dict(type='TopdownAffine', input_size=(64, 64))]
    stages += [dict(type='GenerateTarget', encoder=codec), dict(type='PackPoseInputs')]
    dataset = dict(type='CocoDataset', data_root=str(out), ann_file='person_keypoints.json')
    dataset |= dict(data_prefix=dict(img='images/'), pipeline=[dict(type='LoadImage'), *stages])
    model = dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[0] * 3, std=[255] * 3),
        backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
        head=dict(
            type='HeatmapHead',
            in_channels=64,
            out_channels=17,
            deconv_out_channels=(16, 16, 16),
            loss=dict(type='KeypointMSELoss', use_target_weight=True),
            decoder=codec,
        ),
    )
    runner = Runner(
        model=model,
        work_dir=str(tmp_path / 'work'),
        train_dataloader=dict(
            batch_size=3,
            num_workers=0,
            dataset=dataset,
            sampler=dict(type='DefaultSampler', shuffle=True),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
        default_scope='mmpose',
        experiment_name='expansion',
    )
    runner.train()
    assert runner.iter == 2
    assert np.isfinite(runner.message_hub.get_scalar('train/loss').current())


def test_an_unusable_image_is_counted_and_left_out(synthesize, couples, tmp_path):
    path, folder = couples
    (tmp_path / 'secret.png').write_bytes((folder / '0.png').read_bytes())
    (folder / '5.png').write_bytes(b'not an image')
    names = ['missing.png', '../secret.png', str(tmp_path / 'secret.png'), 'a/../3.png']

    def change(content):
        for image, name in zip(content['images'], names, strict=False):
            image['file_name'] = name

    edit(path, change)
    status, out = synthesize('--max-attempts', 2, '--per-image', 8, num=None)
    assert status == 0
    content = read(out)
    assert {image['pg2aug']['source_file_name'] for image in content['images']} == {'4.png'}
    refused = json.loads((out / 'refused.json').read_text())['refused']
    details = {r['detail'] for r in refused if r['reason'] == 'the source image cannot be used'}
    assert details == {
        'No such file or directory',
        '5.png is no image: its header cannot be read',
    }
    left_out = json.loads((out / 'refused.json').read_text())['sources_left_out']
    broken = left_out['the entry of its image is broken']
    assert broken['count'] == 6
    assert broken['first'].endswith('the file name leads out of the image folder')
    assert len(refused) + len(content['images']) == content['info']['attempts'] <= 2 * 48
    assert len(list((out / 'images').iterdir())) == len(content['images']) <= 8


def test_links_to_elsewhere_are_followed_only_if_told_to(synthesize, couples, tmp_path):
    folder = couples[1]
    folder.rename(tmp_path / 'cache')
    folder.mkdir()
    for image in (tmp_path / 'cache').iterdir():
        (folder / image.name).symlink_to(image)
    assert synthesize('--max-attempts', 2)[0] == 2
    refused = json.loads((tmp_path / 'out' / 'refused.json').read_text())['refused']
    assert {r['reason'] for r in refused} == {'the source image cannot be used'}
    assert all('is a link that leads out of the image folder' in r['detail'] for r in refused)
    status, out = synthesize('--follow-links', out='b', num=6)
    assert status == 0
    refused = json.loads((out / 'refused.json').read_text())['refused']
    assert 'the source image cannot be used' not in {r['reason'] for r in refused}


def test_an_image_of_another_size_than_stated_is_left_out(synthesize, couples, capsys):
    edit(couples[0], lambda content: [i.update(width=200) for i in content['images']])
    status, out = synthesize('--max-attempts', 2)
    assert status == 2
    assert 'none of 8 attempts' in capsys.readouterr().err
    assert not (out / 'person_keypoints.json').exists()
    assert '144x96' in (out / 'refused.json').read_text()


def test_too_few_are_written_and_said(synthesize, capsys):
    status, out = synthesize('--max-attempts', 1, '--max-view-change', 30, num=12)
    assert status == 0
    made = len(read(out)['images'])
    assert 0 < made < 12
    assert f'only {made} of 12' in capsys.readouterr().err


def test_a_refused_person_is_listed_with_its_reason(synthesize):
    # Nothing that an untrained generator makes has the colours of the person.
    _, out = synthesize('--min-joints-ok', 1, '--max-attempts', 1, num=12, check=True)
    refused = json.loads((out / 'refused.json').read_text())['refused']
    failed = [entry for entry in refused if entry['reason'] == 'the label check failed']
    assert failed
    assert {'attempt', 'source_annotation_id', 'target_pose', 'detail'} <= set(failed[0])


def test_the_label_check_is_set_from_the_command_line(synthesize, capsys):
    settings = ['--check', 'max_distance=255', 'min_correlation=-1']
    status, out = synthesize(*settings, num=2, check=True)
    assert status == 0
    check = dict(type='AppearanceCheck', max_distance=255, min_correlation=-1)
    assert read(out)['info']['label_check'] == check
    arguments = ['--check', 'max_distance=0.01', '--min-joints-ok', 1, '--max-attempts', 1]
    assert synthesize(*arguments, out='b', check=True)[0] == 2
    assert 'the label check failed' in capsys.readouterr().err
    assert read(synthesize(out='c')[1])['info']['label_check'] is None


def test_the_view_may_be_held(synthesize, capsys):
    _, out = synthesize('--max-view-change', 30, '--max-attempts', 2, num=12)
    assert read(out)['info']['max_view_change'] == 30
    refused = json.loads((out / 'refused.json').read_text())['refused']
    assert any('degrees (0 is the front)' in entry['detail'] for entry in refused)
    with pytest.raises(SystemExit):
        synthesize('--max-view-change', 0, out='b')
    assert 'max_view_change must be in (0, 180] degrees or None, got 0.0' in capsys.readouterr().err


@pytest.mark.parametrize('setting', ['type=NoSuchCheck', 'no_such_setting=1', 'type=no.such.Check'])
def test_a_label_check_that_there_is_not(synthesize, capsys, setting):
    status, out = synthesize('--check', setting, check=True)
    assert status == 2
    message = capsys.readouterr().err
    assert '--check {' in message
    assert setting.split('=')[1] in message
    assert not out.exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(['--check', 'max_distance'], 'not KEY=VALUE'), (['--check', 'a=1', '--no-check'], 'allowed')],
)
def test_label_check_arguments_that_cannot_be_read(synthesize, capsys, arguments, message):
    with pytest.raises(SystemExit):
        synthesize(*arguments, check=True)
    assert message in capsys.readouterr().err


def test_the_second_stage_plays_no_part_in_coarse_images(synthesize, generator, tmp_path):
    content = torch.load(generator[1], weights_only=True)
    state = content['state_dict']
    state.update({k: v + 0.1 for k, v in state.items() if k.startswith('generator2.')})
    torch.save(content, tmp_path / 'tiny.pth')
    other = ['--checkpoint', tmp_path / 'tiny.pth']
    images = [
        tree(synthesize(*arguments, out=str(number))[1] / 'images')
        for number, arguments in enumerate([['--coarse'], ['--coarse', *other], [], other])
    ]
    assert images[0] == images[1]
    assert all(images[2][name] != images[3][name] for name in images[2])
    assert read(tmp_path / '0')['info']['coarse'] is True
    assert read(tmp_path / '2')['info']['coarse'] is False


def test_crowds_and_hidden_people_are_no_sources(synthesize, couples):
    def change(content):
        for annotation in content['annotations'][1:]:
            annotation['iscrowd'] = int(annotation['id'] % 2)
            annotation['keypoints'] = [0] * 51 if annotation['id'] % 2 == 0 else [1, 1, 2] * 17
        content['annotations'][1]['num_keypoints'] = 0

    edit(couples[0], change)
    _, out = synthesize(num=2)
    made = [a for a in read(out)['annotations'] if 'pg2aug' in a]
    assert {a['pg2aug']['source_annotation_id'] for a in made} == {1001}
    left_out = json.loads((out / 'refused.json').read_text())['sources_left_out']
    counts = [left_out[name]['count'] for name in ('a crowd', '0 labelled joints, fewer than 8')]
    assert sum(counts) == 11


def test_the_output_must_be_empty_or_the_same_expansion(synthesize, tmp_path, capsys):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'mine.txt').write_text('mine')
    assert synthesize()[0] == 2
    assert 'is not empty' in capsys.readouterr().err
    assert tree(tmp_path / 'out') == {'mine.txt': b'mine'}


def test_the_source_is_never_written_to(synthesize, couples, capsys):
    before = tree(couples[1])
    assert synthesize(out='couples/new')[0] == 2
    assert 'within the source images' in capsys.readouterr().err
    assert synthesize()[0] == 0
    assert tree(couples[1]) == before
    assert not (couples[1] / 'new').exists()


@pytest.mark.parametrize(
    'arguments', [('--num', 0), ('--num', -3), ('--batch-size', 0), ('--max-attempts', 0)]
)
def test_numbers_out_of_range(synthesize, capsys, arguments):
    status, out = synthesize(*arguments)
    assert status == 2
    assert 'must be at least 1' in capsys.readouterr().err
    assert not out.exists()


def test_a_file_of_other_joints(synthesize, couples, capsys):
    def rename(content):
        content['categories'][0]['keypoints'][9:11] = ['left_hand', 'right_hand']

    edit(couples[0], rename)
    assert synthesize()[0] == 2
    message = capsys.readouterr().err
    assert "joint 9 is 'left_hand', not 'left_wrist'" in message
    assert '--ignore-joint-names' in message
    assert synthesize('--ignore-joint-names')[0] == 0


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda content: content.pop('images'), "has no 'images'"),
        (lambda content: content['images'][1].update(id=100), 'the id 100 is there twice'),
        (lambda content: content['annotations'].clear(), 'no person of'),
    ],
)
def test_a_broken_annotation_file(synthesize, couples, capsys, change, message):
    edit(couples[0], change)
    status, out = synthesize()
    assert status == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_failed_write_leaves_no_part_of_a_file(synthesize, monkeypatch, capsys):
    def fail(*args):
        raise OSError('No space left on device')

    monkeypatch.setattr(os, 'replace', fail)
    status, out = synthesize()
    assert status == 2
    assert 'No space left' in capsys.readouterr().err
    assert tree(out) == {}


def test_the_sheet_shows_the_images(synthesize):
    _, out = synthesize(num=3)
    sheet = cv2.imread(str(out / 'sheet.png'))
    assert sheet.shape[0] > 3 * 240
    assert sheet.std() > 20


def test_acceptance_is_reported_by_rarity_and_by_joint(synthesize, capsys):
    check = ['--check', 'min_correlation=-1', '--min-joints-ok', 0.5]
    status, out = synthesize(*check, '--max-attempts', 2, num=20, check=True)
    assert status == 0
    content = json.loads((out / 'refused.json').read_text())
    report, refused = content['label_check'], content['refused']
    failed = [entry for entry in refused if 'failed_joints' in entry]
    assert {entry['reason'] for entry in failed} == {'the label check failed'}
    accepted = len(read(out)['images'])
    assert report['persons'] == [accepted + len(failed), accepted]
    assert 0 < accepted < report['persons'][0]
    assert [sum(column) for column in zip(*report['by_rarity'], strict=True)] == report['persons']
    made = [a for a in read(out)['annotations'] if 'pg2aug' in a]
    assert sum(seen[1] for seen in report['by_joint'].values()) == sum(
        a['num_keypoints'] for a in made
    )
    for entry in failed:
        names = report['by_joint'].keys()
        assert set(entry['failed_joints']) <= set(names)
        passed, labelled = map(int, entry['detail'].replace(' joints passed', '').split(' of '))
        assert len(entry['failed_joints']) == labelled - passed
    printed = capsys.readouterr().out
    assert 'by rarity of the pose, commonest tenth first: ' in printed
    assert 'left_wrist ' in printed


@pytest.fixture
def pose_estimator(tmp_path):
    """Paths of the config and the checkpoint of an untrained pose estimator."""
    from mmengine.config import Config
    from mmpose.registry import MODELS

    codec = dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=1)
    head = dict(type='HeatmapHead', in_channels=64, out_channels=17, deconv_out_channels=(8,) * 3)
    model = dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor'),
        backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
        head=dict(head, deconv_kernel_sizes=(4,) * 3, decoder=codec),
    )
    data = dict(dataset=dict(type='CocoDataset'))
    Config(dict(model=model, train_dataloader=data)).dump(tmp_path / 'pose.py')
    built = MODELS.build(dict(model, _scope_='mmpose'))
    torch.save(dict(state_dict=built.state_dict()), tmp_path / 'pose.pth')
    return tmp_path / 'pose.py', tmp_path / 'pose.pth'


def test_a_pose_model_checks_from_the_command_line(synthesize, pose_estimator, capsys):
    config, checkpoint = pose_estimator
    check = ['--check', 'type=PoseModelCheck', f'config={config}', f'checkpoint={checkpoint}']
    # An untrained network finds nothing, which MMPose scores with 0 or less.
    arguments = [*check, 'min_score=-9', '--max-attempts', 2]
    found = [*arguments[:-2], 'min_oks=0', 'max_distance=9']
    assert synthesize(*found, num=2, check=True)[0] == 0
    assert synthesize(*arguments, out='b', check=True)[0] == 2
    assert 'the label check failed' in capsys.readouterr().err


def test_files_of_the_check_are_named_without_their_folders(synthesize, pose_estimator, tmp_path):
    config, checkpoint = pose_estimator
    check = ['--check', 'type=PoseModelCheck', f'config={config}', f'checkpoint={checkpoint}']
    limits = ['min_oks=0', 'max_distance=9', 'min_score=-9']
    _, out = synthesize(*check, *limits, num=1, check=True)
    noted = read(out)['info']['label_check']
    assert noted['config']['file'] == 'pose.py'
    assert len(noted['checkpoint']['sha256']) == 64
    assert noted['max_distance'] == 9
    assert str(tmp_path) not in (out / 'person_keypoints.json').read_text()
