"""The page of the user study in a real Chromium, driven by playwright-core; see `make browser`."""

import json
import statistics
from pathlib import Path

import pytest
from browser import drive, require_browser
from study_world import main, make_images

HERE = Path(__file__).parent
CLOSED, RELOADED = 4, 5
"""Images at which user_study_browser.mjs closes the browser, and reloads the page."""


@pytest.fixture(scope='module')
def visit(tmp_path_factory):
    """The report of user_study_browser.mjs, the studies' folder, and the tool's score."""
    require_browser()
    folder = tmp_path_factory.mktemp('study')
    make_images(folder / 'real', 8, seed=1)
    make_images(folder / 'fake', 8, seed=2)
    for name, exposure in (('whole', '0.3'), ('slow', '1')):
        command = [str(folder / 'real'), str(folder / 'fake'), '--out', str(folder / name)]
        assert main([*command, '--num-images', '8', '--exposure', exposure]) == 0
    arguments = [folder / 'whole' / 'index.html', folder / 'slow' / 'index.html']
    arguments += [folder / 'answers_ana.json', folder / 'profile']
    return drive(HERE / 'user_study_browser.mjs', *arguments), folder


@pytest.mark.slow
def test_nothing_is_loaded_but_the_page(visit):
    report, _ = visit
    assert report['errors'] == []
    assert {url.partition(':')[0] for url in report['requests']} <= {'file', 'data', 'blob'}
    files = [url for url in report['requests'] if url.startswith('file')]
    assert {url.rpartition('/')[2] for url in files} == {'index.html'}


@pytest.mark.slow
def test_raters_have_orders_of_their_own(visit):
    report, _ = visit
    ana, again, ben = report['orders']
    assert ana == again
    assert ana != ben
    assert sorted(ana) == sorted(ben)


@pytest.mark.slow
def test_each_image_is_seen_once_at_one_size(visit):
    report, _ = visit
    shown = report['shown'][: report['shownBefore']]
    # The one that a reload cut short was not over when the page went.
    assert len(shown) == 15
    assert len({one['id'] for one in shown}) == 15
    sizes = {tuple(one['size']) for one in report['shown']}
    assert len(sizes) == 1
    width, height = sizes.pop()
    assert height == pytest.approx(2 * width)
    assert height > 200
    assert all(one['complete'] for one in report['shown'])


@pytest.mark.slow
def test_the_recorded_exposure_is_the_one_seen(visit):
    report, folder = visit
    slow = [one['ms'] for one in report['shown'][report['shownBefore'] :]][:3]
    recorded = [trial['exposure_ms'] for trial in report['slowTrials']]
    assert min(recorded) >= 995
    assert statistics.median(recorded) < 1100
    assert statistics.median(slow) == pytest.approx(statistics.median(recorded), abs=100)
    trials = json.loads((folder / 'answers_ana.json').read_text())['trials']
    quick = [trial['exposure_ms'] for n, trial in enumerate(trials) if n != RELOADED]
    assert min(quick) >= 295
    assert statistics.median(quick) < 600


@pytest.mark.slow
def test_keys_count_only_as_answers(visit):
    report, _ = visit
    assert report['keyPressedDuringExposure']
    assert report['trialsAfterKeyDuringExposure'] == 0
    assert report['trialsAfterShortcut'] == 0


@pytest.mark.slow
def test_answers_are_kept_and_the_study_goes_on(visit):
    report, folder = visit
    assert report['resumeCode'] == 'ana'
    assert report['resumeText'].startswith('4 of 16 images are answered')
    assert report['codeOfOtherStudy'] == '', 'another study on the same machine starts afresh'
    trials = json.loads((folder / 'answers_ana.json').read_text())['trials']
    kept = [
        {'id': t['image'], **{key: t[key] for key in ('kind', 'practice', 'answer')}}
        for t in trials
    ]
    assert kept == report['answered']
    assert [trial['image'] for trial in trials] == report['orders'][0]
    short = [n for n, trial in enumerate(trials) if (trial['exposure_ms'] or 0) < 225]
    assert short == [RELOADED], 'an exposure that was cut short says so'
    assert [n for n, t in enumerate(trials) if t['response_ms'] is None] == [CLOSED, RELOADED]


@pytest.mark.slow
def test_the_tool_scores_what_was_downloaded(visit, capsys):
    report, folder = visit
    assert report['fileName'] == 'answers_ana.json'
    file = folder / 'answers_ana.json'
    options = ['--study', str(folder / 'whole'), '--out', str(folder / 'score.json')]
    assert main(['--score', str(file), *options]) == 0
    assert '1 rater' in capsys.readouterr().out
    score = json.loads((folder / 'score.json').read_text())
    exposures = {t['image']: t['exposure_ms'] for t in json.loads(file.read_text())['trials']}
    for kind, name, wrong in (('real', 'R2G', 1), ('generated', 'G2R', 2)):
        own = [a for a in report['answered'] if a['kind'] == kind and not a['practice']]
        assert sum(a['answer'] != kind for a in own) == wrong
        # A busy machine may have shown one for too long.
        own = [a for a in own if abs(exposures[a['id']] - 300) <= 75]
        assert score[name]['value'] == pytest.approx(
            sum(a['answer'] != kind for a in own) / len(own)
        )
    assert main(['--score', str(file), '--study', str(folder / 'slow')]) == 2
    assert 'answers_ana.json: of study' in capsys.readouterr().err
