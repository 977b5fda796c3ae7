"""The converters of Market-1501 and DeepFashion, from the command line."""

import contextlib
import csv
import io
import json
import re
from collections import defaultdict
from itertools import permutations

import cv2
import numpy as np
import pytest
from mmpose.datasets import CocoDataset
from pycocotools.coco import COCO
from reid_world import convert, pose, write_csv, write_images

from pg2aug.datasets import PersonPairDataset
from pg2aug.datasets.coco_files import write_together

METAINFO = dict(from_file='configs/_base_/datasets/coco_openpose.py')
TORSO = (2, 5, 8, 11)


@pytest.fixture(scope='module')
def published(shared_data, tmp_path_factory):
    """Both published annotation files converted, without images."""
    files = shared_data / 'reid_csv'
    out = tmp_path_factory.mktemp('published')
    market = [files / 'market-annotation-train.csv', out / 'none', '--out', out / 'market']
    fashion = [files / 'fasion-annotation-test.csv', out / 'none', '--out', out / 'fashion']
    printed = {
        'market': convert('market1501', *market, '--allow-missing-images'),
        'fashion': convert('deepfashion', *fashion, '--allow-missing-images'),
    }
    return files, out, printed


def counts(printed):
    return {name: int(n) for name, n in re.findall(r'^(\w+): (\d+)$', printed, re.MULTILINE)}


def read_pairs(path):
    with path.open() as file:
        header, *rows = csv.reader(file)
    assert header == ['from', 'to']
    return [tuple(row) for row in rows]


def read_poses(path):
    """Name, ys, xs of each row, as little clever as can be."""
    for line in path.read_text().splitlines()[1:]:
        name, ys, xs = line.split(':')
        yield name, json.loads(ys), json.loads(xs)


def expected_pairs(path, group):
    groups = defaultdict(list)
    for name, ys, xs in read_poses(path):
        if all(ys[k] != -1 and xs[k] != -1 for k in TORSO) and not name.startswith(('-1', '0000')):
            groups[group(name)].append(name)
    return [pair for names in groups.values() for pair in permutations(names, 2)]


def dataset_config(folder, images=''):
    files = dict(ann_file='person_keypoints.json', data_prefix=dict(img=str(images)))
    return dict(type='CocoDataset', metainfo=METAINFO, data_root=str(folder), **files)


def test_the_published_train_pairs_of_market1501(published):
    files, out, printed = published
    status, text, _ = printed['market']
    assert status == 0
    assert counts(text) == {'images': 12936 - 419, 'identities': 751, 'pairs': 263_632}
    assert '419 rows without joints\n    market-annotation-train.csv:65: 0056_c4s1_009076' in text
    pairs = read_pairs(out / 'market' / 'pairs.csv')
    csv_file = files / 'market-annotation-train.csv'
    assert pairs == expected_pairs(csv_file, lambda name: name[:4])
    report = json.loads((out / 'market' / 'report.json').read_text())
    assert report['pairs'] == 263_632
    assert len(report['left_out']['rows without joints']) == 419
    line = report['left_out']['rows without joints'][0]
    assert csv_file.read_text().splitlines()[line['line'] - 1].startswith(line['name'])


def test_the_published_test_pairs_of_deepfashion(published, tmp_path):
    files, out, printed = published
    status, text, _ = printed['fashion']
    assert status == 0
    assert counts(text)['pairs'] == 8570
    pairs = read_pairs(out / 'fashion' / 'pairs.csv')
    reference = files / 'fashion-pairs-test.csv'
    assert set(pairs) == set(read_pairs(reference))
    csv_file = files / 'fasion-annotation-test.csv'
    assert pairs == expected_pairs(csv_file, lambda name: name.rsplit('_', 1)[0])
    # The published file is a draw of all pairs with seed 0.
    arguments = [csv_file, tmp_path / 'none', '--allow-missing-images', '--num-pairs', '8570']
    assert convert('deepfashion', *arguments, '--out', tmp_path / 'drawn')[0] == 0
    assert (tmp_path / 'drawn' / 'pairs.csv').read_bytes() == reference.read_bytes()


@pytest.mark.parametrize(('name', 'width'), [('market', 64), ('fashion', 256)])
def test_joints_have_their_names_and_sides(published, name, width):
    _, out, _ = published
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(out / name / 'person_keypoints.json'))
    (category,) = coco.loadCats(coco.getCatIds())
    metainfo = CocoDataset(metainfo=METAINFO, lazy_init=True).metainfo
    assert category['keypoints'] == list(metainfo['keypoint_id2name'].values())
    assert category['skeleton'] == [[a + 1, b + 1] for a, b in metainfo['skeleton_links']]
    triples = np.array([ann['keypoints'] for ann in coco.loadAnns(coco.getAnnIds())])
    joints = dict(
        zip(category['keypoints'], triples.reshape(-1, 18, 3).swapaxes(0, 1), strict=True)
    )

    def share(first, second, axis):
        """How often a joint is before another along x or y, of the images that have both."""
        a, b = joints[first], joints[second]
        both = (a[:, 2] > 0) & (b[:, 2] > 0)
        return (a[both, axis] < b[both, axis]).mean()

    assert share('nose', 'right_ankle', 1) > 0.99
    assert share('right_shoulder', 'right_hip', 1) > 0.99
    # Where both eyes are seen we look at a front, more or less: the right side is on the left.
    front = (joints['right_eye'][:, 2] > 0) & (joints['left_eye'][:, 2] > 0)
    right, left = joints['right_shoulder'][front], joints['left_shoulder'][front]
    both = (right[:, 2] > 0) & (left[:, 2] > 0)
    assert (right[both, 0] < left[both, 0]).mean() > 0.8
    assert share('right_eye', 'left_eye', 0) > 0.99
    neck = joints['neck'][joints['neck'][:, 2] > 0]
    assert np.median(neck[:, 0]) == pytest.approx(width / 2, rel=0.05)


def test_every_joint_is_where_the_annotation_file_has_it(published):
    files, out, _ = published
    content = json.loads((out / 'fashion' / 'person_keypoints.json').read_text())
    rows = {name: (ys, xs) for name, ys, xs in read_poses(files / 'fasion-annotation-test.csv')}
    for image, annotation in zip(content['images'], content['annotations'], strict=True):
        ys, xs = rows[image['file_name']]
        seen = [y != -1 and x != -1 for y, x in zip(ys, xs, strict=True)]
        joints = zip(xs, ys, seen, strict=True)
        assert annotation['keypoints'] == [
            value for x, y, ok in joints for value in ((x, y, 2) if ok else (0, 0, 0))
        ]
        assert annotation['image_id'] == image['id']
        assert annotation['num_keypoints'] == sum(seen)
        assert annotation['bbox'] == [0, 0, image['width'], image['height']] == [0, 0, 256, 256]
        assert annotation['person_id'] == image['file_name'].rsplit('_', 1)[0]


def test_person_pairs_of_a_conversion(published):
    _, out, _ = published
    options = dict(size=(256, 256), padding=1.0, flip=False)
    pairs_file = str(out / 'fashion' / 'pairs.csv')
    dataset = PersonPairDataset(dataset_config(out / 'fashion'), pairs=pairs_file, **options)
    assert len(dataset) == 8570


# What follows has images.


def converted(out):
    content = json.loads((out / 'person_keypoints.json').read_text())
    return content, read_pairs(out / 'pairs.csv'), json.loads((out / 'report.json').read_text())


MARKET_NAMES = [f'0002_c1s1_00045{k}_03.jpg' for k in range(4)]
MARKET_NAMES += [f'0007_c1s1_00045{k}_03.jpg' for k in range(2)]


@pytest.fixture
def market(tmp_path):
    """Six whole images of two persons, and their poses."""
    folder = tmp_path / 'images'
    write_images(folder, *MARKET_NAMES, size=(64, 128))
    poses = {name: pose((64, 128)) for name in MARKET_NAMES}
    return folder, poses, tmp_path / 'poses.csv', tmp_path / 'out'


def test_images_make_pairs_that_the_dataset_reads(market):
    folder, poses, csv_file, out = market
    write_csv(csv_file, poses.items())
    status, text, err = convert('market1501', csv_file, folder, '--out', out)
    assert (status, err) == (0, '')
    assert counts(text) == {'images': 6, 'identities': 2, 'pairs': 14}
    assert 'left out' not in text
    content, pairs, report = converted(out)
    assert report['left_out'] == report['noted'] == {}
    assert {ann['person_id'] for ann in content['annotations']} == {2, 7}
    config = dataset_config(out, folder)
    options = dict(size=(64, 128), padding=1.0, flip=False)
    dataset = PersonPairDataset(config, pairs=str(out / 'pairs.csv'), **options)
    assert len(dataset) == len(PersonPairDataset(config, **options)) == 14
    source, target = pairs[5]
    item = dataset[5]
    np.testing.assert_array_equal(item['condition_keypoints'], poses[source])
    np.testing.assert_array_equal(item['target_keypoints'], poses[target])
    image = cv2.imread(str(folder / target)).transpose(2, 0, 1)
    np.testing.assert_array_equal(item['target_image'], image)


def test_bad_rows_and_images_are_reported_with_their_lines_and_stop_nothing(market):
    folder, poses, csv_file, out = market
    whole = (folder / MARKET_NAMES[1]).read_bytes()
    (folder / MARKET_NAMES[1]).write_bytes(whole[: len(whole) // 2])
    (folder / MARKET_NAMES[2]).write_bytes(b'')
    write_images(folder, '0009_c1s1_1.jpg', size=(128, 256))
    write_images(folder, '-1_c1s1_1.jpg', '0000_c1s1_1.jpg', size=(64, 128))
    good = pose((64, 128))
    extra = [
        ('-1_c1s1_1.jpg', good),  # line 8
        ('0000_c1s1_1.jpg', good),
        ('0009_c1s1_1.jpg', good),  # line 10
        ('0009_c1s1_2.jpg', good),
        (MARKET_NAMES[0], good),
        ('0009_c1s1_3.jpg', np.full((18, 2), -1)),
        ('0009_c1s1_4.jpg', good[:17]),
        ('nobody.jpg', good),  # line 15
        ('0009_c1s1_5.jpg', good + np.array((0, 500))),
        ('\u0660\u0660\u0660\u0669_c1s1_6.jpg', good),  # Arabic digits
    ]
    write_images(folder, '0009_c1s1_5.jpg', size=(64, 128))
    write_csv(csv_file, [*poses.items(), *extra])
    status, text, err = convert('market1501', csv_file, folder, '--out', out)
    assert (status, err) == (0, '')
    assert counts(text) == {'images': 4, 'identities': 2, 'pairs': 4}
    left_out = converted(out)[2]['left_out']
    lines = {kind: [found['line'] for found in findings] for kind, findings in left_out.items()}
    assert lines == {
        'unreadable images': [3, 4],
        'distractors': [8, 9],
        'images of another size': [10],
        'missing images': [11],
        'repeated rows': [12],
        'rows without joints': [13, 16],
        'malformed rows': [14, 15, 17],
    }
    for kind, findings in left_out.items():
        assert f'  {len(findings)} {kind}\n    {csv_file.name}:{findings[0]["line"]}: ' in text
    assert f'{MARKET_NAMES[1]} cannot be decoded: image file is truncated' in text
    assert '0009_c1s1_1.jpg is 128x256, not 64x128' in text
    assert '17 joints, not 18' in text


def test_images_without_torso_are_kept_but_in_no_pair(market):
    folder, poses, csv_file, out = market
    for name, joint in zip(MARKET_NAMES[1:], TORSO, strict=False):
        poses[name][joint] = -1
    write_csv(csv_file, poses.items())
    _, text, _ = convert('market1501', csv_file, folder, '--out', out)
    assert counts(text) == {'images': 6, 'identities': 2, 'pairs': 0}
    assert '4 images too poor for pairs' in text
    assert f':3: {MARKET_NAMES[1]}: no right shoulder' in text
    assert f':2: {MARKET_NAMES[0]}: the only one of person 2' in text


def test_joints_outside_are_unlabelled_and_reported(market):
    folder, poses, csv_file, out = market
    poses[MARKET_NAMES[0]][7] = (64, 100)
    write_csv(csv_file, poses.items())
    _, text, _ = convert('market1501', csv_file, folder, '--out', out)
    assert counts(text)['pairs'] == 14
    assert f':2: {MARKET_NAMES[0]}: 1 outside of the image (64x128), unlabelled' in text
    annotation = converted(out)[0]['annotations'][0]
    assert annotation['keypoints'][21:24] == [0, 0, 0]
    assert annotation['num_keypoints'] == 17


def test_joints_at_the_origin_are_unlabelled_and_reported(market):
    folder, poses, csv_file, out = market
    poses[MARKET_NAMES[0]][7] = (0, 0)
    write_csv(csv_file, poses.items())
    _, text, _ = convert('market1501', csv_file, folder, '--out', out)
    assert f':2: {MARKET_NAMES[0]}: 1 at (0, 0), taken for not detected' in text
    assert converted(out)[0]['annotations'][0]['keypoints'][21:24] == [0, 0, 0]


def test_missing_images_can_be_allowed(market):
    folder, poses, csv_file, out = market
    (folder / MARKET_NAMES[0]).unlink()
    (folder / MARKET_NAMES[1]).write_bytes(b'no image')
    write_csv(csv_file, poses.items())
    _, text, _ = convert('market1501', csv_file, folder, '--out', out, '--allow-missing-images')
    assert counts(text)['images'] == 5
    assert 'noted:\n  1 missing images' in text
    assert '1 unreadable images' in text
    image = converted(out)[0]['images'][0]
    assert image == dict(id=1, file_name=MARKET_NAMES[0], width=64, height=128)


@pytest.mark.parametrize('exists', [True, False])
def test_no_image_at_all_is_an_error_that_names_folder_and_remedy(market, tmp_path, exists):
    _, poses, csv_file, out = market
    folder = tmp_path / 'elsewhere'
    if exists:
        folder.mkdir()
    write_csv(csv_file, poses.items())
    status, text, err = convert('market1501', csv_file, folder, '--out', out)
    assert (status, text) == (2, '')
    assert str(folder) in err
    assert '--allow-missing-images' in err
    assert not out.exists()


@pytest.mark.parametrize(
    ('rows', 'reason'),
    [
        ([], 'has no rows'),
        (['nonsense'], 'poses.csv:2: 1 fields separated by colons'),
        ([('fashionMEN_1front.jpg', pose((64, 128)))], 'an annotation file of Market-1501?'),
    ],
)
def test_nothing_usable_is_an_error(market, rows, reason):
    folder, _, csv_file, out = market
    write_csv(csv_file, rows)
    status, text, err = convert('market1501', csv_file, folder, '--out', out)
    assert (status, text) == (2, '')
    assert reason in err
    assert not out.exists()


def test_a_conversion_is_never_overwritten(market):
    folder, poses, csv_file, out = market
    write_csv(csv_file, poses.items())
    assert convert('market1501', csv_file, folder, '--out', out)[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    status, _, err = convert('market1501', csv_file, folder, '--out', out)
    assert status == 2
    assert 'person_keypoints.json exists: name a folder of its own' in err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert set(before) == {'person_keypoints.json', 'pairs.csv', 'report.json'}


def test_files_are_written_all_or_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_together(tmp_path / 'out', {'a.txt': 'a', 'no/such/folder.txt': 'b'})
    assert list((tmp_path / 'out').iterdir()) == []


def test_given_pairs_are_written_in_their_order(market, tmp_path):
    folder, poses, csv_file, out = market
    poses[MARKET_NAMES[3]][2] = -1  # too poor for the rule, but they are given
    (folder / MARKET_NAMES[1]).unlink()
    write_csv(csv_file, poses.items())
    a, gone, b, poor, other = *MARKET_NAMES[:4], MARKET_NAMES[4]
    given = [(b, a), (a, poor), (a, gone), (a, 'x.jpg'), (a, other), (a, a), (a, b), ('', a)]
    pairs_file = tmp_path / 'given.csv'
    pairs_file.write_text('from,to\n' + ''.join(f'{x},{y}\n' for x, y in given) + 'one\n')
    status, text, _ = convert('market1501', csv_file, folder, '--out', out, '--pairs', pairs_file)
    assert status == 0
    assert counts(text)['pairs'] == 3
    _, pairs, report = converted(out)
    assert pairs == [(b, a), (a, poor), (a, b)]
    reasons = {found['line']: found['reason'] for found in report['left_out']['given pairs']}
    assert reasons == {
        4: f"'{gone}' is one of the missing images",
        5: "'x.jpg' is in no row of the annotation file",
        6: 'two different people',
        7: 'an image with itself',
        9: "'' is in no row of the annotation file",
        10: "'one' is in no row of the annotation file",
    }
    assert f'given.csv:4: {a}, {gone}: ' in text


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        ('from,to\na.jpg,b.jpg\n', r'no pair of .*given\.csv can be used'),
        ('a.jpg,b.jpg\n', "expected the header 'from,to'"),
        (None, 'there is no pairs file'),
    ],
)
def test_a_useless_pairs_file_is_an_error(market, tmp_path, content, reason):
    folder, poses, csv_file, out = market
    write_csv(csv_file, poses.items())
    pairs_file = tmp_path / 'given.csv'
    if content is not None:
        pairs_file.write_text(content)
    status, _, err = convert('market1501', csv_file, folder, '--out', out, '--pairs', pairs_file)
    assert status == 2
    assert re.search(reason, err)
    assert not out.exists()


def test_pairs_are_drawn_by_seed(market, tmp_path):
    folder, poses, csv_file, _ = market
    write_csv(csv_file, poses.items())

    def drawn(name, *options):
        arguments = [csv_file, folder, '--out', tmp_path / name, '--num-pairs', *options]
        status, _, err = convert('market1501', *arguments)
        return read_pairs(tmp_path / name / 'pairs.csv') if status == 0 else err

    pairs = drawn('a', 10)
    assert len(set(pairs)) == 10
    assert pairs == drawn('b', 10, '--seed', 0)
    assert pairs != drawn('c', 10, '--seed', 1)
    assert set(drawn('d', 14)) == set(expected_pairs(csv_file, lambda name: name[:4]))
    assert '15 pairs were asked for, and there are 14' in drawn('e', 15)


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (['--num-pairs', 15], '15 pairs were asked for, and there are 14'),
        (['--num-pairs', 0], '0 pairs were asked for'),
        (['--pairs', 'absent.csv'], 'there is no pairs file'),
    ],
)
def test_pairs_that_cannot_be_had_are_refused_before_images_are_decoded(
    market, monkeypatch, options, reason
):
    folder, poses, csv_file, out = market
    write_csv(csv_file, poses.items())
    decoded = []
    monkeypatch.setattr('pg2aug.datasets.reid.persons.image_sizes', decoded.append)
    status, _, err = convert('market1501', csv_file, folder, '--out', out, *options)
    assert status == 2
    assert reason in err
    assert not decoded


def test_the_image_folder_may_be_above_and_hold_links(market, tmp_path):
    folder, poses, csv_file, out = market
    above = tmp_path / 'Market-1501'
    above.mkdir()
    (above / 'bounding_box_train').symlink_to(folder)
    (folder / 'round').symlink_to(above)
    write_csv(csv_file, poses.items())
    _, text, _ = convert('market1501', csv_file, above, '--out', out)
    assert counts(text)['images'] == 6
    names = [image['file_name'] for image in converted(out)[0]['images']]
    assert names == [f'bounding_box_train/{name}' for name in MARKET_NAMES]


def test_an_image_found_twice_is_not_guessed(market):
    folder, poses, csv_file, out = market
    for name in MARKET_NAMES[:2]:
        (folder / name).rename(folder / 'moved')
        write_images(folder, f'train/{name}', f'query/{name}', size=(64, 128))
    (folder / 'moved').rename(folder / MARKET_NAMES[0])  # the very path that the row names
    write_csv(csv_file, poses.items())
    _, text, _ = convert('market1501', csv_file, folder, '--out', out)
    assert counts(text)['images'] == 5
    assert f'{MARKET_NAMES[1]}: 2 images have this name: query/{MARKET_NAMES[1]}, train/' in text


ORIGINALS = {
    'WOMEN/Dresses/id_00000002/02_1_front.jpg': 'WOMENDressesid0000000202_1front.jpg',
    'WOMEN/Dresses/id_00000002/02_7_additional.jpg': 'WOMENDressesid0000000202_7additional.jpg',
    'WOMEN/Dresses/id_00000002/03_1_front.jpg': 'WOMENDressesid0000000203_1front.jpg',
    'MEN/Tees_Tanks/id_00005085/45_2_side.jpg': 'MENTees_Tanksid0000508545_2side.jpg',
    'MEN/Tees_Tanks/id_00005085/45_3_back.jpg': 'MENTees_Tanksid0000508545_3back.jpg',
}


@pytest.mark.parametrize('spelling', ['fashion', 'fasion'])
@pytest.mark.parametrize('layout', ['original', 'above', 'below', 'flat', 'other spelling'])
def test_deepfashion_images_are_found_in_every_layout(tmp_path, spelling, layout):
    folder = tmp_path / 'DeepFashion' / 'img'
    other = {'fashion': 'fasion', 'fasion': 'fashion'}[spelling]
    flat = {'flat': spelling, 'other spelling': other}.get(layout)
    paths = [f'{flat}{name}' for name in ORIGINALS.values()] if flat else list(ORIGINALS)
    write_images(folder, *paths, size=(256, 256))
    names = [spelling + name for name in ORIGINALS.values()]
    csv_file = write_csv(tmp_path / 'poses.csv', [(name, pose((256, 256))) for name in names])
    root = {'above': folder.parent, 'below': folder / 'WOMEN'}.get(layout, folder)
    prefix = {'above': 'img/'}.get(layout, '')
    expected = [prefix + path for path in paths]
    if layout == 'below':
        expected = [path.removeprefix('WOMEN/') for path in paths if path.startswith('WOMEN/')]
    status, _, err = convert('deepfashion', csv_file, root, '--out', tmp_path / 'out')
    assert (status, err) == (0, '')
    content, pairs, _ = converted(tmp_path / 'out')
    assert [image['file_name'] for image in content['images']] == expected
    assert content['annotations'][0]['person_id'] == f'{spelling}WOMENDressesid0000000202'
    assert pairs[:2] == [tuple(expected[:2]), tuple(expected[1::-1])]
    assert len(pairs) == (2 if layout == 'below' else 4)


def test_deepfashion_pairs_in_the_other_spelling(tmp_path):
    write_images(tmp_path / 'img', *ORIGINALS, size=(256, 256))
    rows = [(f'fasion{name}', pose((256, 256))) for name in ORIGINALS.values()]
    csv_file = write_csv(tmp_path / 'poses.csv', rows)
    first, second, *_ = ORIGINALS.values()
    paths = list(ORIGINALS)
    given = f'from,to\nfashion{second},fashion{first}\n{paths[3]},{paths[4]}\n'
    (tmp_path / 'pairs.csv').write_text(given)
    arguments = [csv_file, tmp_path / 'img', '--pairs', tmp_path / 'pairs.csv']
    assert convert('deepfashion', *arguments, '--out', tmp_path / 'out')[0] == 0
    assert converted(tmp_path / 'out')[1] == [(paths[1], paths[0]), (paths[3], paths[4])]


@pytest.mark.parametrize('coordinates', ['256x256', '176x256'])
@pytest.mark.parametrize('images', [(256, 256), (176, 256)])
@pytest.mark.parametrize('many', [True, False], ids=['found out', 'said'])
def test_coordinates_of_cropped_and_whole_deepfashion_images(tmp_path, coordinates, images, many):
    names = [f'fashionWOMENDressesid{k:010d}_1front.jpg' for k in range(60 if many else 2)]
    write_images(tmp_path / 'img', *names, size=images)
    poses = [pose((256, 256)) for _ in names]
    shift = 40 if coordinates == '176x256' else 0
    rows = [(name, keypoints - (shift, 0)) for name, keypoints in zip(names, poses, strict=True)]
    csv_file = write_csv(tmp_path / 'poses.csv', rows)
    options = [] if many else ['--coordinates', coordinates]
    out = tmp_path / 'out'
    status, text, _ = convert('deepfashion', csv_file, tmp_path / 'img', '--out', out, *options)
    assert status == 0
    assert f'coordinates of images of {coordinates} pixels' in text
    for keypoints, annotation in zip(poses, converted(out)[0]['annotations'], strict=True):
        found = np.array(annotation['keypoints']).reshape(18, 3)[:, :2]
        np.testing.assert_array_equal(found, keypoints - (40 if images[0] == 176 else 0, 0))


def test_coordinates_of_other_images_are_refused(tmp_path):
    rows = [(f'fashionMENPantsid{k:010d}_1front.jpg', pose((750, 1101))) for k in range(60)]
    csv_file = write_csv(tmp_path / 'poses.csv', rows)
    arguments = [csv_file, tmp_path / 'img', '--out', tmp_path / 'out', '--allow-missing-images']
    status, _, err = convert('deepfashion', *arguments)
    assert status == 2
    assert 'not those of images of 256x256 or 176x256' in err
    assert not (tmp_path / 'out').exists()


def test_large_deepfashion_images_are_refused(tmp_path):
    write_images(tmp_path / 'img_highres', *ORIGINALS, size=(750, 1101))
    rows = [(f'fashion{name}', pose((256, 256))) for name in ORIGINALS.values()]
    csv_file = write_csv(tmp_path / 'poses.csv', rows)
    status, _, err = convert('deepfashion', csv_file, tmp_path, '--out', tmp_path / 'out')
    assert status == 2
    assert 'is 750x1101, not 256x256 or 176x256: use the images of img.zip' in err
