"""Pairs of persons that a file lists, and images that are not to be resampled."""

import itertools
import json
import tracemalloc

import cv2
import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from torch.utils.data import default_collate

from pg2aug.datasets import PersonPairDataset
from pg2aug.datasets.pairing import OrderedPairs
from pg2aug.datasets.pairs_file import read_pairs

SIZE = (64, 128)
NAMES = ['a/1.png', 'a/2.png', 'a/3.png', 'b/1.png', 'b/4.png', 'b/5.png']
PERSONS = ['a', 'a', 'a', 'b', 'b', 'b']


def annotation(number, image, person, size=SIZE, labelled=17):
    rng = np.random.default_rng(number)
    keypoints = rng.uniform(0, np.array(size) - 1, (17, 2)).astype(np.float32)
    flags = 2 * (np.arange(17) < labelled)
    entry = dict(id=100 + number, image_id=image, category_id=1, iscrowd=0, num_keypoints=labelled)
    entry |= dict(bbox=[0, 0, *size], area=size[0] * size[1])
    entry |= dict(keypoints=np.column_stack([keypoints, flags]).ravel().tolist())
    return entry if person is None else entry | dict(person_id=person)


@pytest.fixture
def people(tmp_path):
    """Writes annotations, one whole image each; nothing reads the images but an item."""

    def write(names=NAMES, persons=PERSONS, images=None, size=SIZE, labelled=None):
        files = list(dict.fromkeys(names))
        entries = [
            annotation(k, files.index(name) + 1, person, size, (labelled or {}).get(k, 17))
            for k, (name, person) in enumerate(zip(names, persons, strict=True))
        ]
        data = dict(annotations=entries, categories=[dict(id=1, name='person')])
        data['images'] = [
            dict(id=k, file_name=name, width=size[0], height=size[1])
            for k, name in enumerate(files, start=1)
        ]
        (tmp_path / 'img').mkdir(exist_ok=True)
        for name, image in (images or {}).items():
            (tmp_path / 'img' / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / 'img' / name), image)
        (tmp_path / 'ann.json').write_text(json.dumps(data))
        return dict(
            type='CocoDataset',
            data_root=str(tmp_path),
            ann_file='ann.json',
            data_prefix=dict(img='img/'),
        )

    return write


@pytest.fixture
def pairs_csv(tmp_path):
    def write(*lines, header='from,to'):
        path = tmp_path / 'pairs.csv'
        path.write_text('\n'.join([header, *lines]) + '\n')
        return str(path)

    return write


@pytest.fixture
def log(monkeypatch):
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handle', lambda record: lines.append(record.getMessage()))
    return lines


def listed(pairs):
    """(condition, target) numbers of annotations, without loading an image."""
    with pytest.MonkeyPatch.context() as patch:
        grey = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
        patch.setattr('pg2aug.datasets.person_crops.load_image', lambda *_: grey)
        return [(item['condition_id'] - 100, item['target_id'] - 100) for item in pairs]


def test_the_pairs_are_those_of_the_file_in_its_order(people, pairs_csv):
    path = pairs_csv('b/4.png,b/1.png', '', 'a/1.png,a/3.png', '3.png,a/2.png', 'a/1.png,a/3.png')
    pairs = PersonPairDataset(people(), SIZE, flip=False, pairs=path)
    assert len(pairs) == 4
    assert listed(pairs) == [(4, 3), (0, 2), (2, 1), (0, 2)]
    assert [pair['person_id'] for pair in pairs] == ['b', 'a', 'a', 'a']


def test_a_relative_path_is_below_the_data_root(people, pairs_csv, tmp_path, monkeypatch):
    pairs_csv('a/1.png,a/3.png')
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    pairs = PersonPairDataset(people(), SIZE, flip=False, pairs='pairs.csv')
    assert listed(pairs) == [(0, 2)]
    with pytest.raises(FileNotFoundError, match=r"/test/pairs\.csv' does not exist.* data_root"):
        PersonPairDataset(people(), SIZE, pairs='test/pairs.csv')
    # Without a data_root, below the working directory: there both files are named as they stand.
    config = people() | dict(ann_file=str(tmp_path / 'ann.json'), data_root='')
    config['data_prefix'] = dict(img=str(tmp_path / 'img'))
    assert len(PersonPairDataset(config, SIZE, flip=False, pairs='../pairs.csv')) == 1


def test_a_draw_and_mirrored_copies_of_listed_pairs(people, pairs_csv):
    lines = [f'a/{i}.png,a/{j}.png' for i, j in itertools.permutations((1, 2, 3), 2)]

    def draw(**options):
        dataset = PersonPairDataset(people(), SIZE, pairs=pairs_csv(*lines), **options)
        return listed(dataset)

    everything = draw(flip=False)
    assert draw() == everything * 2
    drawn = draw(num_pairs=4, seed=1)
    assert drawn[:4] == drawn[4:]
    assert len(set(drawn)) == 4
    assert set(drawn) <= set(everything)
    assert draw(num_pairs=4, seed=1) == drawn
    assert draw(num_pairs=4, seed=2) != drawn
    with pytest.raises(ValueError, match='num_pairs=7 but the dataset has 6 pairs'):
        draw(num_pairs=7)


def test_an_identity_with_one_image_loses_no_listed_pair(people, pairs_csv, log):
    config = people(names=NAMES[:4], persons=PERSONS[:4])
    PersonPairDataset(config, SIZE, pairs=pairs_csv('a/1.png,a/2.png'))
    assert '4 images, 2 identities, 4 usable instances, 1 pairs' in '\n'.join(log)


def test_pairs_of_unusable_persons_are_dropped_and_counted(people, pairs_csv, log):
    config = people(labelled={1: 3})
    path = pairs_csv('a/1.png,a/2.png', 'a/1.png,a/3.png', 'a/2.png,a/3.png')
    pairs = PersonPairDataset(config, SIZE, flip=False, pairs=path)
    assert listed(pairs) == [(0, 2)]
    text = '\n'.join(log)
    assert '1 pairs; instances dropped: 1 with fewer than 4 labelled joints' in text
    assert f'2 of the 3 pairs of {path!r} dropped with them' in text
    with pytest.raises(ValueError, match=r'every pair of .*pairs\.csv.* set min_visible lower'):
        PersonPairDataset(config, SIZE, pairs=pairs_csv('a/1.png,a/2.png'))


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        (['a/1.png,a/9.png'], r"1 x no image .* \(line 2: 'a/9\.png'\)"),
        (['x.png,y.png'], r"1 x no image .* \(line 2: 'x\.png', 'y\.png'\)"),
        (['a/1.png,a/2.png', 'a/1.png'], r"1 x not two names.* \(line 3: 'a/1\.png'\)"),
        (['a/1.png,a/2.png,a/3.png'], r"line 2: 'a/1\.png,a/2\.png,a/3\.png'"),
        (['1.png,a/2.png'], r"end of several file names: .*in full \(line 2: '1\.png'\)"),
        (['a/1.png,1.png'], r'end of several file names'),
        (['a/1.png,a/1.png'], r"an image paired with itself.* \(line 2: 'a/1\.png'\)"),
        (
            ['a/1.png,a/2.png', 'a/2.png,b/4.png'],
            r"two different people.*identity_key \(line 3: 'a/2\.png', 'b/4\.png'\)",
        ),
        ([], 'no pairs after its header'),
    ],
)
def test_bad_lines_are_named_with_what_to_do(people, pairs_csv, lines, message):
    with pytest.raises(ValueError, match=message) as error:
        PersonPairDataset(people(), SIZE, pairs=pairs_csv(*lines))
    assert 'pairs.csv' in str(error.value)


def test_many_bad_lines_are_counted_and_three_are_shown(people, pairs_csv):
    with pytest.raises(ValueError, match='40 x no image') as error:
        PersonPairDataset(people(), SIZE, pairs=pairs_csv(*['x.png,a/1.png'] * 40, 'nothing'))
    message = str(error.value)
    assert message.count("'x.png'") == 3
    assert '1 x not two names' in message
    assert '(line 42: ' in message


@pytest.mark.parametrize('header', ['', 'to,from', 'a/1.png,a/2.png', ',from,to'])
def test_another_header_is_refused(people, pairs_csv, header):
    path = pairs_csv('a/1.png,a/2.png', header=header)
    with pytest.raises(ValueError, match=rf"line 1: expected the header 'from,to', got '{header}'"):
        PersonPairDataset(people(), SIZE, pairs=path)


def test_what_is_no_text_is_refused(people, tmp_path):
    (tmp_path / 'pairs.csv').write_bytes(b'from,to\na/1.png,a/2.png\n\xff\xfe\n')
    with pytest.raises(ValueError, match=r'pairs\.csv.*no CSV in UTF-8'):
        PersonPairDataset(people(), SIZE, pairs=str(tmp_path / 'pairs.csv'))
    with pytest.raises(FileNotFoundError, match=r"absent\.csv' does not exist"):
        PersonPairDataset(people(), SIZE, pairs=str(tmp_path / 'absent.csv'))


def test_an_image_of_several_people_is_ambiguous(people, pairs_csv):
    config = people(names=['1.png', '1.png', '2.png'], persons=['a', 'b', 'a'])
    with pytest.raises(ValueError, match=r"several people: .*line 2: '1\.png'"):
        PersonPairDataset(config, SIZE, pairs=pairs_csv('1.png,2.png'))


def test_without_identities_the_pairs_are_taken_as_they_are(people, pairs_csv, log):
    config = people(persons=[None] * 6)
    path = pairs_csv('a/1.png,b/4.png')
    pairs = PersonPairDataset(config, SIZE, flip=False, pairs=path)
    assert listed(pairs) == [(0, 4)]
    assert pairs[0]['person_id'] == 100
    assert 'nothing tells whether a pair shows one person' in '\n'.join(log)


def test_an_instance_without_identity_among_others_is_dropped(people, pairs_csv, log):
    config = people(persons=['a', 'a', None, 'b', 'b', 'b'])
    pairs = PersonPairDataset(config, SIZE, pairs=pairs_csv('a/1.png,a/2.png', 'a/1.png,3.png'))
    assert len(pairs) == 2
    assert "1 without 'person_id'; 1 of the 2 pairs" in '\n'.join(log)


def test_self_pairs_have_no_file(people, pairs_csv):
    with pytest.raises(ValueError, match="pairs is for pairing='identity' only"):
        PersonPairDataset(people(), SIZE, pairing='self', pairs=pairs_csv('a/1.png,a/2.png'))


@pytest.mark.parametrize('size', [(64, 128), (256, 256), (48, 64)])
def test_a_whole_image_of_the_crops_size_is_not_resampled(people, pairs_csv, size):
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 256, (size[1], size[0], 3), np.uint8) for name in NAMES[:2]}
    config = people(NAMES[:2], PERSONS[:2], images, size)
    path = pairs_csv('a/2.png,a/1.png')
    pairs = PersonPairDataset(config, size, padding=1.0, flip=False, pairs=path)
    item = pairs[0]
    for role, number in (('condition', 1), ('target', 0)):
        expected = images[NAMES[number]].transpose(2, 0, 1)
        assert np.array_equal(item[f'{role}_image'], expected)
        keypoints = np.reshape(annotation(number, 1, 'a', size)['keypoints'], (17, 3))[:, :2]
        assert np.array_equal(item[f'{role}_keypoints'], keypoints.astype(np.float32))
        assert item[f'{role}_visible'].all()
    assert default_collate([item, item])['condition_image'].dtype == torch.uint8


def test_pairs_at_the_size_of_market_take_little_memory(tmp_path):
    # 751 persons of 12,936 training images.
    sizes = np.full(751, 12_936 // 751) + (np.arange(751) < 12_936 % 751)
    names = [f'{p:04d}_c1s1_{k:06d}_01.jpg' for p, size in enumerate(sizes) for k in range(size)]
    tracemalloc.start()
    pairs = OrderedPairs(sizes)
    assert len(pairs) == (sizes * (sizes - 1)).sum()
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()

    lines = (f'{names[i]},{names[j]}' for i, j in pairs)
    (tmp_path / 'pairs.csv').write_text('\n'.join(['from,to', *lines]))
    tracemalloc.start()
    file = read_pairs(str(tmp_path / 'pairs.csv'), names)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert file.pairs.tolist() == [list(pair) for pair in pairs]
    assert kept < 5e6
    assert peak < 10e6
