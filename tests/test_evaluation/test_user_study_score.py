import json
import math

import numpy as np
import pytest
from scipy import stats
from study_world import main, make_answers, make_images

from pg2aug.evaluation.user_study import build_study
from pg2aug.evaluation.user_study_score import estimate, score_answers


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    """10 images of each kind, 5 of which are practice."""
    root = tmp_path_factory.mktemp('study')
    folders = make_images(root / 'real', 12, seed=1), make_images(root / 'fake', 12, seed=2)
    build_study(*folders, root / 'study', num_images=10)
    build_study(*folders, root / 'other', num_images=10, exposure=2)
    return root / 'study'


@pytest.fixture
def write(tmp_path):
    def write_file(name, answers):
        (tmp_path / name).write_text(json.dumps(answers))
        return tmp_path / name

    return write_file


def test_rates_and_intervals_by_hand(study, write, tmp_path, capsys):
    wrong = {'ana': (1, 0), 'ben': (2, 1), 'eve': (0, 5)}
    files = [write(f'{name}.json', make_answers(study, name, *w)) for name, w in wrong.items()]
    assert main(['--score', *map(str, files), '--out', str(tmp_path / 'score.json')]) == 0
    score = json.loads((tmp_path / 'score.json').read_text())
    printed = capsys.readouterr().out
    assert '3 raters, 30 answers' in printed
    assert 'R2G (real rated generated): 20.0% [0.0%, 69.7%], 95% t interval' in printed
    for name, column in (('R2G', 0), ('G2R', 1)):
        rates = np.array([w[column] / 5 for w in wrong.values()])
        half = stats.t.ppf(0.975, 2) * math.sqrt(rates.var(ddof=1) / 3)
        assert score[name]['value'] == pytest.approx(rates.mean())
        assert score[name]['low'] == pytest.approx(max(0, rates.mean() - half))
        assert score[name]['high'] == pytest.approx(min(1, rates.mean() + half))
    assert score['raters'][1]['real_wrong'] == 2
    assert score['raters'][1]['real_shown'] == 5
    assert score['protocol']['num_practice'] == 10
    assert score['left_out'] == []


def test_answers_and_keys_are_not_overwritten(study, write, capsys):
    answers = write('a.json', make_answers(study, 'ana'))
    key = (study / 'key.json').read_bytes()
    before = answers.read_bytes()
    for out in (answers, study / 'key.json'):
        arguments = ['--score', answers, '--study', study, '--out', out]
        assert main([str(argument) for argument in arguments]) == 2
        assert f'{out} is read and would be overwritten' in capsys.readouterr().err
    assert answers.read_bytes() == before
    assert (study / 'key.json').read_bytes() == key


@pytest.mark.parametrize(
    ('wrong', 'shown', 'why'),
    [([9], [50], 'one rater'), ([0, 0, 0], [50] * 3, '3 raters with the same rate')],
)
def test_wilson_where_raters_do_not_differ(wrong, shown, why):
    rate = estimate(wrong, shown)
    z, n, p = stats.norm.ppf(0.975), sum(shown), sum(wrong) / sum(shown)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert rate['value'] == pytest.approx(p)
    assert rate['low'] == pytest.approx(centre - half, abs=1e-9)
    assert rate['high'] == pytest.approx(centre + half)
    assert 'Wilson' in rate['interval']
    assert why in rate['interval']


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth, covered = 0.2, []
    for _ in range(400):
        rates = rng.beta(8, 32, size=20)
        rate = estimate(rng.binomial(50, rates).tolist(), [50] * 20)
        covered.append(rate['low'] <= truth <= rate['high'])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


def test_images_shown_too_long_or_cut_short_do_not_count(study, write, capsys):
    answers = make_answers(study, 'ana', wrong_real=2)
    counted = [trial for trial in answers['trials'] if not trial['practice']]
    wrong = [t for t in counted if t['kind'] == 'real' and t['answer'] == 'generated']
    wrong[0]['exposure_ms'] = None
    wrong[1]['exposure_ms'] = 1251
    file = write('ana.json', answers)
    score = score_answers([file])
    assert score['R2G']['value'] == 0
    assert score['raters'][0]['real_shown'] == 3
    assert score['raters'][0]['badly_shown'] == 2
    assert main(['--score', str(file)]) == 0
    assert '2 answers not counted' in capsys.readouterr().out
    for trial in counted:
        trial['exposure_ms'] = 700
    write('ana.json', answers)
    with pytest.raises(ValueError, match=r'ana\.json: no image of a kind was shown for the right'):
        score_answers([file])


def cut(answers):
    del answers['trials'][7:]


def swap_kind(answers):
    answers['trials'][12].update(kind='generated')
    answers['trials'][17].update(kind='real')


def repeat_image(answers):
    answers['trials'][3] = answers['trials'][2]


def set_trial(**values):
    return lambda answers: answers['trials'][2].update(values)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (cut, 'incomplete: 7 of 20 images are answered'),
        (swap_kind, 'not those of study'),
        (repeat_image, 'an image was answered twice'),
        (lambda answers: answers['protocol'].update(exposure_ms=500), 'not those of study'),
        (lambda answers: answers['protocol'].update(colour=1), 'colour'),
        (lambda answers: answers.update(protocol=None), 'protocol'),
        (lambda answers: answers.update(format='x'), 'no answers of a user study'),
        (lambda answers: answers.pop('trials'), "has no 'trials'"),
        (lambda answers: answers.update(trials=5), "'trials' must be a list"),
        (lambda answers: answers.update(rater=''), "'rater' must be a name"),
        (lambda answers: answers['trials'].__setitem__(2, 5), 'trial 3 is malformed'),
        (set_trial(more=1), 'trial 3 is malformed'),
        (set_trial(answer=None), "trial 3: 'answer' must be"),
        (set_trial(answer=[]), "trial 3: 'answer' must be"),
        (set_trial(exposure_ms='1'), "trial 3: 'exposure_ms' must be"),
        (set_trial(exposure_ms=float('nan')), "trial 3: 'exposure_ms' must be"),
        (set_trial(response_ms=-1), "trial 3: 'response_ms' must be"),
        (set_trial(practice=False), "trial 3: 'practice' is False"),
        (set_trial(practice='yes'), "trial 3: 'practice' must be"),
        (set_trial(image=['a']), "trial 3: 'practice' must be true or false, 'image' a text"),
    ],
)
def test_what_cannot_be_used_is_named_and_left_out(study, write, change, message, capsys):
    answers = make_answers(study, 'bad', 5, 5)
    change(answers)
    good = write('good.json', make_answers(study, 'good'))
    bad = write('bad.json', answers)
    assert main(['--score', str(bad), str(good)]) == 0
    printed = capsys.readouterr()
    assert 'left out:' in printed.err
    assert f'{bad}: ' in printed.err
    assert message in printed.err
    assert '1 rater, 10 answers' in printed.out
    assert main(['--score', str(bad)]) == 2
    assert 'there are no answers to score' in capsys.readouterr().err


@pytest.mark.parametrize('content', [b'', b'{"format": "pg2', b'\xff\xfe\x00', b'[1]', b'null'])
def test_files_that_are_something_else(study, write, tmp_path, content):
    (tmp_path / 'bad.json').write_bytes(content)
    good = write('good.json', make_answers(study, 'good'))
    score = score_answers([tmp_path / 'bad.json', tmp_path / 'absent.json', tmp_path, good])
    assert score['num_raters'] == 1
    assert [line.partition(': ')[0] for line in score['left_out']] == [
        str(tmp_path / 'bad.json'),
        str(tmp_path / 'absent.json'),
        str(tmp_path),
    ]


def test_a_rater_counts_once(study, write):
    files = [
        write('a.json', make_answers(study, 'ana', 1)),
        write('a (1).json', make_answers(study, 'ana', 1)),
        write('b.json', make_answers(study, 'ana', 4)),
    ]
    score = score_answers(files)
    assert score['num_raters'] == 1
    assert score['R2G']['value'] == pytest.approx(0.2)
    assert "a (1).json: the same answers of rater 'ana'" in score['left_out'][0]
    assert "b.json: different answers of rater 'ana'" in score['left_out'][1]


def test_answers_to_another_study_are_refused(study, write, capsys):
    files = [
        write('ana.json', make_answers(study, 'ana')),
        write('ben.json', make_answers(study.parent / 'other', 'ben')),
    ]
    assert main(['--score', *map(str, files)]) == 2
    error = capsys.readouterr().err
    assert 'belong to 2 studies' in error
    assert 'ana.json' in error
    assert 'ben.json' in error
    assert main(['--score', *map(str, files), '--study', str(study)]) == 0
    printed = capsys.readouterr()
    assert 'ben.json: of study' in printed.err
    assert '1 rater,' in printed.out
    assert main(['--score', str(files[0]), '--study', str(study.parent)]) == 2
    assert 'key.json does not exist: name the folder' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('', 'is a folder, give the files in it: '),
        ('*.json', 'no file matches, give the files'),
        ('ana.json', 'ana.json: does not exist'),
    ],
)
def test_what_is_no_file_is_told(tmp_path, capsys, name, message):
    assert main(['--score', str(tmp_path / name)]) == 2
    assert message in capsys.readouterr().err
