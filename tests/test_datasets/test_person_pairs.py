import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS as MMPOSE_DATASETS
from torch.utils.data import DataLoader, default_collate

from pg2aug.datasets import PersonPairDataset
from pg2aug.datasets.crop import crop_matrix
from pg2aug.datasets.pairing import OrderedPairs, sample_pair_indices
from pg2aug.datasets.topdown import keypoint_flags
from pg2aug.registry import DATASETS

LEFT_WRIST, RIGHT_WRIST = 9, 10
DOTS = {LEFT_WRIST: (255, 0, 0), RIGHT_WRIST: (0, 0, 255)}


def make_coco(folder, identities, key='person_id', num_keypoints=17, labelled=17):
    """One 120x160 image an instance; each wrist is a dot of its own colour."""
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for index, identity in enumerate(identities):
        keypoints = rng.uniform([35, 45], [85, 115], (num_keypoints, 2)).round()
        keypoints[LEFT_WRIST], keypoints[RIGHT_WRIST] = (40 + index, 60), (80, 60 + index)
        image = np.full((160, 120, 3), 90, dtype=np.uint8)
        for joint, color in DOTS.items():
            cv2.circle(image, [int(v) for v in keypoints[joint]], 3, color, -1)
        cv2.imwrite(str(folder / 'images' / f'{index}.png'), image)
        size = {'width': 120, 'height': 160}
        images.append({'id': index + 1, 'file_name': f'images/{index}.png', **size})
        flags = np.arange(num_keypoints) >= num_keypoints - labelled
        annotation = {
            'id': 100 + index,
            'image_id': index + 1,
            'category_id': 1,
            'iscrowd': 0,
            'bbox': [30, 40, 60, 80],
            'num_keypoints': labelled,
            'keypoints': np.column_stack([keypoints, 2 * flags]).ravel().tolist(),
        }
        if identity is not None:
            annotation[key] = identity
        annotations.append(annotation)
    data = {'images': images, 'annotations': annotations}
    data['categories'] = [{'id': 1, 'name': 'person'}]
    (folder / 'ann.json').write_text(json.dumps(data))
    return {
        'type': 'CocoDataset',
        'data_root': str(folder),
        'ann_file': 'ann.json',
        'data_prefix': {'img': ''},
    }


def make_pairs(folder, identities=(1, 2, 1, 2, 1), coco=None, **options):
    config = make_coco(folder, identities, **(coco or {}))
    return PersonPairDataset(dataset=config, **{'size': (96, 128), **options})


def dot_position(image, color):
    """Centroid of the pixels nearest to ``color`` in a (3, h, w) BGR tensor."""
    distance = (image.permute(1, 2, 0).float() - torch.tensor(color)).abs().sum(-1)
    weight = (distance < 120).double()
    rows, columns = torch.meshgrid(*[torch.arange(n) for n in weight.shape], indexing='ij')
    return [float((axis * weight).sum() / weight.sum()) for axis in (columns, rows)]


def test_all_ordered_pairs_of_an_identity_and_no_other(tmp_path):
    pairs = make_pairs(tmp_path, ['a', 'b', 'a', 'b', 'a', 'lonely'], flip=False)
    found = [(pair['person_id'], pair['condition_id'], pair['target_id']) for pair in pairs]
    expected = [('a', *ids) for ids in itertools.permutations([100, 102, 104], 2)]
    expected += [('b', *ids) for ids in itertools.permutations([101, 103], 2)]
    assert found == expected
    assert len(pairs) == 8
    with pytest.raises(IndexError):
        pairs[8]


def test_an_item_has_the_promised_shapes_and_collates(tmp_path):
    pairs = make_pairs(tmp_path, coco={'labelled': 9})
    batch = default_collate([pairs[0], pairs[1]])
    for role in ('condition', 'target'):
        assert batch[f'{role}_image'].shape == (2, 3, 128, 96)
        assert batch[f'{role}_image'].dtype == torch.uint8
        assert batch[f'{role}_keypoints'].shape == (2, 17, 2)
        assert batch[f'{role}_keypoints'].dtype == torch.float32
        assert batch[f'{role}_visible'].dtype == torch.float32
        assert (batch[f'{role}_visible'] > 0).sum(-1).tolist() == [9, 9]
        assert (batch[f'{role}_keypoints'][:, :8] == 0).all(), 'unlabelled joints are 0'
    assert batch['person_id'].tolist() == [1, 1]


@pytest.mark.parametrize('half', [0, 1], ids=['as it is', 'flipped'])
@pytest.mark.parametrize('role', ['condition', 'target'])
def test_each_wrist_stays_on_its_dot(tmp_path, half, role):
    pairs = make_pairs(tmp_path, [7, 7, 7])
    item = pairs[half * (len(pairs) // 2) + 3]
    # Mirrored, the person's left wrist becomes the right one: the colours change joints.
    joints = (LEFT_WRIST, RIGHT_WRIST) if half == 0 else (RIGHT_WRIST, LEFT_WRIST)
    for joint, color in zip(joints, DOTS.values(), strict=True):
        keypoint = item[f'{role}_keypoints'][joint]
        np.testing.assert_allclose(keypoint, dot_position(item[f'{role}_image'], color), atol=0.6)


def test_the_second_half_is_the_first_half_mirrored_both_images_together(tmp_path):
    pairs = make_pairs(tmp_path)
    half = len(pairs) // 2
    flip = pairs.metainfo['flip_indices']
    for index in range(half):
        item, mirrored = pairs[index], pairs[half + index]
        for role in ('condition', 'target'):
            assert torch.equal(mirrored[f'{role}_image'], item[f'{role}_image'].flip(-1))
            assert torch.equal(mirrored[f'{role}_visible'], item[f'{role}_visible'][flip])
            expected = item[f'{role}_keypoints'][flip]
            expected[:, 0] = 95 - expected[:, 0]
            assert torch.equal(mirrored[f'{role}_keypoints'], expected)
            assert mirrored[f'{role}_id'] == item[f'{role}_id']


def test_joints_outside_the_crop_are_not_visible(tmp_path):
    config = make_coco(tmp_path, [1, 1])
    data = json.loads((tmp_path / 'ann.json').read_text())
    for annotation in data['annotations']:
        annotation['keypoints'][:6] = [1, 80, 2, 60, 80, 2]
    (tmp_path / 'ann.json').write_text(json.dumps(data))
    pairs = PersonPairDataset(config, size=(96, 128), padding=1.0)
    for item in pairs:
        assert item['condition_visible'][:3].min() == 0
        assert (item['condition_visible'] > 0).sum() == 16
    assert pairs[0]['condition_visible'][0] == 0
    assert PersonPairDataset(config, size=(96, 128), padding=3.0)[0]['condition_visible'].all()


def test_items_are_the_same_in_any_order_and_in_workers(tmp_path):
    pairs = make_pairs(tmp_path, num_pairs=5, seed=3)
    backwards = [pairs[index] for index in reversed(range(len(pairs)))][::-1]
    loaded = list(DataLoader(pairs, batch_size=None, num_workers=2))
    for first, second, third in zip(pairs, backwards, loaded, strict=True):
        for key, value in first.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, second[key])
                assert torch.equal(value, third[key])
            else:
                assert value == second[key] == third[key]


def test_num_pairs_draws_different_pairs_by_seed(tmp_path):
    def ids(**options):
        pairs = make_pairs(tmp_path, [1, 1, 1, 1, 2, 2], **options)
        return [(pair['condition_id'], pair['target_id']) for pair in pairs]

    drawn = ids(num_pairs=6, seed=1)
    assert len(drawn) == 12
    assert drawn[:6] == drawn[6:], 'the mirrored half holds the same pairs'
    assert len(set(drawn)) == 6
    assert drawn == ids(num_pairs=6, seed=1)
    assert drawn != ids(num_pairs=6, seed=2)
    assert set(ids(num_pairs=14, flip=False)) == set(ids(flip=False))
    with pytest.raises(ValueError, match='num_pairs=15 but the dataset has 14 pairs'):
        ids(num_pairs=15)


@pytest.mark.parametrize('sizes', [[], [1], [2], [3, 1, 4, 2], [1, 1, 5, 1]])
def test_pair_arithmetic_agrees_with_permutations(sizes):
    starts = np.cumsum([0, *sizes])
    groups = [range(start, start + size) for start, size in zip(starts, sizes, strict=False)]
    expected = [pair for group in groups for pair in itertools.permutations(group, 2)]
    assert list(OrderedPairs(sizes)) == expected
    assert len(OrderedPairs(sizes)) == len(expected)


def test_ten_billion_pairs_are_not_materialised():
    pairs = OrderedPairs([100_000, 3])
    chosen = sample_pair_indices(len(pairs), 1000, seed=0)
    assert len(set(chosen.tolist())) == 1000
    assert pairs[len(pairs) - 1] == (100_002, 100_001)
    assert pairs[99_999 * 100_000 - 1] == (99_999, 99_998)


def test_what_is_dropped_is_counted(tmp_path, monkeypatch):
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handle', lambda record: lines.append(record.getMessage()))
    make_pairs(tmp_path, [1, 1, 2, None, 3, 3])
    text = '\n'.join(lines)
    assert '4 images, 2 identities, 4 usable instances, 4 pairs' in text
    assert "1 without 'person_id'" in text
    assert '1 the only usable one of its identity (1 identities)' in text


def test_two_annotations_of_one_person_in_an_image_are_no_pair(tmp_path, monkeypatch):
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handle', lambda record: lines.append(record.getMessage()))
    config = make_coco(tmp_path, [1, 1])
    content = json.loads((tmp_path / 'ann.json').read_text())
    first = content['annotations'][0]
    values = np.reshape(first['keypoints'], (-1, 3))
    values[:, 0] += 1
    double = {**first, 'id': 200, 'keypoints': values.ravel().tolist()}
    # With an identity of its own it is somebody else's, whoever is right.
    content['annotations'] += [double, {**double, 'id': 201, 'person_id': 2}]
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    pairs = PersonPairDataset(config, size=(96, 128), flip=False)
    assert {(p['condition_id'], p['target_id']) for p in pairs} == {(100, 101), (101, 100)}
    assert '1 of a person who is annotated twice in the image' in '\n'.join(lines)
    assert len({p['target_id'] for p in PersonPairDataset(config, (96, 128), pairing='self')}) == 2


@pytest.mark.parametrize('nobody', [-1, '-1', '', ' ', 'unknown', 'None', float('nan'), 'N/A'])
def test_values_that_stand_for_nobody_are_no_identity(tmp_path, monkeypatch, nobody):
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handle', lambda record: lines.append(record.getMessage()))
    pairs = make_pairs(tmp_path, [nobody, nobody, nobody, 0, 0], flip=False)
    assert [pair['person_id'] for pair in pairs] == [0, 0]
    assert f"3 with 'person_id' {nobody!r}, nobody" in '\n'.join(lines)
    with pytest.raises(ValueError, match='No annotation has identity_key'):
        make_pairs(tmp_path, [nobody, nobody])


def test_an_identity_with_most_of_the_instances_is_told(tmp_path, monkeypatch):
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handle', lambda record: lines.append(record.getMessage()))
    make_pairs(tmp_path, ['person', 'person', 'person', 'a', 'a'])
    assert "person_id='person' has 3 of 5 usable instances" in lines[-1]
    lines.clear()
    make_pairs(tmp_path, ['b', 'b', 'a', 'a'])
    make_pairs(tmp_path, ['b', 'b', 'b'], pairing='self')
    assert 'usable instances:' not in '\n'.join(lines)


def test_instances_with_few_labelled_joints_are_not_used(tmp_path):
    assert len(make_pairs(tmp_path, [1, 1], coco={'labelled': 6}, min_visible=6)) == 4
    with pytest.raises(ValueError, match='2 with fewer than 7 labelled joints'):
        make_pairs(tmp_path, [1, 1], coco={'labelled': 6}, min_visible=7)


def test_no_pair_names_the_key_and_the_keys_there_are(tmp_path):
    with pytest.raises(ValueError, match='no identity has two usable instances') as error:
        make_pairs(tmp_path, [1, 1], coco={'key': 'pid'})
    message = str(error.value)
    assert "No annotation has identity_key='person_id': set it to one of" in message
    assert "['bbox', 'category_id', 'id', 'image_id', 'iscrowd', 'keypoints'" in message
    assert "'pid'" in message
    assert 'CocoDataset' in message
    assert 'ann.json' in message


def test_persons_of_one_image_each_need_another(tmp_path):
    with pytest.raises(ValueError, match='Each needs two usable images: add images') as error:
        make_pairs(tmp_path, [1, 2, 3])
    assert '3 the only usable one of its identity (3 identities)' in str(error.value)
    assert 'No annotation has' not in str(error.value)


def test_other_identity_keys(tmp_path):
    coco = {'key': 'track_id'}
    pairs = make_pairs(tmp_path, [5, 5], coco=coco, identity_key='track_id')
    assert pairs[0]['person_id'] == 5
    by_data_info = make_pairs(tmp_path, [5, 5], identity_key='category_id')
    assert len(by_data_info) == 4
    with pytest.raises(ValueError, match=r"annotation 100 .*'track_id' must be an integer .* 1.5"):
        make_pairs(tmp_path, [1.5, 1.5], coco=coco, identity_key='track_id')


def test_track_ids_that_start_again_in_every_folder(tmp_path):
    config = make_coco(tmp_path, [0, 0, 0, 0], key='track_id')
    data = json.loads((tmp_path / 'ann.json').read_text())
    (tmp_path / 'other').mkdir()
    for image in data['images'][2:]:
        name = image['file_name'].replace('images', 'other')
        (tmp_path / image['file_name']).rename(tmp_path / name)
        image['file_name'] = name
    (tmp_path / 'ann.json').write_text(json.dumps(data))
    options = {'size': (96, 128), 'flip': False, 'identity_key': 'track_id'}
    assert len(PersonPairDataset(config, **options)) == 12
    found = list(PersonPairDataset(config, identity_within_folder=True, **options))
    pairs = [(pair['condition_id'], pair['target_id']) for pair in found]
    assert pairs == [(100, 101), (101, 100), (102, 103), (103, 102)]


def test_a_skeleton_of_another_dataset(tmp_path):
    config = make_coco(tmp_path, [1, 1], num_keypoints=14)
    pairs = PersonPairDataset({**config, 'type': 'mmpose.CrowdPoseDataset'}, size=(64, 64))
    assert pairs[3]['target_keypoints'].shape == (14, 2)
    assert pairs.metainfo['dataset_name'] == 'crowdpose'


def test_an_mpii_dataset_with_its_own_annotation_format(tmp_path):
    person = {'image': '1.jpg', 'center': [60, 80], 'scale': 0.5}
    person |= {'joints': [[50 + k, 70 + k] for k in range(16)], 'joints_vis': [1] * 16}
    other = {**person, 'joints': [[90 - 2 * k, 70 + k] for k in range(16)]}
    (tmp_path / 'mpii.json').write_text(json.dumps([person, other]))
    cv2.imwrite(str(tmp_path / '1.jpg'), np.full((160, 120, 3), 90, dtype=np.uint8))
    config = {'type': 'MpiiDataset', 'data_root': str(tmp_path), 'ann_file': 'mpii.json'}
    with pytest.raises(ValueError, match=r"'bbox_center', .*'img_id'"):
        PersonPairDataset(config, size=(64, 64))
    assert len(PersonPairDataset(config, size=(64, 64), identity_key='img_id')) == 4


@pytest.mark.parametrize('scope', ['mmengine', 'mmpose', 'pg2aug'])
@pytest.mark.parametrize('prefix', ['', 'mmpose.'])
def test_builds_by_name_under_any_default_scope(tmp_path, scope, prefix):
    config = make_coco(tmp_path, [1, 1])
    config |= {'type': prefix + 'CocoDataset', 'test_mode': True, 'lazy_init': True}
    config['pipeline'] = [{'type': 'NoSuchTransform'}]
    wanted = Config({'data': {'type': 'pg2aug.PersonPairDataset', 'dataset': config}})
    wanted.data.update(size=(96, 128))
    with DefaultScope.overwrite_default_scope(scope):
        for registry in (MMENGINE_DATASETS, MMPOSE_DATASETS, DATASETS):
            pairs = registry.build(wanted.data)
            assert isinstance(pairs, PersonPairDataset)
            assert len(pairs) == 4


def test_metainfo_is_the_datasets_own_and_the_crop(tmp_path):
    metainfo = make_pairs(tmp_path, size=(64, 128), padding=1.5).metainfo
    assert metainfo['crop'] == {'size': (64, 128), 'padding': 1.5}
    assert metainfo['num_keypoints'] == 17


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'type': 'RepeatDataset', 'times': 2}, "'RepeatDataset' is not an MMPose keypoint"),
        ({'type': 'CombinedDataset', 'datasets': []}, 'not of a wrapper'),
        ({'type': 'NoSuchDataset'}, "'NoSuchDataset' is not an MMPose keypoint"),
        ({'data_mode': 'bottomup'}, "needs data_mode='topdown'.*got data_mode='bottomup'"),
        ({'bbox_file': 'boxes.json', 'test_mode': True}, "bbox_file='boxes.json'"),
    ],
)
def test_what_cannot_be_paired_is_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        PersonPairDataset({**make_coco(tmp_path, [1, 1]), **change}, size=(96, 128))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            {'ann_file': 'test/ann.json'},
            r"annotation file '.*/test/ann\.json' of CocoDataset .* pg2aug convert",
        ),
        ({'data_root': 'elsewhere'}, r"'elsewhere/ann\.json' .*data_root='elsewhere'"),
        (
            {'data_prefix': {'img': 'test'}},
            r"image folder '.*/test' of CocoDataset '.*/ann\.json' .* correct data_prefix",
        ),
    ],
)
def test_missing_files_are_named_before_an_image_is_read(tmp_path, change, message):
    with pytest.raises(FileNotFoundError, match=message):
        PersonPairDataset({**make_coco(tmp_path, [1, 1]), **change}, size=(96, 128))


def without(key):
    return lambda content: [annotation.pop(key) for annotation in content['annotations']]


@pytest.mark.parametrize(
    'change',
    [
        without('keypoints'),
        without('bbox'),
        lambda content: content.update(annotations=[]),
        lambda content: content['images'][0].pop('width'),
        lambda content: content['annotations'][1]['keypoints'].pop(),
    ],
)
def test_annotations_that_cannot_be_read_name_their_file(tmp_path, change):
    settings = make_coco(tmp_path, [1, 1])
    path = tmp_path / 'ann.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"'.*/ann\.json' cannot be read by CocoDataset .*validate"
    ):
        PersonPairDataset(settings, size=(96, 128))


@pytest.mark.parametrize('text', ['', '{"images": [', '[]'])
def test_files_that_are_no_keypoint_files_are_named(tmp_path, text):
    settings = make_coco(tmp_path, [1, 1])
    (tmp_path / 'ann.json').write_text(text)
    with pytest.raises(ValueError, match=r"'.*/ann\.json' cannot be read by CocoDataset"):
        PersonPairDataset(settings, size=(96, 128))


@pytest.mark.parametrize('content', [None, b'', b'this is no image'])
def test_an_unreadable_image_is_named(tmp_path, content):
    pairs = make_pairs(tmp_path, [1, 1])
    (tmp_path / 'images' / '1.png').unlink()
    if content is not None:
        (tmp_path / 'images' / '1.png').write_bytes(content)
    with pytest.raises(ValueError, match=r'image .*images/1\.png'):
        pairs[0]


def test_real_frames():
    folder = Path(__file__).parents[2].parent / 'shared' / 'data' / 'balance4view'
    if not folder.is_dir():
        pytest.skip(f'{folder} is not there')
    dataset = {
        'type': 'CocoDataset',
        'data_root': str(folder),
        'ann_file': 'person_keypoints_val.json',
        'data_prefix': {'img': 'images/'},
    }
    pairs = PersonPairDataset(dataset, size=(96, 128))
    assert len(pairs) == 2 * 80 * 79
    item = pairs[len(pairs) // 2 - 1]
    annotations = json.loads((folder / 'person_keypoints_val.json').read_text())['annotations']
    target = next(a for a in annotations if a['id'] == item['target_id'])
    left, top, width, height = target['bbox']
    matrix = crop_matrix(np.array([left, top, left + width, top + height]), (96, 128))
    keypoints = np.array(target['keypoints']).reshape(17, 3)
    expected = keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    shown = item['target_visible'].numpy() > 0
    assert shown.sum() >= 12
    np.testing.assert_allclose(item['target_keypoints'][shown], expected[shown], atol=1e-2)


def test_flags_of_the_annotation_are_kept(tmp_path):
    config = make_coco(tmp_path, [1, 1])
    data = json.loads((tmp_path / 'ann.json').read_text())
    for annotation in data['annotations']:
        annotation['keypoints'][3 * 9 + 2] = 1
    (tmp_path / 'ann.json').write_text(json.dumps(data))
    item = PersonPairDataset(config, size=(96, 128), padding=3.0)[0]
    expected = [1 if joint == 9 else 2 for joint in range(17)]
    assert item['condition_visible'].tolist() == item['target_visible'].tolist() == expected


@pytest.mark.parametrize(
    'raw',
    [None, {}, {'keypoints': None}, {'keypoints': [1, 2, 2]}, {'keypoints': [5, 5, 0] * 3}],
    ids=str,
)
def test_flags_that_do_not_fit_the_visibility_are_not_taken(raw):
    places = np.array([[[4.0, 4], [0, 0], [5, 5]]])
    visible = np.array([[1.0, 0, 1]])
    info = {'keypoints': places, 'keypoints_visible': visible, 'raw_ann_info': raw}
    np.testing.assert_array_equal(keypoint_flags(info), [1, 0, 1])
    weighted = {**info, 'keypoints_visible': np.array([[[1.0, 0.5], [0, 0], [1, 0.5]]])}
    np.testing.assert_array_equal(keypoint_flags(weighted), [1, 0, 1])
    fitting = {**info, 'raw_ann_info': {'keypoints': [4, 4, 1, 0, 0, 0, 5, 5, 2]}}
    np.testing.assert_array_equal(keypoint_flags(fitting), [1, 0, 2])
    converted = {**fitting, 'keypoints': places[:, ::-1]}
    np.testing.assert_array_equal(keypoint_flags(converted), [1, 0, 1])
