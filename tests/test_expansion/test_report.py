import json
import re
import shutil

import cv2
import numpy as np
import pytest
from attempt_helpers import outcomes, source_image

from pg2aug.expansion import Synthesised
from pg2aug.expansion.report.coverage import pose_coverage
from pg2aug.expansion.report.pictures import made_squares, refused_strip, target_pose
from pg2aug.expansion.report.sample import REFUSED_SHOWN, sample_made, sample_refused
from pg2aug.expansion.write.coco import failed_joints, person_label
from pg2aug.poses import PoseBank
from pg2aug.utils.output import writing_folder

LIMB_WARP = ['--limb-warp', 'configs/_base_/datasets/coco.py', '--size', 48, 64]


def page_data(out):
    text = (out / 'report' / 'index.html').read_text()
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


@pytest.fixture(scope='module')
def expansion(synthesize_once):
    settings = ['--check', 'min_correlation=-1', '--min-joints-ok', 0.6]
    return synthesize_once(*settings, '--report-items', 5, '--max-attempts', 200, num=9, check=True)


def test_a_part_is_shown_and_all_are_counted(expansion):
    data = page_data(expansion)
    assert len(data['items']) == 5
    assert data['num_made'] == data['num_images'] == sum(data['made_by_rarity']) == 9
    shown = {row[0] for row in data['items']}
    assert {int(path.stem) for path in (expansion / 'report' / 'made').iterdir()} == shown
    content = json.loads((expansion / 'person_keypoints.json').read_text())
    made = {a['id']: a for a in content['annotations'] if 'pg2aug' in a}
    assert shown < made.keys()
    for row in data['items']:
        item = dict(zip(data['columns'], row, strict=True))
        provenance = made[item['id']]['pg2aug']
        assert item['pose'] == provenance['target_pose']
        assert item['person'] == provenance['source_annotation_id']
        assert item['labelled'] == item['passed'] + len(provenance['failed_joints'])
        assert 0 <= item['decile'] <= 9


def test_the_page_tells_no_path(expansion):
    text = (expansion / 'report' / 'index.html').read_text()
    assert str(expansion.parent) not in text
    assert '@@' not in text


def test_no_report(synthesize, tmp_path):
    _, out = synthesize('--no-report', num=2)
    assert not (out / 'report').exists()
    with pytest.raises(SystemExit):
        synthesize('--report-items', 0, out='other')


def test_the_label_and_the_failed_joints_are_the_whole_pose(make_job):
    class Check:
        def __call__(self, synthesis):
            passed = synthesis.visible > -1
            passed[:, [0, 9]] = False
            return passed

    job = make_job()
    job.synthesizer.check = Check()
    skeleton = job.synthesizer.skeleton
    made = [o for o in outcomes(job, 8, 4) if isinstance(o, Synthesised)]
    for outcome in made:
        failed = failed_joints(outcome, skeleton)
        assert set(failed) <= {'nose', 'left_wrist'}
        annotation = dict(person_label(outcome, skeleton), pg2aug=dict(failed_joints=failed))
        keypoints, visible = target_pose(annotation, skeleton)
        shown = outcome.plan.target_visible > 0
        np.testing.assert_array_equal(visible, shown)
        np.testing.assert_allclose(
            keypoints[shown], outcome.plan.target_keypoints[shown], atol=0.006
        )
        squares = made_squares(
            source_image(job, outcome),
            outcome.image,
            job.sources.persons[outcome.attempt.person],
            annotation,
            skeleton,
        )
        assert [square.shape for square in squares] == [(240, 240, 3)] * 4
        _, pose, result, labelled = squares
        red = (pose == (60, 60, 255)).all(axis=2)
        assert red.any() == bool(failed)
        assert (labelled != result).any()
    assert any(failed_joints(outcome, skeleton) for outcome in made)


def test_a_strip_shows_what_is_there(make_job):
    job = make_job()
    skeleton, person = job.synthesizer.skeleton, dict(job.sources.persons[0])
    source = np.full((96, 144, 3), (10, 200, 30), np.uint8)
    made = dict(person, pg2aug={})
    # A person at the edge: what is outside of the image is canvas.
    made['bbox'] = person['bbox'] = [100, 0, 44, 96]
    grey = np.full((96, 144, 3), 90, np.uint8)
    old, _, new, _ = made_squares(source, grey, person, made, skeleton)
    inside = (old == (10, 200, 30)).all(axis=2)
    assert 0.3 < inside.mean() < 0.9
    assert (new[inside] == 90).all()
    empty = refused_strip(None, person, 3, job.bank, ['left_knee'])
    assert empty.shape == (240, 480, 3)
    assert len(np.unique(empty[:, :240].reshape(-1, 3), axis=0)) == 1
    assert (empty[:, 240:] == (60, 60, 255)).all(axis=2).any()


def test_refused_attempts_are_drawn(expansion):
    data = page_data(expansion)
    pictures = sorted((expansion / 'report' / 'refused').iterdir())
    assert len(pictures) == len(data['refused']) > 0
    assert cv2.imread(str(pictures[0])).shape == (240, 480, 3)


def test_samples_are_uniform_and_bounded(tmp_path):
    made = [{'id': n, 'image_id': n, 'pg2aug': {'target_pose': n % 7}} for n in range(1000)]
    others = [{'id': 1000 + n, 'image_id': n} for n in range(1000)]
    content = {'images': [{'id': n} for n in range(1000)], 'annotations': [*made, *others]}
    (tmp_path / 'a.json').write_text(json.dumps(content))
    sample = sample_made(tmp_path / 'a.json', 100)
    assert (sample.num_images, sample.num_annotations) == (1000, 2000)
    assert sample.poses.total() == 1000
    ids = [annotation['id'] for annotation in sample.shown]
    assert ids == sorted(ids)
    assert len(ids) == 100
    assert sample.images.keys() == set(ids)
    assert 350 < np.mean(ids) < 650
    assert sample_made(tmp_path / 'a.json', 100).shown == sample.shown
    refused = [{'reason': 'ab'[n % 10 == 0], 'attempt': n} for n in range(900)]
    (tmp_path / 'r.json').write_text(json.dumps({'refused': refused, 'label_check': {'x': [1, 1]}}))
    sample = sample_refused(tmp_path / 'r.json')
    assert sample.reasons == {'a': 810, 'b': 90}
    reasons = [entry['reason'] for entry in sample.shown]
    assert reasons == ['a'] * REFUSED_SHOWN + ['b'] * REFUSED_SHOWN
    assert sample.label_check == {'x': [1, 1]}


@pytest.fixture(scope='module')
def bank(pose_bank):
    return PoseBank.load(pose_bank)


def test_coverage_counts_what_is_labelled(bank):
    drawable = np.flatnonzero(bank.weights > 0)
    half, rest = drawable[::2], drawable[1::2]
    before = bank.keypoints[half] * 2 + 30, bank.visible[half]
    found = pose_coverage(bank, before, (bank.keypoints[rest] * 0.5, bank.visible[rest]))
    assert (found.judged, found.before, found.made) == (len(drawable), len(half), len(rest))
    assert found.overall[1] == 1
    assert len(half) / len(drawable) <= found.overall[0] < 1
    assert len(found.by_rarity) == 10
    for tenth in filter(None, found.by_rarity):
        assert tenth[0] <= tenth[1] == 1


def test_one_more_pose_is_one_more_that_is_covered(bank):
    drawable = np.flatnonzero(bank.weights > 0)
    before = bank.keypoints[drawable[:2]], bank.visible[drawable[:2]]
    rarest = drawable[[bank.rarity[drawable].argmax()]]
    nothing = bank.keypoints[:0], bank.visible[:0]
    shares = [
        pose_coverage(bank, before, made)
        for made in (nothing, (bank.keypoints[rarest], bank.visible[rarest]))
    ]
    assert shares[0].overall[0] == shares[0].overall[1] == shares[1].overall[0] < 1
    assert shares[1].overall[1] >= shares[0].overall[1] + 1 / len(drawable) - 1e-9
    before, after = shares[1].by_rarity[9]
    assert after > before
    # Of a label without its joints nothing can be told.
    empty = bank.keypoints[rarest], np.zeros_like(bank.visible[rarest])
    assert pose_coverage(bank, nothing, empty).made == 0


@pytest.mark.parametrize(('lacking', 'covered'), [(0, True), (5, True), (6, False)])
def test_a_label_without_many_joints_covers_nothing(bank, lacking, covered):
    full = [n for n in np.flatnonzero(bank.weights > 0) if bank.visible[n].sum() == 17]
    rarest = [max(full, key=lambda n: bank.rarity[n])]
    nothing, visible = (bank.keypoints[:0], bank.visible[:0]), bank.visible[rarest].copy()
    # Head first, then a wrist.
    visible[:, [0, 1, 2, 3, 4, 9][:lacking]] = False
    found = pose_coverage(bank, nothing, (bank.keypoints[rarest], visible))
    assert found.overall[0] == 0
    assert (found.overall[1] > 0) == covered


def test_the_report_tells_what_balancing_came_to(synthesize):
    status, out = synthesize('--balance', 4, '--max-attempts', 1, num=8, chosen=LIMB_WARP)
    assert status == 0
    counts = json.loads((out / 'plan.json').read_text())['images_by_region']
    regions = page_data(out)['regions']
    told = [(row['before'], row['planned']) for row in regions]
    assert sorted(told) == sorted(zip(counts['before'], counts['added'], strict=True))
    assert [row['before'] for row in regions] == sorted(counts['before'])
    content = json.loads((out / 'person_keypoints.json').read_text())
    made = [a['pg2aug'] for a in content['annotations'] if 'pg2aug' in a]
    assert sum(row['made'] for row in regions) == len(made) > 0
    # One attempt each: what was made is what was planned, but for what was refused.
    assert all(row['made'] <= row['planned'] for row in regions)
    for row in regions:
        assert cv2.imread(str(out / 'report' / 'regions' / f'{row["pose"]}.jpg')).shape[0] == 240


def test_a_report_that_fails_hides_no_data_set(synthesize, couples, tmp_path, capsys):
    images = couples[1].parent / 'images'
    couples[1].rename(images)
    arguments = '--img-root', images
    assert synthesize(*arguments, '--no-report', chosen=LIMB_WARP)[0] == 0
    capsys.readouterr()
    sheet = (tmp_path / 'out' / 'sheet.png').read_bytes()
    images.rename(couples[1])
    images.mkdir()
    status, out = synthesize(*arguments, chosen=LIMB_WARP)
    said = capsys.readouterr()
    assert status == 2
    assert f'4 images of 4 attempts -> {out}' in said.out
    assert f'the data set in {out} is complete, its report is not' in said.err
    left = {path.name for path in out.iterdir()}
    assert not left & {'report', '.report.new'}
    before = (out / 'person_keypoints.json').read_bytes()
    images.rmdir()
    couples[1].rename(images)
    assert (out / 'sheet.png').read_bytes() == sheet
    # The same command writes it, and nothing else anew.
    assert synthesize(*arguments, chosen=LIMB_WARP)[0] == 0
    assert len(page_data(out)['items']) == 4
    assert (out / 'person_keypoints.json').read_bytes() == before


def test_what_a_killed_report_left_is_removed(synthesize):
    _, out = synthesize('--no-report', num=2, chosen=LIMB_WARP)
    with writing_folder(out / 'report', 'expand') as folder:
        (folder / 'made').mkdir()
        shutil.copytree(folder, out / 'copy')
    shutil.rmtree(out / 'report')
    (out / 'copy').rename(out / '.report.new')
    assert synthesize('--no-report', num=2, chosen=LIMB_WARP)[0] == 0
    assert not list(out.glob('*report*'))


def test_an_expansion_of_an_expansion_knows_who_is_new(tool, pose_bank, couples, tmp_path):
    def expand(ann_file, img_root, out):
        files = ['--ann-file', ann_file, '--img-root', img_root, '--pose-bank', pose_bank]
        command = [*LIMB_WARP, *files, '--out', out, '--num', 6, '--no-check', '--device', 'cpu']
        assert tool.main([str(word) for word in command]) == 0
        return json.loads((out / 'person_keypoints.json').read_text())

    first = expand(*couples, tmp_path / 'first')
    second = expand(
        tmp_path / 'first/person_keypoints.json', tmp_path / 'first/images', tmp_path / 'second'
    )
    assert len(second['images']) == 6
    new = [a for a in second['annotations'] if 'pg2aug' in a]
    assert sorted(a['image_id'] for a in new) == [image['id'] for image in second['images']]
    ids = {a['id'] for a in first['annotations']}
    assert {a['pg2aug']['source_annotation_id'] for a in new} <= ids
    assert any('pg2aug_before' in a for a in second['annotations'])
    assert page_data(tmp_path / 'second')
