import os

import cv2
import numpy as np
import pytest
from PIL import Image

from pg2aug.datasets.image_index import image_sizes
from pg2aug.datasets.topdown import load_image
from pg2aug.evaluation.user_study_images import read_rgb
from pg2aug.expansion import ImageFolder
from pg2aug.utils.images import MAX_SIDE, decode_image, header_size
from pg2aug.validation.files import check_files

PIXELS = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)


def encoded(suffix):
    return cv2.imencode(suffix, PIXELS)[1].tobytes()


def readers(path):
    """What each reader of images makes of a file: the size, or None where it refuses it."""
    entry = dict(id=1, file_name=path.name)
    found = [not list(check_files([entry], path.parent, 10**6, False, 1))]
    found.append(not isinstance(image_sizes([path])[0], ValueError))
    for read in (
        lambda: load_image(str(path)),
        lambda: read_rgb(path),
        lambda: ImageFolder(str(path.parent)).read(path.name),
    ):
        try:
            read()
            found.append(True)
        except ValueError:
            found.append(False)
    return found


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.webp'])
def test_all_readers_take_the_same_files(tmp_path, suffix):
    path, data = tmp_path / f'a{suffix}', encoded(suffix)
    path.write_bytes(data)
    assert readers(path) == [True] * 5
    # Pillow reads a PNG without its end, OpenCV and so MMPose do not.
    for length in (0, 5, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:length])
        assert readers(path) == [False] * 5


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / 'a.png'
    with path.open('wb') as file:
        file.truncate(10**12)
    (found,) = check_files([dict(id=1, file_name='a.png')], tmp_path, 10**6, False, 1)
    assert found.rule == 'file-pixels'
    assert 'has 1000000000000 bytes' in str(image_sizes([path])[0])
    with pytest.raises(ValueError, match=r'a\.png: has 1000000000000 bytes'):
        read_rgb(path)


def test_what_only_pillow_decodes_is_not_valid(tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(PIXELS).save(path, 'ICO', sizes=[(40, 30)])
    assert readers(path) == [False] * 5


def test_a_truncated_jpeg_is_told_where_opencv_fills_it_up(monkeypatch):
    data = encoded('.jpg')
    monkeypatch.setattr(cv2, 'imdecode', lambda *a: PIXELS)
    with pytest.raises(ValueError, match='truncated'):
        decode_image(data[:-200])
    np.testing.assert_array_equal(decode_image(data), PIXELS)
    # Whole, with something after its end.
    np.testing.assert_array_equal(decode_image(data + b'more'), PIXELS)


def test_images_are_turned_as_their_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / 'a.png'
    Image.fromarray(PIXELS).save(path, exif=exif)
    turned = np.rot90(PIXELS, k=-1)
    np.testing.assert_array_equal(decode_image(path.read_bytes())[..., ::-1], turned)
    np.testing.assert_array_equal(read_rgb(path), turned)
    assert header_size(path.read_bytes()) == (40, 30)
    assert image_sizes([path]) == [(30, 40)]


@pytest.mark.parametrize('suffix', ['.png', '.bmp'])
def test_no_reader_takes_what_cannot_be_warped(tmp_path, suffix):
    path = tmp_path / f'a{suffix}'
    for width, taken in ((MAX_SIDE, True), (MAX_SIDE + 1, False)):
        path.write_bytes(cv2.imencode(suffix, np.zeros((2, width, 3), np.uint8))[1].tobytes())
        assert readers(path) == [taken] * 5


@pytest.mark.parametrize('kind', ['pipe', 'device', 'folder', 'loop', 'dangling'])
def test_every_reader_refuses_at_once_what_is_no_file(tmp_path, kind):
    path = tmp_path / 'a.png'
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    else:
        other = {'device': '/dev/zero', 'loop': path, 'dangling': tmp_path / 'gone'}
        path.symlink_to(other[kind])
    entry = dict(id=1, file_name=path.name)
    assert list(check_files([entry], tmp_path, 10**6, True, 1))
    assert list(check_files([entry], tmp_path, 10**6, False, 1))
    assert isinstance(image_sizes([path])[0], ValueError)
    with pytest.raises(ValueError, match=r'a\.png'):
        load_image(str(path))
    for follow_links in (True, False):
        with pytest.raises((OSError, ValueError)):
            ImageFolder(str(tmp_path), follow_links=follow_links).read(path.name)
    with pytest.raises(OSError):
        read_rgb(path)
