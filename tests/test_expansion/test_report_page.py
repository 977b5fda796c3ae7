"""The report's page in a real Chromium, driven by playwright-core; see `make browser`."""

import json
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from browser import drive, require_browser

from pg2aug.utils.web_page import web_page
from pg2aug.validation.coco import validate_coco

HERE = Path(__file__).parent
LARGE = 10_000
CHECK = ('--check', 'min_correlation=-1', '--min-joints-ok', 0.5)


def large_page(folder, small):
    """A page of ten thousand items, with the pictures of a small one."""
    text = (small / 'index.html').read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    pictures = sorted((small / 'made').iterdir())
    (folder / 'made').mkdir(parents=True)
    rows = []
    for n in range(LARGE):
        os.link(pictures[n % len(pictures)], folder / 'made' / f'{n}.jpg')
        row = [n, f'{n}.jpg', f'{n % 997}.png', n, n, n % 10, n % 10 + n / LARGE, n % 9 + 8, 17]
        rows.append(row)
    data |= dict(items=rows, num_made=LARGE, data_set='0123456789abcdef', refused=[])
    page = web_page('pg2aug.expansion.report', 'report', data, data_set=data['data_set'])
    (folder / 'index.html').write_text(page)
    return folder / 'index.html'


@pytest.fixture(scope='module')
def visit(synthesize_once, tmp_path_factory):
    """The report of report_browser.mjs, the expansion's folder, and the exported review."""
    require_browser()
    out = synthesize_once(*CHECK, '--max-attempts', 300, num=25, check=True)
    folder = tmp_path_factory.mktemp('browser')
    large = large_page(folder / 'large', out / 'report')
    review = folder / 'review.json'
    pages = [out / 'report' / 'index.html', large]
    return drive(HERE / 'report_browser.mjs', *pages, review, folder / 'profile'), out, review


@pytest.fixture(scope='module')
def made(visit):
    """Of each synthesised person: annotation, image, by annotation id."""
    content = json.loads((visit[1] / 'person_keypoints.json').read_text())
    images = {image['id']: image for image in content['images']}
    return {a['id']: (a, images[a['image_id']]) for a in content['annotations'] if 'pg2aug' in a}


@pytest.mark.slow
def test_nothing_is_loaded_but_the_page_and_its_pictures(visit):
    report, out, _ = visit
    assert report['errors'] == []
    assert {urlparse(url).scheme for url in report['requests']} <= {'file', 'data', 'blob'}
    files = {Path(unquote(urlparse(u).path)) for u in report['requests'] if u.startswith('file')}
    own = {path for path in files if path.is_relative_to(out)}
    assert {path.parent for path in own} == {
        out / 'report',
        out / 'report' / 'made',
        out / 'report' / 'refused',
    }
    assert all(path.is_file() for path in files)


@pytest.mark.slow
def test_the_overview_counts(visit, made):
    report, out, _ = visit
    refused = json.loads((out / 'refused.json').read_text())
    tiles = dict(report['tiles'])
    assert tiles['new persons'] == tiles['images'] == str(len(made)) == '25'
    assert tiles['attempts refused'] == str(len(refused['refused']))
    assert sum(int(row[1]) for row in report['reasons']) == len(refused['refused'])
    assert sum(int(row[1]) for row in report['rarityRows']) == 25
    for row, (judged, accepted) in zip(
        report['rarityRows'], refused['label_check']['by_rarity'], strict=True
    ):
        expected = f'{round(100 * accepted / judged)} % of {judged}' if judged else '-'
        assert row[2] == expected
    assert re.search(r'\d+ % before and \d+ % after', report['coverage'])
    assert len(report['extremes']) == 12


@pytest.mark.slow
def test_refused_attempts_are_shown_by_reason(visit):
    report, out, _ = visit
    refused = json.loads((out / 'refused.json').read_text())['refused']
    failed = [entry for entry in refused if entry.get('failed_joints')]
    assert any(failed[0]['failed_joints'][0].replace('_', ' ') in one for one in report['refused'])
    assert len(set(report['refusedOfReason'])) == 1
    assert 0 < len(report['refusedOfReason']) <= len(report['refused'])


@pytest.mark.slow
def test_filters_and_sorts(visit, made):
    report, _, _ = visit
    orders = report['orders']
    assert orders['id'] == sorted(made)
    assert all(sorted(order) == sorted(made) for order in orders.values())
    assert orders['rarest'] != orders['id']

    def share(number):
        annotation = made[number][0]
        failed = len(annotation['pg2aug']['failed_joints'])
        return annotation['num_keypoints'] / (annotation['num_keypoints'] + failed)

    shares = [share(number) for number in orders['worst']]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]
    assert [share(n) for n in orders['best']] == shares[::-1]
    sources = {n: image['pg2aug']['source_file_name'] for n, (_, image) in made.items()}
    assert [sources[n] for n in orders['source']] == sorted(sources.values())
    assert report['whole'] == [n for n in orders['source'] if share(n) == 1]
    assert report['ofSource'] == [n for n in orders['source'] if sources[n] == '3.png'] != []
    assert set(report['rare']) < set(made)
    assert report['rareText'] == f'{len(report["rare"])} of 25 shown'
    # The rarest are those of the highest tenths.
    assert sorted(orders['rarest'][: len(report['rare'])]) == sorted(report['rare'])
    assert report['nothing']


@pytest.mark.slow
def test_pictures_have_four_parts(visit):
    assert visit[0]['pictureSize'] == [960, 240]


def expected_answers(report):
    return [a for a in report['answered'] if a['annotation_id'] != report['undone']]


@pytest.mark.slow
def test_twenty_are_reviewed_by_keyboard_and_survive_a_reload(visit):
    report, _, review = visit
    assert report['undone'] == report['answered'][-1]['annotation_id']
    assert [a['annotation_id'] for a in report['answered']] == report['orders']['rarest'][:20]
    answers = expected_answers(report)
    accepted = sum(a['verdict'] == 'accept' for a in answers)
    text = f'{accepted} accepted, {19 - accepted} rejected, 6 not reviewed'
    for when in ('progress', 'progressAfterReload', 'progressAfterRestart'):
        assert report[when] == text
    assert report['tabAfterReload']
    assert report['progressOfOther'] == '0 accepted, 0 rejected, 10,000 not reviewed'
    rejected = [a['annotation_id'] for a in answers if a['verdict'] == 'reject']
    assert report['rejected'] == rejected
    assert report['commented'] == [a['annotation_id'] for a in answers if a['comment']]
    assert report['fileName'] == 'review.json'
    content = json.loads(review.read_text())
    assert content['reviews'] == sorted(answers, key=lambda a: a['annotation_id'])


@pytest.mark.slow
def test_the_enlarged_item_leads_to_its_image(visit, made):
    report, out, _ = visit
    path = Path(unquote(urlparse(report['whole_image']).path)).resolve()
    assert path == out / 'images' / made[min(made)][1]['file_name']
    assert report['focused'] == 'detail', 'Enter must not follow the link'


@pytest.mark.slow
def test_the_tool_applies_what_was_exported(visit, made, tool, capsys):
    report, out, review = visit
    assert tool.main(['--apply-review', str(review), '--out', str(out)]) == 0
    assert 'not reviewed and kept' in capsys.readouterr().out
    path = out / 'person_keypoints_reviewed.json'
    assert list(validate_coco(path, out / 'images')) == []
    content = json.loads(path.read_text())
    rejected = {a['annotation_id'] for a in expected_answers(report) if a['verdict'] == 'reject'}
    kept = {a['id']: a['pg2aug'] for a in content['annotations'] if 'pg2aug' in a}
    assert kept.keys() == made.keys() - rejected
    assert len(content['images']) == 25 - len(rejected)
    for answer in expected_answers(report):
        if answer['verdict'] == 'accept':
            said = dict(verdict='accept', comment=answer['comment'])
            assert kept[answer['annotation_id']]['review'] == said
    assert kept[report['undone']].get('review') is None


@pytest.mark.slow
def test_ten_thousand_items_take_few_elements(visit):
    report, _, _ = visit
    states = {state['what']: state for state in report['large']}
    assert states['opened']['listed'] == LARGE
    assert all(state['nodes'] < 1000 for state in states.values())
    assert all(0 < len(state['cards']) <= 40 for state in states.values())
    assert LARGE - 1 in states['end']['cards']
    assert states['end']['cursor'] == LARGE - 1
    for part in (0.25, 0.5, 0.75):
        visible = states[f'scrolled to {part}']['visible']
        assert visible == pytest.approx(part * LARGE, abs=20)
    assert states['filtered']['listed'] == LARGE // 10
    assert {number % 10 for number in states['filtered']['cards']} == {9}
    # Fifty verdicts later the fifty-first is there to be judged, and in view.
    order = [n for n in range(LARGE - 1, -1, -1) if n % 10 == 9]
    assert states['reviewed']['cursor'] == order[50]
    assert order[50] in states['reviewed']['cards']
    assert report['largeProgress'].startswith('50 accepted, 0 rejected, 9,950')
    assert states['narrow']['cursor'] == order[50]
