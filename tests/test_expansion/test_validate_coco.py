"""A file with one thing wrong for each finding; files with nothing wrong."""

import importlib.util
import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pg2aug.validation.coco import validate_coco

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'validate_coco.py'


@pytest.fixture(scope='module')
def main():
    spec = importlib.util.spec_from_file_location('validate_coco', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def good(tmp_path):
    """A valid file of two images and three people with three joints, and its image folder."""
    folder = tmp_path / 'images'
    (folder / 'part').mkdir(parents=True)
    for name in ('a.png', 'part/b.png'):
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(folder / name)

    def person(number, image_id, left=10):
        keypoints = [left, 10, 2, 39, 29.5, 1, 0, 0, 0]
        own = dict(id=number, image_id=image_id, category_id=1, iscrowd=0)
        return own | dict(keypoints=keypoints, num_keypoints=2, bbox=[5, 5, 35, 25], area=500.0)

    return dict(
        licenses=[dict(id=4, name='CC BY')],
        images=[
            dict(id=7, file_name='a.png', width=40, height=30, license=4),
            dict(id=8, file_name='part/b.png', width=40, height=30),
        ],
        annotations=[person(1, 7, left=25), person(2, 7), person(3, 8)],
        categories=[
            dict(
                id=1,
                name='person',
                keypoints=['nose', 'left_knee', 'right_knee'],
                skeleton=[[1, 2], [1, 3]],
            )
        ],
    )


def findings(content, tmp_path, **settings):
    path = tmp_path / 'ann.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return list(validate_coco(path, tmp_path / 'images', **settings))


def annotation(**values):
    return lambda content: content['annotations'][1].update(values)


def image(**values):
    return lambda content: content['images'][1].update(values)


def category(**values):
    return lambda content: content['categories'][0].update(values)


def triples(*values):
    return annotation(keypoints=list(values), num_keypoints=2)


BROKEN = [
    ('file', 'has no', lambda content: content.pop('annotations')),
    ('file', 'not a list', lambda content: content.update(images={})),
    ('file', 'none names its joints', category(keypoints=[])),
    ('entry', 'not an object', lambda content: content['images'].append('b.png')),
    ('entry', 'has no id', lambda content: content['categories'].append({})),
    ('id', 'the id 1 is there 2 times', annotation(id=1)),
    ('id', 'the id 7 is there 2 times', lambda c: c['images'].append(c['images'][0])),
    ('id', "has the id '2'", annotation(id='2')),
    ('reference', 'image_id is 9', annotation(image_id=9)),
    ('reference', 'category_id is 2', annotation(category_id=2)),
    ('reference', 'the license 5 is not listed', image(license=5)),
    ('category', "the same name: ['nose']", category(keypoints=['nose', 'nose', 'right_knee'])),
    ('category', 'no list of names', category(keypoints=['nose', '', 'right_knee'])),
    ('skeleton', 'counted from 1', category(skeleton=[[0, 1]])),
    ('skeleton', 'outside of 1 to 3', category(skeleton=[[1, 4]])),
    ('skeleton', 'with itself', category(skeleton=[[2, 2]])),
    ('skeleton', 'no pair', category(skeleton=[[1, 2, 3]])),
    ('image-size', 'width and height', image(width=0)),
    ('image-size', 'width and height', image(height='30')),
    ('file-name', 'leads out', image(file_name='../images/part/b.png')),
    ('file-name', 'leads out', image(file_name='/etc/hostname')),
    ('file-name', 'leads out', image(file_name='part\\..\\..\\b.png')),
    ('file-name', 'leads out', image(file_name='C:\\b.png')),
    ('file-name', "is ''", image(file_name='')),
    ('file-missing', 'no such file', image(file_name='c.png')),
    ('file-size', '40x30 pixels, the entry 41x30', image(width=41)),
    ('iscrowd', 'is None', annotation(iscrowd=None)),
    ('iscrowd', 'is 2', annotation(iscrowd=2)),
    ('bbox', 'not x, y, width and height', annotation(bbox=[5, 5, 35])),
    ('bbox', 'not x, y, width and height', annotation(bbox=[5, 5, 35, float('nan')])),
    ('bbox', '0 wide', annotation(bbox=[5, 5, 0, 25])),
    ('bbox-outside', 'stands out of the image of 40x30', annotation(bbox=[7, 5, 35, 25])),
    ('bbox-outside', 'stands out', annotation(bbox=[-2, 5, 35, 25])),
    ('area', 'not a positive number', annotation(area=0)),
    ('area', 'not a positive number', annotation(area=None)),
    ('area', 'not a positive number', annotation(area=10**400)),
    ('bbox', 'not x, y, width and height', annotation(bbox=[5, 5, 10**400, 25])),
    ('image-size', 'width and height', image(width=10**400)),
    ('area', 'more than the 875 of the box', annotation(area=1000)),
    ('keypoints', '6 numbers, not 3 x 3', triples(10, 10, 2, 39, 29, 1)),
    ('keypoints', 'None numbers', annotation(keypoints=None)),
    ('keypoint-flag', 'joint 3 has 3', triples(10, 10, 2, 39, 29, 1, 0, 0, 3)),
    ('keypoint-flag', 'joint 1 has 0.9', triples(10, 10, 0.9, 39, 29, 1, 0, 0, 0)),
    ('keypoint-number', 'joint 2 at [inf', triples(10, 10, 2, float('inf'), 29, 1, 0, 0, 0)),
    ('keypoint-number', "joint 3 at ['0'", triples(10, 10, 2, 39, 29, 1, '0', 0, 0)),
    ('keypoint-outside', 'joint 2 at [42', triples(10, 10, 2, 42, 29, 1, 0, 0, 0)),
    ('keypoint-outside', 'joint 1 at [10, -1.5]', triples(10, -1.5, 2, 39, 29, 1, 0, 0, 0)),
    ('num_keypoints', 'is 3, but 2 joints', annotation(num_keypoints=3)),
    ('num_keypoints', 'is None', annotation(num_keypoints=None)),
]


@pytest.mark.parametrize(('rule', 'what', 'change'), BROKEN)
def test_one_thing_wrong_is_one_finding(good, tmp_path, rule, what, change):
    change(good)
    (found,) = findings(good, tmp_path)
    assert found.rule == rule
    assert what in str(found)


def test_people_annotated_twice_are_told_and_make_no_file_invalid(good, tmp_path, main, capsys):
    double = dict(good['annotations'][0], id=5, keypoints=[25.3, 10, 2, 38, 29, 2, 0, 0, 0])
    good['annotations'].append(double)
    (found,) = findings(good, tmp_path)
    assert str(found) == 'annotation 5: is of the same person as annotation 1'
    assert (found.rule, found.is_error) == ('annotated-twice', False)
    assert main([str(tmp_path / 'ann.json'), '--no-images']) == 0
    shown = capsys.readouterr().out
    assert 'annotated-twice: 1\n  annotation 5' in shown
    assert 'ann.json: valid, 1 to look at' in shown
    # Among broken entries too: nothing of them is compared.
    good['annotations'] += [dict(double, id=6, category_id=[1]), dict(double, id=7, image_id={})]
    good['annotations'] += [dict(double, id=8, keypoints='no'), dict(double, id=9, bbox=None)]
    twice = [f.where for f in findings(good, tmp_path) if f.rule == 'annotated-twice']
    assert twice == ['annotation 5', 'annotation 9']


def test_keypoints_of_a_category_without_joints(good, tmp_path):
    good['categories'].append(dict(id=2, name='dog'))
    good['annotations'][1]['category_id'] = 2
    (found,) = findings(good, tmp_path)
    assert found.rule == 'keypoints'
    assert 'category 2 names no joints' in found.what


@pytest.mark.parametrize(('text', 'what'), [('{"images": [', 'no json'), ('[1]', 'holds a list')])
def test_no_coco_file_at_all(good, tmp_path, text, what):
    (found,) = findings(text, tmp_path)
    assert found.rule == 'file'
    assert what in found.what


def test_what_the_loaders_cannot_read_is_a_finding(good, tmp_path):
    (found,) = findings('\ufeff' + json.dumps(good), tmp_path)
    assert found.rule == 'file'
    assert 'BOM' in found.what


def test_an_image_that_is_not_whole(good, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / 'images' / 'part' / 'b.png'
    Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).save(path, 'JPEG')
    path.write_bytes(path.read_bytes()[:-300])
    (found,) = findings(good, tmp_path)
    assert (found.rule, found.where) == ('file-unreadable', "image 8 ('part/b.png')")


def test_an_image_beyond_the_limit_is_not_decoded(good, tmp_path, monkeypatch):
    decoded = []
    monkeypatch.setattr(cv2, 'imdecode', lambda *a: decoded.append(a))
    limited = findings(good, tmp_path, max_pixels=1199)
    assert [found.rule for found in limited] == ['file-pixels'] * 2
    assert '40x30 pixels, more than the limit of 1199' in limited[0].what
    assert decoded == []
    assert Image.MAX_IMAGE_PIXELS > 10**7, "Pillow's own limit is as it was"


def test_a_bomb_is_a_finding(good, tmp_path):
    # A header of 50,000 x 50,000 pixels, beyond what Pillow opens at twice any limit.
    header = (tmp_path / 'images' / 'a.png').read_bytes()
    chunk = b'IHDR' + struct.pack('>II', 50_000, 50_000) + header[24:29]
    bomb = header[:12] + chunk + struct.pack('>I', zlib.crc32(chunk)) + header[33:]
    (tmp_path / 'images' / 'a.png').write_bytes(bomb)
    (found,) = findings(good, tmp_path)
    assert found.rule == 'file-pixels'


def test_links_out_of_the_folder(good, tmp_path):
    path = tmp_path / 'images' / 'a.png'
    path.rename(tmp_path / 'cache.png')
    path.symlink_to(tmp_path / 'cache.png')
    (found,) = findings(good, tmp_path)
    assert found.rule == 'file-name'
    assert 'a link leads out' in found.what
    assert findings(good, tmp_path, follow_links=True) == []


def test_the_size_is_that_of_the_image_as_it_is_shown(good, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.zeros((40, 30, 3), np.uint8))
    turned.save(tmp_path / 'images' / 'a.png', exif=exif)
    assert findings(good, tmp_path) == []


def test_the_margin_is_kept(good, tmp_path):
    good['annotations'][0].update(bbox=[-1, 0, 42, 30], area=1300)
    assert findings(good, tmp_path) == []
    assert {found.rule for found in findings(good, tmp_path, margin_px=0.5)} == {'bbox-outside'}


def test_all_is_found_and_the_list_is_bounded(good, tmp_path, main, capsys):
    good['annotations'] += [dict(good['annotations'][0], id=10 + n, area=-1) for n in range(30)]
    good['images'][1]['width'] = 41
    found = findings(good, tmp_path)
    assert [f.is_error for f in found].count(True) == 31
    assert {f.rule for f in found if not f.is_error} == {'annotated-twice'}
    command = [str(tmp_path / 'ann.json'), '--img-root', str(tmp_path / 'images')]
    assert main([*command, '--show', '3']) == 1
    shown = capsys.readouterr().out
    assert 'area: 30\n  annotation 10: area is -1' in shown
    assert '... and 27 more' in shown
    assert shown.count('\n') < 16
    assert 'ann.json: 31 problems, 30 to look at' in shown
    assert main([command[0], '--no-images', '--show', '0']) == 1
    shown = capsys.readouterr().out
    assert 'ann.json: 30 problems, 30 to look at' in shown
    assert '\n\n' not in shown


def test_nothing_to_check(good, tmp_path, main, capsys):
    assert main([str(tmp_path / 'no.json'), '--no-images']) == 2
    assert 'no.json' in capsys.readouterr().err
    assert main([str(TOOL), '--img-root', str(tmp_path / 'none')]) == 2
    assert 'none' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('ann_file', 'folder'),
    [
        ('balance4view/person_keypoints_val.json', 'balance4view/images'),
        ('coco_ccby/annotations/person_keypoints_train2017.json', 'coco_ccby/train2017'),
        ('coco_ccby/annotations/person_keypoints_val2017.json', 'coco_ccby/val2017'),
    ],
)
def test_real_files_are_valid(shared_data, main, capsys, ann_file, folder):
    assert main([str(shared_data / ann_file), '--img-root', str(shared_data / folder)]) == 0
    assert capsys.readouterr().out.endswith(': valid\n')


def test_good_files_are_valid(good, tmp_path, couples, main, capsys):
    assert findings(good, tmp_path) == []
    assert main([str(couples[0]), '--img-root', str(couples[1])]) == 0


@pytest.mark.parametrize('extra', [(), ('--min-joints-ok', 0.5, '--check', 'max_distance=200')])
def test_what_the_expansion_writes_is_valid(synthesize, main, extra):
    status, out = synthesize(*extra, '--max-attempts', 100, num=8, check=bool(extra))
    assert status == 0
    assert main([str(out / 'person_keypoints.json'), '--img-root', str(out / 'images')]) == 0
