"""Expanding a data set before anything has been trained."""

import json

import cv2
import numpy as np
import pytest

METAINFO = 'configs/_base_/datasets/coco.py'
LIMB_WARP = ['--limb-warp', METAINFO, '--size', 48, 64]


def test_persons_are_made_without_a_trained_generator(synthesize, couples):
    status, out = synthesize(chosen=LIMB_WARP, num=8)
    assert status == 0
    content = json.loads((out / 'person_keypoints.json').read_text())
    assert content['info']['generator'] == dict(
        type='LimbWarpGenerator', size=[48, 64], padding=1.25
    )
    made = [a for a in content['annotations'] if 'pg2aug' in a]
    assert [a['pg2aug']['generator'] for a in made] == ['LimbWarpGenerator'] * 8
    sources = {a['id']: a for a in json.loads(couples[0].read_text())['annotations']}
    images = {image['id']: image for image in content['images']}
    near, far = [], []
    for annotation in made:
        image = cv2.imread(str(out / 'images' / images[annotation['image_id']]['file_name']))
        origin = sources[annotation['pg2aug']['source_annotation_id']]
        name = f'{origin["image_id"] - 100}.png'
        source = cv2.imread(str(couples[1] / name))
        # Elbows and knees have the colours they had, now where the label says.
        for joint in (7, 8, 13, 14):
            colors = [at(image, annotation, joint), at(source, origin, joint)]
            if all(color is not None for color in colors):
                near.append(np.abs(colors[0] - colors[1]).mean())
                far.append(np.abs(at(source, annotation, joint) - colors[1]).mean())
    assert len(near) > 20
    assert np.mean(near) < 0.6 * np.mean(far)


def at(image, annotation, joint):
    """Mean colour about a joint; None where it is not labelled."""
    x, y, flag = annotation['keypoints'][3 * joint : 3 * joint + 3]
    x, y = round(x), round(y)
    patch = image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].astype(float)
    return patch.mean(axis=(0, 1)) if flag and patch.size else None


def test_the_same_command_writes_the_same_bytes(synthesize):
    runs = [synthesize(chosen=LIMB_WARP, out=name, num=2)[1] for name in 'ab']
    for name in ('person_keypoints.json', 'sheet.png', 'refused.json'):
        assert len({(out / name).read_bytes() for out in runs}) == 1


@pytest.mark.parametrize(
    'chosen',
    [
        [],
        ['--config', 'a.py'],
        ['--limb-warp', METAINFO],
        ['--size', 48, 64],
        ['--config', 'a.py', '--size', 48, 64],
        [*LIMB_WARP, '--checkpoint', 'a.pth'],
        [*LIMB_WARP, '--config', 'a.py', '--checkpoint', 'a.pth'],
    ],
    ids=lambda chosen: ' '.join(map(str, chosen)) or 'nothing',
)
def test_anything_but_one_generator_is_refused(synthesize, capsys, chosen):
    with pytest.raises(SystemExit):
        synthesize(chosen=chosen)
    assert 'give --config and --checkpoint, or --limb-warp and --size' in capsys.readouterr().err


def test_it_is_as_fine_as_its_size(synthesize, capsys):
    with pytest.raises(SystemExit):
        synthesize('--detail', 2, chosen=LIMB_WARP)
    assert '--limb-warp is as fine as its --size' in capsys.readouterr().err


def test_it_has_no_coarse_images(synthesize, capsys):
    with pytest.raises(SystemExit):
        synthesize('--coarse', chosen=LIMB_WARP)
    assert '--coarse is for a trained generator' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('chosen', 'message'),
    [
        (['--limb-warp', 'gone.py', '--size', 48, 64], 'gone.py'),
        (['--limb-warp', METAINFO, '--size', 0, 64], 'size must be (width, height)'),
        (['--limb-warp', METAINFO.replace('coco', 'mpii'), '--size', 48, 64], 'another skeleton'),
    ],
)
def test_a_description_or_size_that_cannot_be_used_is_told(synthesize, capsys, chosen, message):
    status, out = synthesize(chosen=chosen)
    assert status == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
