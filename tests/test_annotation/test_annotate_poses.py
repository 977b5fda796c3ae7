"""Own images annotated by a trained pose estimator."""

import json
import runpy
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmpose.apis import inference_topdown, init_model
from painted_people import METAINFO, SIZE, draw_person

from pg2aug.annotation import ImageEstimator
from pg2aug.datasets import PersonPairDataset

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'annotate_poses.py'
HIDDEN = (3, 9)
ALICE = ['alice/0.png', 'alice/1.png', 'alice/2.png']
BOB = ['bob/0.png', 'bob/1.png']


@pytest.fixture
def folder(tmp_path):
    """Images of two people, and the keypoints of each."""
    truth = {}
    for seed, name in enumerate(ALICE + BOB):
        image, truth[name] = draw_person(seed, HIDDEN)
        write(tmp_path / 'img' / name, image)
    return tmp_path / 'img', truth


@pytest.fixture
def annotate(pose_model, tmp_path, capsys):
    """Runs the tool; its exit status, standard output and error, and the written annotations."""

    def run(images, *options, model=pose_model, out='out'):
        arguments = [str(images), '--pose-model', model[0], '--pose-checkpoint', model[1]]
        arguments += ['--out', str(tmp_path / out), '--device', 'cpu', *map(str, options)]
        status = runpy.run_path(str(TOOL))['main'](arguments)
        file = tmp_path / out / 'person_keypoints.json'
        content = json.loads(file.read_text()) if status == 0 else None
        return status, *capsys.readouterr(), content

    return run


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def changed_config(pose_model, path, **changes):
    cfg = Config.fromfile(pose_model[0])
    cfg.merge_from_dict(changes)
    cfg.dump(path)
    return str(path), pose_model[1]


def by_name(content):
    names = {image['id']: image['file_name'] for image in content['images']}
    return {names[entry['image_id']]: entry for entry in content['annotations']}


def test_the_joints_are_where_they_are_painted(folder, annotate):
    images, truth = folder
    status, output, _, content = annotate(images)
    assert status == 0
    assert 'images: 5\nidentities: 2\n' in output
    assert list(by_name(content)) == ALICE + BOB
    shown = [joint for joint in range(17) if joint not in HIDDEN]
    for name, entry in by_name(content).items():
        triples = np.reshape(entry['keypoints'], (17, 3))
        assert np.abs(triples[shown, :2] - truth[name][shown]).max() < 2
        assert (triples[shown, 2] == 2).all()
        assert (triples[list(HIDDEN)] == 0).all()
        assert entry['num_keypoints'] == 15
        assert entry['person_id'] == name.split('/')[0]
        assert entry['bbox'] == [0, 0, *SIZE]
    assert all((image['width'], image['height']) == SIZE for image in content['images'])
    (category,) = content['categories']
    assert category['keypoints'][:6] == [
        *('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder')
    ]
    assert [6, 7] in category['skeleton']  # from shoulder to shoulder


def test_what_is_written_is_a_data_set_of_pairs(folder, annotate, tmp_path):
    images, truth = folder
    annotate(images)
    dataset = dict(type='CocoDataset', metainfo=METAINFO, data_root=str(tmp_path))
    dataset |= dict(ann_file='out/person_keypoints.json', data_prefix=dict(img='img/'))
    pairs = PersonPairDataset(dataset, size=SIZE, padding=1.0, flip=False)
    assert len(pairs) == 3 * 2 + 2
    assert [pair['person_id'] for pair in pairs] == ['alice'] * 6 + ['bob'] * 2
    item = pairs[0]
    assert np.array_equal(
        item['condition_image'].permute(1, 2, 0), cv2.imread(str(images / ALICE[0]))
    )
    shown = item['target_visible'].numpy() > 0
    assert np.abs(item['target_keypoints'].numpy() - truth[ALICE[1]])[shown].max() < 2


@pytest.mark.parametrize('flip_test', [False, True])
def test_poses_are_those_of_mmposes_own_inference(folder, pose_model, tmp_path, flip_test):
    images, _ = folder
    changes = {'model.test_cfg': dict(flip_test=flip_test)}
    config, checkpoint = changed_config(pose_model, tmp_path / 'pose.py', **changes)
    estimator = ImageEstimator(config, checkpoint)
    reference = init_model(config, checkpoint, device='cpu')
    loaded = [cv2.imread(str(images / name)) for name in ALICE]
    boxes = np.array([[0, 0, *SIZE], [5, 8, 50, 70.5], [-3, 0, 40, 90]], np.float32)
    prepared = [estimator.prepare(*pair) for pair in zip(loaded, boxes, strict=True)]
    keypoints, scores = estimator.estimate(prepared)
    for index, image in enumerate(loaded):
        (expected,) = inference_topdown(reference, image, boxes[index : index + 1])
        found = expected.pred_instances
        np.testing.assert_allclose(keypoints[index], found.keypoints[0], atol=1e-3)
        np.testing.assert_allclose(scores[index], found.keypoint_scores[0], atol=1e-4)


def test_batches_and_workers_change_nothing(folder, annotate):
    one = annotate(folder[0], '--batch-size', 1, out='one')[-1]
    many = annotate(folder[0], '--batch-size', 3, '--workers', 2, out='many')[-1]
    assert one['images'] == many['images']
    for a, b in zip(one['annotations'], many['annotations'], strict=True):
        np.testing.assert_allclose(a.pop('keypoints'), b.pop('keypoints'), atol=0.02)
        assert a == b


def test_bad_images_are_reported_and_stop_nothing(folder, annotate, tmp_path):
    images, _ = folder
    photo = cv2.imencode('.jpg', draw_person(9)[0])[1].tobytes()
    (images / 'alice' / 'cut.jpg').write_bytes(photo[: len(photo) // 2])
    (images / 'bob' / 'empty.png').write_bytes(b'')
    (images / 'bob' / 'text.jpeg').write_text('no image')
    (images / 'bob' / 'notes.txt').write_text('no image, and no name of one')
    write(images / 'bob' / 'grey.png', np.full((80, 60, 3), 100, np.uint8))
    status, output, _, content = annotate(images)
    assert status == 0
    assert list(by_name(content)) == ALICE + BOB
    assert '  3 unreadable images\n' in output
    for name in ('alice/cut.jpg', 'bob/empty.png', 'bob/text.jpeg'):
        assert f'    {name}: cannot be decoded' in output
    assert '  1 images in which no joint was found\n    bob/grey.png: ' in output
    report = json.loads((tmp_path / 'out' / 'report.json').read_text())
    assert report['images'] == 5
    found = [finding['file'] for finding in report['left_out']['unreadable images']]
    assert found == ['alice/cut.jpg', 'bob/empty.png', 'bob/text.jpeg']


def test_nothing_left_is_an_error_that_says_why(annotate, tmp_path):
    write(tmp_path / 'img' / 'alice' / 'grey.png', np.full((80, 60, 3), 100, np.uint8))
    (tmp_path / 'img' / 'alice' / 'cut.png').write_bytes(b'\x89PNG')
    status, _, error, _ = annotate(tmp_path / 'img')
    assert status == 2
    assert 'can be annotated' in error
    assert 'alice/cut.png' in error
    assert 'alice/grey.png' in error
    assert not (tmp_path / 'out').exists()
    (tmp_path / 'none').mkdir()
    assert 'there is no image in' in annotate(tmp_path / 'none')[2]
    assert 'there is no image folder' in annotate(tmp_path / 'absent')[2]


def test_a_person_of_one_image_is_noted(folder, annotate):
    images, _ = folder
    (images / BOB[1]).unlink()
    output = annotate(images)[1]
    assert "  1 images without a partner\n    bob/0.png: the only one of person 'bob'" in output


def test_joints_below_the_score_are_unlabelled(folder, annotate):
    labelled = {}
    for score in (0, 0.3, 5):
        status, _, error, content = annotate(folder[0], '--min-score', score, out=f'out{score}')
        entries = content['annotations'] if status == 0 else []
        labelled[score] = [entry['num_keypoints'] for entry in entries]
    assert min(labelled[0]) > 15
    assert labelled[0.3] == [15] * 5
    assert labelled[5] == []
    assert 'highest score of a joint is' in error


def test_boxes_say_where_the_person_is(annotate, tmp_path):
    corner = (70, 100)
    for name in ('alice/0.png', 'alice/1.png', 'alice/2.png', 'alice/3.png'):
        image, keypoints = draw_person(3, HIDDEN, size=(200, 260), offset=corner)
        write(tmp_path / 'img' / name, image)
    files = ['alice/0.png', '1.png', '2.png', 'other.png']
    boxes = [(0, [*corner, *SIZE], 0.9), (0, [0, 0, 200, 260], 0.2), (1, [*corner, *SIZE], None)]
    boxes += [(1, [0, 0, 20, 30], None), (2, [300, 0, 10, 10], None), (3, [0, 0, 9, 9], None)]
    boxes += [(1, [0, 0, -5, 30], None)]
    content = dict(images=[dict(id=k, file_name=name) for k, name in enumerate(files)])
    content['annotations'] = [
        dict(image_id=image, bbox=box) | ({} if score is None else dict(score=score))
        for image, box, score in boxes
    ]
    (tmp_path / 'boxes.json').write_text(json.dumps(content))
    status, output, _, written = annotate(tmp_path / 'img', '--boxes', tmp_path / 'boxes.json')
    assert status == 0
    shown = [joint for joint in range(17) if joint not in HIDDEN]
    assert list(by_name(written)) == ['alice/0.png', 'alice/1.png']
    for entry in written['annotations']:
        assert entry['bbox'] == [*corner, *SIZE]
        assert entry['area'] == SIZE[0] * SIZE[1]
        triples = np.reshape(entry['keypoints'], (17, 3))
        assert np.abs(triples[shown, :2] - keypoints[shown]).max() < 2
    assert 'alice/2.png: its box lies outside of its 200x260 pixels' in output
    assert 'alice/3.png: the box file has none' in output
    assert 'boxes.json: alice/1.png: annotation 6 has no bbox' in output


@pytest.mark.parametrize(
    ('categories', 'options'),
    [
        ([dict(id=1, name='chair'), dict(id=7, name='Person')], []),
        ([dict(id=1, name='chair'), dict(id=7, name='rider')], ['--category', 'rider']),
        ([dict(id=1, name='chair')], ['--category', '7']),
    ],
)
def test_boxes_of_other_categories_are_no_persons(annotate, tmp_path, categories, options):
    image, _ = draw_person(3, HIDDEN, size=(200, 260), offset=(70, 100))
    write(tmp_path / 'img' / 'alice/0.png', image)
    chair = dict(image_id=1, bbox=[0, 0, 200, 260], score=0.99, category_id=1)
    person = dict(image_id=1, bbox=[70, 100, *SIZE], score=0.5, category_id=7)
    content = dict(images=[dict(id=1, file_name='0.png')], annotations=[chair, person])
    if options == ['--category', '7']:
        categories = [*categories, dict(id=7, name='pedestrian')]
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps(content | dict(categories=categories)))
    status, output, _, written = annotate(tmp_path / 'img', '--boxes', path, *options)
    assert status == 0
    assert written['annotations'][0]['bbox'] == [70, 100, *SIZE]
    assert '1 boxes of other categories' in output
    unknown = [dict(id=1, name='chair'), dict(id=7, name='rider')]
    path.write_text(json.dumps(content | dict(categories=unknown)))
    status, _, error, _ = annotate(tmp_path / 'img', '--boxes', path, out='no')
    assert status == 2
    assert "7 'rider' (0 joints)): pass --category" in error
    # Without categories MMPose takes those of 1.
    path.write_text(json.dumps(content))
    _, _, _, written = annotate(tmp_path / 'img', '--boxes', path, out='first')
    assert written['annotations'][0]['bbox'] == [0, 0, 200, 260]


def test_images_of_every_ending_that_opencv_reads_are_taken_and_other_files_counted(
    annotate, tmp_path
):
    image, _ = draw_person(3, HIDDEN)
    for name in ('alice/0.png', 'alice/1.TIFF', 'alice/2.ppm', 'alice/3.jpe'):
        write(tmp_path / 'img' / name, image)
    (tmp_path / 'img' / 'alice' / 'notes.txt').write_text('hello')
    status, output, _, written = annotate(tmp_path / 'img')
    assert status == 0
    assert len(written['images']) == 4
    assert '1 files with other endings' in output
    assert 'alice/notes.txt: images end in .bmp' in output


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[{"image_id": 1, "bbox": [0, 0, 5, 5]}]', "must have 'images'"),
        ('{"images": [{"id": 1}], "annotations": []}', "must have 'images'"),
        ('{', 'is no json file'),
        ('{"images": [], "annotations": []}', 'has no box for any of the 5 images'),
        (None, 'there is no box file'),
    ],
)
def test_other_box_files_are_refused(folder, annotate, tmp_path, text, message):
    if text is not None:
        (tmp_path / 'boxes.json').write_text(text)
    status, _, error, _ = annotate(folder[0], '--boxes', tmp_path / 'boxes.json')
    assert status == 2
    assert message in error


def test_nothing_is_downloaded(folder, annotate, pose_model, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise AssertionError(f'a connection to {arguments}')

    monkeypatch.setattr(socket, 'getaddrinfo', refuse)
    monkeypatch.setattr(socket.socket, 'connect', refuse)
    url = 'https://download.openmmlab.com/backbone.pth'
    init = {'model.backbone.init_cfg': dict(type='Pretrained', checkpoint=url)}
    model = changed_config(pose_model, tmp_path / 'pretrained.py', **init)
    assert annotate(folder[0], model=model)[0] == 0
    status, _, error, _ = annotate(folder[0], model=(model[0], url), out='other')
    assert status == 2
    assert 'nothing is downloaded' in error


def test_what_is_there_already_is_kept(folder, annotate, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'person_keypoints.json').write_text('mine')
    status, _, error, _ = annotate(folder[0])
    assert (status, 'person_keypoints.json exists' in error) == (2, True)
    assert (tmp_path / 'out' / 'person_keypoints.json').read_text() == 'mine'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(test_dataloader=None), 'has no pipeline in test_dataloader'),
        ({'model.test_cfg': dict(output_keypoint_indices=[0, 1, 2])}, 'predicts 3 joints'),
        ({'model.head.out_channels': 16}, 'do not fit'),
        ({'model.type': 'NoModel'}, "has a model of type 'NoModel'"),
        ({'model.backbone.type': 'NoNet'}, 'NoNet is not in the mmpose::model registry'),
        ({'model.head.channels': 16}, "other.py' cannot be built: TypeError"),
    ],
)
def test_models_that_cannot_annotate_are_refused(
    folder, annotate, pose_model, tmp_path, changes, message
):
    model = changed_config(pose_model, tmp_path / 'other.py', **changes)
    status, _, error, _ = annotate(folder[0], model=model)
    assert status == 2
    assert message in error


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('model = dict(', 'cannot be read: SyntaxError'),
        ("_base_ = 'none.py'", 'none.py'),
        ('model = no_name', "cannot be read: NameError: name 'no_name'"),
        (None, 'does not exist'),
    ],
)
def test_configs_that_cannot_be_read(folder, annotate, pose_model, tmp_path, text, message):
    path = tmp_path / 'broken.py'
    if text is not None:
        path.write_text(text)
    status, _, error, _ = annotate(folder[0], model=(str(path), pose_model[1]))
    assert status == 2
    assert f'pose estimator config {str(path)!r}' in error
    assert message in error


def test_a_checkpoint_of_junk_is_named(folder, annotate, pose_model, tmp_path):
    (tmp_path / 'junk.pth').write_bytes(b'junk')
    status, _, error, _ = annotate(folder[0], model=(pose_model[0], str(tmp_path / 'junk.pth')))
    assert status == 2
    assert 'junk.pth cannot be read as a checkpoint' in error
