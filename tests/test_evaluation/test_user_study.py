import base64
import io
import json
import re
import shutil
import struct

import cv2
import numpy as np
import pytest
from PIL import Image
from study_world import main, make_images

from pg2aug.evaluation.user_study import Protocol, build_study, study_id
from pg2aug.evaluation.user_study_images import draw_images, read_rgb


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('images')
    return make_images(root / 'real', 60, seed=1), make_images(root / 'fake', 60, seed=2)


def page_study(out):
    page = (out / 'index.html').read_text()
    return json.loads(re.search(r'id="study">(.*?)</script>', page, re.DOTALL)[1])


def chunks(png):
    position, names = 8, []
    while position < len(png):
        length, name = struct.unpack('>I4s', png[position : position + 8])
        names.append(name.decode())
        position += 12 + length
    return names


def test_the_paper_protocol_by_default(folders, tmp_path, capsys):
    assert main([*map(str, folders), '--out', str(tmp_path / 'study')]) == 0
    study = page_study(tmp_path / 'study')
    assert study['protocol'] == {'num_images': 55, 'num_practice': 10, 'exposure_ms': 1000}
    kinds = [image['kind'] for image in study['images']]
    assert kinds.count('real') == kinds.count('generated') == 55
    assert len({image['id'] for image in study['images']}) == 110
    assert study['study_id'] in capsys.readouterr().out


def test_the_page_is_whole_and_names_nothing(folders, tmp_path):
    build_study(*folders, tmp_path / 'study', num_images=8)
    page = (tmp_path / 'study' / 'index.html').read_text()
    assert '@@' not in page
    assert not re.search(r'https?://|src="[^d]|href="[^d]|@import|url\(', page)
    for name in ('real_', 'fake_', str(folders[0]), '.png"', '.jpg'):
        assert name not in page
    images = page_study(tmp_path / 'study')['images']
    assert images == sorted(images, key=lambda image: image['id']), 'an order that tells nothing'
    for image in images:
        assert set(chunks(base64.b64decode(image['png']))) == {'IHDR', 'IDAT', 'IEND'}


def test_the_key_says_where_each_image_comes_from(folders, tmp_path):
    key = build_study(*folders, tmp_path / 'study', num_images=8)
    assert json.loads((tmp_path / 'study' / 'key.json').read_text())['study_id'] == key['study_id']
    pngs = {image['id']: image for image in page_study(tmp_path / 'study')['images']}
    for image in key['images']:
        shown = pngs[image['id']]
        folder = folders[0] if image['kind'] == 'real' else folders[1]
        assert image['file'].startswith(str(folder))
        assert shown['kind'] == image['kind']
        decoded = np.array(Image.open(io.BytesIO(base64.b64decode(shown['png']))))
        np.testing.assert_array_equal(decoded[..., ::-1], cv2.imread(image['file']))


def test_the_seed_draws_the_images_and_the_id_tells_studies_apart(folders, tmp_path):
    def build(name, **options):
        key = build_study(*folders, tmp_path / name, **{'num_images': 8, **options})
        return key['study_id'], {image['file'] for image in key['images']}

    first = build('a')
    assert first == build('b')
    other = build('c', seed=1)
    assert other[0] != first[0]
    assert other[1] != first[1]
    slower, files = build('d', exposure=2)
    assert slower != first[0]
    assert files == first[1]


def test_the_id_depends_on_which_image_is_real():
    protocol = Protocol(num_images=6)
    one = study_id({'a': 'real', 'b': 'generated'}, protocol)
    assert one == study_id({'b': 'generated', 'a': 'real'}, protocol)
    assert one != study_id({'a': 'generated', 'b': 'real'}, protocol)


@pytest.mark.parametrize('larger', ['real', 'fake'])
def test_images_are_scaled_to_the_smallest(tmp_path, larger):
    for name in ('real', 'fake'):
        size = (64, 128) if name == larger else (32, 64)
        make_images(tmp_path / name, 6, seed=len(name) + size[0], size=size)
    key = build_study(tmp_path / 'real', tmp_path / 'fake', tmp_path / 'study', num_images=6)
    assert key['size'] == (32, 64)
    for image in page_study(tmp_path / 'study')['images']:
        assert Image.open(io.BytesIO(base64.b64decode(image['png']))).size == (32, 64)


def test_no_image_is_enlarged_in_either_direction(tmp_path):
    """Nothing says which kind is the blurred one like an image that was scaled up."""
    make_images(tmp_path / 'real', 6, seed=1, size=(178, 256))
    make_images(tmp_path / 'fake', 6, seed=2, size=(176, 256))
    key = build_study(tmp_path / 'real', tmp_path / 'fake', tmp_path / 'study', num_images=6)
    assert key['size'] == (176, 256)


def test_other_proportions_are_refused(folders, tmp_path):
    make_images(tmp_path / 'fake', 6, seed=3, size=(32, 32))
    with pytest.raises(ValueError, match=r'fake_\d\.png is 32x32 and .*real_\d+\.png 16x32.*crop'):
        build_study(folders[0], tmp_path / 'fake', tmp_path / 'study', num_images=6)


def test_copies_of_an_image_are_shown_once(folders, tmp_path):
    make_images(tmp_path / 'fake', 6, seed=3)
    for index in range(6):
        source = tmp_path / 'fake' / f'fake_{index}.png'
        shutil.copy(source, tmp_path / 'fake' / f'copy_{index}.png')
        # The same pixels in another format.
        cv2.imwrite(str(source.with_suffix('.bmp')), cv2.imread(str(source)))
    drawn = draw_images(tmp_path / 'fake', 'generated', 6, seed=0)
    assert len({image.pixels.tobytes() for image in drawn}) == 6
    with pytest.raises(ValueError, match=r'6 different images \(18 files.*but 7 generated'):
        build_study(folders[0], tmp_path / 'fake', tmp_path / 'study', num_images=7)


def test_an_image_that_is_both_is_refused(tmp_path):
    make_images(tmp_path / 'real', 6, seed=3)
    shutil.copytree(tmp_path / 'real', tmp_path / 'fake')
    message = (
        r'generated, 6 of them: (\S*real_\d.png and \S*fake\S*png(; | and 3 more)){3}\. Name two'
    )
    with pytest.raises(ValueError, match=message):
        build_study(tmp_path / 'real', tmp_path / 'fake', tmp_path / 'study', num_images=6)


def test_subfolders_and_capital_suffixes_count(tmp_path):
    make_images(tmp_path / 'all' / 'person', 3, seed=3, suffix='.JPG')
    make_images(tmp_path / 'all', 3, seed=4)
    assert len(draw_images(tmp_path / 'all', 'real', 6, seed=0)) == 6


def test_images_are_turned_as_their_exif_says(tmp_path):
    image = Image.fromarray(np.arange(16 * 32 * 3, dtype=np.uint8).reshape(32, 16, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / 'turned.png', exif=exif)
    np.testing.assert_array_equal(
        read_rgb(tmp_path / 'turned.png'), np.rot90(np.array(image), k=-1)
    )


def test_every_unreadable_image_is_named(folders, tmp_path, capsys):
    shutil.copytree(folders[1], tmp_path / 'fake')
    whole = cv2.imencode('.jpg', np.random.default_rng(0).integers(0, 255, (128, 64, 3)))[1]
    for name, content in (('0', b''), ('1', b'no image'), ('2', whole.tobytes()[:-400])):
        (tmp_path / 'fake' / f'fake_{name}.png').write_bytes(content)
    arguments = [str(folders[0]), str(tmp_path / 'fake'), '--out', str(tmp_path / 'study')]
    # As many as there are, so that all are drawn.
    assert main([*arguments, '--num-images', '60']) == 2
    error = capsys.readouterr().err
    for name in '012':
        assert f'fake_{name}.png: ' in error
    assert 'fake_3.png' not in error
    assert 'truncated' in error
    assert not (tmp_path / 'study').exists()


@pytest.mark.parametrize('name', ['.png', '.jpg', '.webp', '.bmp'])
def test_an_image_cut_anywhere_is_a_value_error(tmp_path, name):
    image = np.random.default_rng(0).integers(0, 255, (40, 20, 3), dtype=np.uint8)
    whole = cv2.imencode(name, image)[1].tobytes()
    for length in range(0, len(whole) - 60, 97):
        (tmp_path / f'cut{name}').write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f'cut{name}: .'):
            read_rgb(tmp_path / f'cut{name}')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'num_images': 5}, 'num_images is 5.*at least 6'),
        ({'num_images': 61}, r"real' has 60 different images \(60 files.*--num-images"),
        ({'exposure': 0}, 'exposure must be 0.1 to 60 seconds, got 0'),
        ({'exposure': float('inf')}, 'exposure must be .*got inf'),
        ({'exposure': float('nan')}, 'exposure must be .*got nan'),
        ({'fake_dir': 'nowhere'}, "folder of generated images 'nowhere' does not exist"),
    ],
)
def test_what_cannot_be_shown_is_refused(folders, tmp_path, options, message):
    arguments = {'real_dir': folders[0], 'fake_dir': folders[1], 'num_images': 8, **options}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        build_study(**arguments, out=tmp_path / 'study')
    assert not (tmp_path / 'study').exists()


def test_nothing_is_overwritten(folders, tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(FileExistsError, match=r'not empty and holds .* \(notes.txt\)'):
        build_study(*folders, tmp_path, num_images=8)
    assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['real'], 'name REAL_DIR, FAKE_DIR and --out'),
        (['real', 'fake'], 'name REAL_DIR, FAKE_DIR and --out'),
        (['real', 'fake', '--out', 'o', '--study', 's'], '--study goes with --score'),
        (['--seed', '1', '--score', 'a.json'], '--score takes no --seed'),
        (['real', '--score', 'a.json'], '--score takes no folders'),
    ],
)
def test_options_are_not_ignored(arguments, message, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err
