import json

import pytest

from pg2aug.expansion.report.page import data_set_id
from pg2aug.expansion.report.review import apply_review


@pytest.fixture(scope='module')
def expansion(synthesize_once):
    return synthesize_once('--no-report', num=5)


@pytest.fixture
def apply(expansion, tmp_path):
    """Apply a review to the expansion: the reviewed file's content, and what was done."""

    def run(reviews, changes=()):
        source = expansion / 'person_keypoints.json'
        content = dict(format='pg2aug review 1', data_set=data_set_id(source), reviews=reviews)
        content |= changes or {}
        path = tmp_path / 'review.json'
        path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
        target = tmp_path / 'reviewed.json'
        summary = apply_review(source, path, target)
        return json.loads(target.read_text()), summary

    return run


@pytest.fixture
def made(expansion):
    content = json.loads((expansion / 'person_keypoints.json').read_text())
    return content, [a for a in content['annotations'] if 'pg2aug' in a]


def said(annotation, verdict, comment=''):
    return dict(annotation_id=annotation['id'], verdict=verdict, comment=comment)


def test_a_rejected_image_goes_with_everyone_in_it(apply, made):
    content, new = made
    gone = new[1]['image_id']
    reviews = [said(new[1], 'reject', 'a hand too many'), said(new[0], 'accept', 'good')]
    reviewed, summary = apply([*reviews, said(new[3], None, 'hm')])
    assert reviewed['images'] == [i for i in content['images'] if i['id'] != gone]
    kept = [a for a in content['annotations'] if a['image_id'] != gone]
    assert len(content['annotations']) - len(kept) == 2
    answers = {
        a['id']: a['pg2aug'].pop('review', None) for a in reviewed['annotations'] if 'pg2aug' in a
    }
    assert reviewed['annotations'] == kept
    assert answers.pop(new[0]['id']) == dict(verdict='accept', comment='good')
    assert answers.pop(new[3]['id']) == dict(verdict=None, comment='hm')
    assert set(answers.values()) == {None}
    for key in ('licenses', 'categories'):
        assert reviewed[key] == content[key]
    assert reviewed['info'].pop('review') == dict(accepted=1, rejected=1, not_reviewed=3)
    assert reviewed['info'] == content['info']
    counts = summary.accepted, summary.rejected, summary.not_reviewed
    assert counts == (1, 1, 3)
    assert (summary.images, summary.images_removed) == (4, 1)


def test_nothing_is_said(apply, made):
    reviewed, _ = apply([])
    reviewed['info'].pop('review')
    assert reviewed == made[0]


def test_lists_that_are_empty_stay(apply, expansion, made, tmp_path):
    folder = tmp_path / 'other'
    folder.mkdir()
    content = dict(made[0], licenses=[])
    (folder / 'a.json').write_text(json.dumps(content))
    review = dict(format='pg2aug review 1', data_set=data_set_id(folder / 'a.json'), reviews=[])
    (folder / 'review.json').write_text(json.dumps(review))
    apply_review(folder / 'a.json', folder / 'review.json', folder / 'b.json')
    assert json.loads((folder / 'b.json').read_text())['licenses'] == []


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(format='pg2aug user study answers 1'), 'no review that the report exports'),
        (
            dict(data_set='0123456789abcdef'),
            'a review of data set 0123456789abcdef, but this one is',
        ),
        (dict(data_set=None), "has no 'data_set'"),
        (dict(reviews=None), "has no 'reviews'"),
        (dict(reviews=[dict(annotation_id=1, verdict='accept')]), "has no 'comment'"),
        (
            dict(reviews=[dict(annotation_id='1', verdict=None, comment='')]),
            "has an 'annotation_id'",
        ),
        (dict(reviews=[dict(annotation_id=1, verdict='fine', comment='')]), "'verdict': 'fine'"),
        (dict(reviews=[dict(annotation_id=1, verdict=None, comment='')] * 2), 'there twice'),
        (
            dict(reviews=[dict(annotation_id=True, verdict='reject', comment='')]),
            "has an 'annotation_id'",
        ),
        (dict(reviews={}), "'reviews' is no list but a dict"),
        (dict(reviews=['accept']), 'a review is no object but a str'),
    ],
)
def test_a_review_that_cannot_be_applied(apply, tmp_path, changes, message):
    with pytest.raises(ValueError, match=r'review\.json') as error:
        apply([], changes=changes)
    assert message in str(error.value)
    assert not (tmp_path / 'reviewed.json').exists()


def test_a_review_that_is_nested_too_deeply(expansion, tmp_path):
    (tmp_path / 'review.json').write_text('[' * 100_000)
    source = expansion / 'person_keypoints.json'
    with pytest.raises(ValueError, match=r'review\.json: it is nested too deeply'):
        apply_review(source, tmp_path / 'review.json', tmp_path / 'reviewed.json')


def test_persons_that_were_not_made(apply, made):
    content, new = made
    neighbour = next(a for a in content['annotations'] if 'pg2aug' not in a)
    unknown = [dict(annotation_id=n, verdict='reject', comment='') for n in (neighbour['id'], 999)]
    with pytest.raises(ValueError, match=rf'annotation id {neighbour["id"]}, 999: was it changed'):
        apply([said(new[0], 'accept'), *unknown])


def test_nothing_would_remain(apply, made):
    with pytest.raises(ValueError, match='every image is rejected'):
        apply([said(annotation, 'reject') for annotation in made[1]])


def test_the_tool_needs_the_folder_alone(tool, expansion, made, tmp_path, capsys):
    review = tmp_path / 'review.json'
    content = dict(format='pg2aug review 1', reviews=[said(made[1][0], 'reject')])
    content['data_set'] = data_set_id(expansion / 'person_keypoints.json')
    review.write_text(json.dumps(content))
    assert tool.main([f'--apply-review={review}', '--out', str(tmp_path)]) == 2
    assert 'person_keypoints.json does not exist' in capsys.readouterr().err
    assert tool.main(['--apply-review', str(tmp_path / 'no.json'), '--out', str(expansion)]) == 2
    assert 'no.json' in capsys.readouterr().err
    assert tool.main(['--apply-review', str(review), '--out', str(expansion)]) == 0
    assert '0 persons accepted, 1 rejected, 4 not reviewed' in capsys.readouterr().out
    assert (
        len(json.loads((expansion / 'person_keypoints_reviewed.json').read_text())['images']) == 4
    )
    with pytest.raises(SystemExit):
        tool.main(['--out', str(tmp_path)])
    assert '--ann-file' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main(['--apply-review', str(review), '--out', str(expansion), '--num', '3'])
    assert '--apply-review goes with --out alone, not with --num 3' in capsys.readouterr().err
