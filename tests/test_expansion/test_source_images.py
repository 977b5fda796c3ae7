import json
import struct
import zlib

import cv2
import numpy as np
import pytest
from attempt_helpers import first_attempts
from mmengine.fileio import BaseStorageBackend, LocalBackend, backends, register_backend

from pg2aug.expansion import ImageFolder
from pg2aug.expansion.work.attempts import UNUSABLE_IMAGE, prepare
from pg2aug.expansion.write.output_folder import encode_jpeg
from pg2aug.utils.images import MAX_SIDE

LIMB_WARP = ['--limb-warp', 'configs/_base_/datasets/coco.py', '--size', 48, 64]


def png_header(width, height):
    """A PNG that says how large it is, and holds next to nothing."""

    def chunk(name, data):
        return (
            struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        )

    size = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + size + chunk(b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b'')


@pytest.mark.parametrize('size', [(1001, 1000), (12_000, 12_000), (60_000, 60_000)])
def test_what_is_too_large_is_not_decoded(tmp_path, monkeypatch, size):
    (tmp_path / 'bomb.png').write_bytes(png_header(*size))
    monkeypatch.setattr(cv2, 'imdecode', lambda *a: pytest.fail('it was decoded'))
    with pytest.raises(ValueError, match=r'bomb\.png (has \d+x\d+ pixels|is too large)'):
        ImageFolder(str(tmp_path), max_pixels=1_000_000).read('bomb.png')


@pytest.mark.parametrize('size', [(MAX_SIDE + 1, 10), (10, MAX_SIDE + 1)])
def test_what_cannot_be_warped_is_refused(tmp_path, size):
    (tmp_path / 'long.png').write_bytes(png_header(*size))
    with pytest.raises(ValueError, match=rf'long\.png is too large: \d+x\d+ pixels.*{MAX_SIDE}'):
        ImageFolder(str(tmp_path)).read('long.png')
    longest = np.zeros((1, MAX_SIDE, 3), np.uint8)
    encode_jpeg(longest)
    cv2.warpAffine(longest, np.eye(2, 3), (10, 10))


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / 'long.png').open('wb') as file:
        file.truncate(10**12)
    with pytest.raises(ValueError, match=r'long\.png has 1000000000000 bytes'):
        ImageFolder(str(tmp_path)).read('long.png')


def test_the_limit_can_be_set(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((20, 30, 3), np.uint8))
    assert ImageFolder(str(tmp_path), max_pixels=600).read('a.png').shape == (20, 30, 3)
    with pytest.raises(ValueError, match='30x20 pixels, more than --max-pixels 599'):
        ImageFolder(str(tmp_path), max_pixels=599).read('a.png')
    with pytest.raises(ValueError, match='max_pixels must be at least 1 and at most'):
        ImageFolder(str(tmp_path), max_pixels=10**9)


@pytest.mark.parametrize('name', ['../a.png', '/etc/a.png', 'b/../../a.png', 'link.png', 'd/a.png'])
def test_names_that_lead_out_are_refused(tmp_path, name):
    root = tmp_path / 'root'
    root.mkdir()
    image = np.zeros((4, 4, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    cv2.imwrite(str(root / 'in.png'), image)
    (root / 'link.png').symlink_to(tmp_path / 'a.png')
    (root / 'd').symlink_to(tmp_path)
    (root / 'within.png').symlink_to(root / 'in.png')
    with pytest.raises(ValueError, match='leads out of the image folder'):
        ImageFolder(str(root)).read(name)
    assert ImageFolder(str(root)).read('within.png').shape == (4, 4, 3)
    if name in ('link.png', 'd/a.png'):
        assert ImageFolder(str(root), follow_links=True).read(name).shape == (4, 4, 3)


class Elsewhere(BaseStorageBackend):
    """Files under a prefix, which only MMEngine can read."""

    root = None

    def path(self, uri):
        return f'{self.root}/{uri.removeprefix("elsewhere://")}'

    def get(self, uri):
        return LocalBackend().get(self.path(uri))

    def get_text(self, uri, encoding='utf-8'):
        return LocalBackend().get_text(self.path(uri), encoding)

    def isfile(self, uri):
        return LocalBackend().isfile(self.path(uri))

    def isdir(self, uri):
        return LocalBackend().isdir(self.path(uri))

    def join_path(self, uri, *names):
        return '/'.join([uri, *names])


def test_the_data_may_lie_on_another_file_backend(synthesize, tmp_path, pose_bank, monkeypatch):
    register_backend('elsewhere', Elsewhere, prefixes='elsewhere', force=True)
    try:
        monkeypatch.setattr(Elsewhere, 'root', tmp_path)
        (tmp_path / 'bank.json').write_bytes(pose_bank.read_bytes())
        data = ['--ann-file', 'elsewhere://couples.json', '--img-root', 'elsewhere://couples']
        data += ['--pose-bank', 'elsewhere://bank.json', '--no-report']
        assert synthesize(*data, chosen=LIMB_WARP, out='far')[0] == 0
    finally:
        for registry in (
            backends.registry_utils.backends,
            backends.registry_utils.prefix_to_backends,
        ):
            registry.pop('elsewhere')
    names = ['person_keypoints.json', 'sheet.png']
    far = [(tmp_path / 'far' / name).read_bytes() for name in names]
    (tmp_path / 'near.json').write_bytes(pose_bank.read_bytes())
    bank = ['--pose-bank', tmp_path / 'bank.json']
    assert synthesize(*bank, '--no-report', chosen=LIMB_WARP, out='near')[0] == 0
    assert far == [(tmp_path / 'near' / name).read_bytes() for name in names]


def test_crops_hold_the_new_person_alone(synthesize, tmp_path):
    whole, crops = (tmp_path / name for name in ('whole', 'crops'))
    for out, arguments in ((whole, []), (crops, ['--crops', '--shard-size', 3])):
        assert synthesize('--no-report', *arguments, chosen=LIMB_WARP, out=out.name, num=8)[0] == 0
    old, new = (json.loads((out / 'person_keypoints.json').read_text()) for out in (whole, crops))
    old_annotations = [a for a in old['annotations'] if 'pg2aug' in a]
    assert len(old_annotations) == len(new['annotations']) == 8
    assert sorted(p.name for p in (crops / 'images').iterdir()) == ['000000', '000001', '000002']
    for before, image, after in zip(
        old_annotations, new['images'], new['annotations'], strict=True
    ):
        assert image['file_name'] == f'{after["pg2aug"]["item"] // 3:06d}/{image["file_name"][7:]}'
        pixels = cv2.imread(str(crops / 'images' / image['file_name']))
        assert pixels.shape[:2] == (image['height'], image['width'])
        left, top, width, height = image['pg2aug']['window']
        assert (width, height) == (image['width'], image['height'])
        full = cv2.imread(str(whole / 'images' / f'{before["pg2aug"]["item"]:08d}.jpg'))
        window = full[top : top + height, left : left + width]
        # Both have been through JPEG, in other blocks.
        assert np.abs(pixels.astype(int) - window).mean() < 4
        old_joints, joints = (np.reshape(a['keypoints'], (-1, 3)) for a in (before, after))
        shown = joints[:, 2] > 0
        np.testing.assert_array_equal(joints[:, 2], old_joints[:, 2])
        np.testing.assert_allclose(
            joints[shown, :2] + [left, top], old_joints[shown, :2], atol=0.02
        )
        x, y, w, h = after['bbox']
        assert min(x, y) >= 0
        assert x + w <= image['width']
        assert y + h <= image['height']


def test_a_wrong_image_folder_is_refused_before_anything_is_made(synthesize, couples, capsys):
    folder = couples[1]
    elsewhere = folder.with_name('elsewhere')
    folder.rename(elsewhere)
    folder.mkdir()
    (folder / 'other.png').write_bytes(b'')
    status, out = synthesize()
    assert status == 2
    error = capsys.readouterr().err
    assert 'none of 12 images looked for is in the image folder' in error
    assert "such as '0.png': give the folder that the file names start from by --img-root" in error
    assert not out.exists()
    # The remedy works: the same command with the folder in its place.
    (folder / 'other.png').unlink()
    folder.rmdir()
    elsewhere.rename(folder)
    status, out = synthesize()
    assert status == 0
    assert len(list((out / 'images').iterdir())) == 4


def test_no_image_is_given_up_for_a_folder_that_is_gone(make_job, couples):
    job = make_job()
    attempt = first_attempts(job, 1)[0]
    folder = couples[1]
    away = folder.with_name('away')
    folder.rename(away)
    for make in (lambda: None, folder.mkdir):
        make()
        with pytest.raises(OSError, match='No such file'):
            prepare(job, attempt)
    (away / '0.png').rename(folder / 'another.png')
    assert prepare(job, attempt).reason == UNUSABLE_IMAGE
