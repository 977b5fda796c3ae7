import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from attempt_helpers import tree

from pg2aug.augment.eligibility import UnsuitableError
from pg2aug.expansion import PlanRequest, SourceFilter, make_draws, plan_expansion
from pg2aug.expansion.plan.expansion_plan import ITEM


def plan_of(job, seed=0, **request):
    request = PlanRequest(**request)
    return plan_expansion(*make_draws(job.sources, job.bank, request, seed), request)


def attempts_of(plan, count):
    """Person and pose of the first attempts at every item, and which are repeated."""
    columns = [plan.draws.attempt(plan.items, np.full(len(plan.items), n)) for n in range(count)]
    return [np.stack(values) for values in zip(*columns, strict=True)]


def test_a_plan_is_of_its_seed(make_job):
    job = make_job()
    first, again, other = (plan_of(job, seed, num=30).items for seed in (3, 3, 4))
    assert first.dtype == ITEM
    np.testing.assert_array_equal(first, again)
    assert (first['pose'] != other['pose']).any()


@pytest.mark.parametrize('request_', [dict(num=40), dict(num=40, balance=4), dict(per_image=3)])
def test_no_person_is_put_into_a_pose_twice(make_job, request_):
    plan = plan_of(make_job(), **request_)
    persons, poses, repeated = attempts_of(plan, 6)
    pairs = Counter(zip(persons[~repeated].tolist(), poses[~repeated].tolist(), strict=True))
    assert max(pairs.values()) == 1
    np.testing.assert_array_equal(persons[0], plan.items['person'])


def test_when_all_pairs_are_used_the_others_are_repeated(make_job):
    job = make_job()
    three = np.isin(np.arange(len(job.bank)), np.flatnonzero(job.bank.weights)[:3])
    job = replace(job, bank=job.bank.restrict(three))
    pairs = 3 * len(job.sources.persons)
    persons, poses, repeated = attempts_of(plan_of(job, num=2 * pairs), 1)
    assert repeated.sum() == pairs
    used = set(zip(persons[~repeated].tolist(), poses[~repeated].tolist(), strict=True))
    assert len(used) == pairs


def test_persons_take_turns_and_are_not_tried_again_at_once(make_job):
    job = make_job()
    people = len(job.sources.persons)
    plan = plan_of(job, num=4 * people)
    persons, _, _ = attempts_of(plan, 3)
    assert set(np.bincount(persons[0])) == {4}
    assert (persons[0] != persons[1]).mean() > 0.8


def images_of(job, persons):
    return Counter(job.sources.person_images[person] for person in persons.tolist())


def test_so_many_of_each_image(make_job):
    job = make_job()
    persons, _, _ = attempts_of(plan_of(job, per_image=3), 5)
    # Whatever is refused.
    for tried in persons:
        assert set(images_of(job, tried).values()) == {3}
        assert len(images_of(job, tried)) == 6
    assert (
        max(images_of(job, attempts_of(plan_of(job, per_image=3, num=10), 1)[0][0]).values()) <= 3
    )
    with pytest.raises(ValueError, match='ask for at most 18'):
        plan_of(job, per_image=3, num=19)


def test_balance_fills_what_is_rare(make_job):
    job = make_job()
    plan = plan_of(job, balance=6)
    counts = plan.summary['images_by_region']
    before, added = np.array(counts['before']), np.array(counts['added'])
    assert set(before + added) == {before.max()}
    assert len(plan.items) == added.sum() > 0
    _, poses, _ = attempts_of(plan, 4)
    regions = plan.draws.regions
    labels = np.full(len(job.bank), -1)
    for region in range(len(added)):
        labels[regions.poses[regions.starts[region] : regions.starts[region + 1]]] = region
    # Whatever is refused, another pose of the same region takes its place.
    for tried in poses:
        np.testing.assert_array_equal(labels[tried], plan.items['region'])
    np.testing.assert_array_equal(np.bincount(labels[poses[0]], minlength=len(added)), added)
    few = plan_of(job, balance=6, num=3).summary['images_by_region']
    assert sum(few['added']) == 3
    assert all(before[np.array(few['added']) > 0] <= np.sort(before)[2])


def test_the_tool_writes_the_plan_first(synthesize):
    status, out = synthesize('--balance', 4, num=6)
    assert status == 0
    plan = json.loads((out / 'plan.json').read_text())
    assert plan['items'] == 6 == sum(plan['images_by_region']['added'])
    items = np.load(out / 'plan.npy', allow_pickle=False)
    content = json.loads((out / 'person_keypoints.json').read_text())
    made = [a['pg2aug'] for a in content['annotations'] if 'pg2aug' in a]
    first = {m['item']: m for m in made if m['attempt'] == 0}
    assert first
    for item, provenance in first.items():
        for name in ('source_annotation_id', 'target_pose', 'seed'):
            assert items[name][item] == provenance[name]
    assert list(plan['columns']) == list(items.dtype.names)


def test_a_plan_alone(synthesize, capsys):
    status, out = synthesize('--balance', 4, '--plan-only', num=6)
    assert status == 0
    counts = json.loads((out / 'plan.json').read_text())['images_by_region']
    pairs = ', '.join(f'{n} + {m}' for n, m in zip(counts['before'], counts['added'], strict=True))
    printed = capsys.readouterr().out
    items = np.load(out / 'plan.npy')
    persons, poses = (len(set(items[name])) for name in ('source_annotation_id', 'target_pose'))
    assert f'6 images planned, of {persons} persons in {poses} poses -> {out}' in printed
    assert f'what is there + what is added: {pairs}\n' in printed
    assert set(tree(out)) == {'plan.json', 'plan.npy'}
    # The same command without it goes on, as if it had not stopped.
    assert synthesize('--balance', 4, num=6)[0] == 0
    assert tree(out) == tree(synthesize('--balance', 4, num=6, out='at_once')[1])


def test_nothing_to_make_is_told(synthesize, capsys):
    with pytest.raises(SystemExit):
        synthesize(num=None)
    assert 'say how many images: --num, --per-image or --balance' in capsys.readouterr().err
    assert synthesize('--balance', 1)[0] == 2
    assert 'balance must be at least 2, got 1' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('num', 'arguments'), [(10**10, ()), (10**30, ('--balance', 4)), (None, ('--per-image', 10**9))]
)
def test_more_than_can_be_planned_is_told(synthesize, capsys, num, arguments):
    status, out = synthesize(*arguments, num=num)
    assert status == 2
    assert 'images are more than an expansion can have, 100000000' in capsys.readouterr().err
    assert not out.exists()


def test_options_are_not_abbreviated(synthesize, capsys):
    with pytest.raises(SystemExit):
        synthesize('--see', 3)
    assert 'unrecognized arguments: --see 3' in capsys.readouterr().err


PERSON = dict(id=1, bbox=[10, 10, 20, 40], keypoints=[12, 12, 2] * 6 + [13, 13, 1] * 4 + [0, 0, 0])
IMAGE = dict(id=1, width=100, height=100)


@pytest.mark.parametrize(
    ('settings', 'reason'),
    [
        (dict(), None),
        (dict(min_size=40), None),
        (dict(min_size=41), 'smaller than 41 pixels'),
        (dict(max_hidden=0.4), None),
        (dict(max_hidden=0.39), 'more than 39% of its joints are hidden'),
        (dict(max_overlap=0.25), None),
        (dict(max_overlap=0.24), 'somebody else covers more than 24%'),
        (dict(truncated=False), None),
    ],
)
def test_filters(settings, reason):
    other = dict(id=2, bbox=[25, 0, 50, 30.0])
    other['bbox'] = [20, 30, 50, 50]
    source_filter = SourceFilter(**settings)
    if reason is None:
        source_filter.check(PERSON, [PERSON, other], IMAGE)
        return
    with pytest.raises(UnsuitableError, match=reason):
        source_filter.check(PERSON, [PERSON, other], IMAGE)


@pytest.mark.parametrize(
    'box', [[0, 10, 20, 40], [10, 60, 20, 40], [10, 0.5, 2, 2], [79, 9, 21, 9]]
)
def test_who_is_cut_off_by_the_border_is_left_out(box):
    with pytest.raises(UnsuitableError, match='cut off by the border'):
        SourceFilter(truncated=False).check(dict(PERSON, bbox=box), [], IMAGE)
    with pytest.raises(ValueError, match='has no width and height'):
        SourceFilter(truncated=False).check(PERSON, [], dict(id=7))


@pytest.mark.parametrize('box', [[1.5, 10, 20, 40], [10, 2, 20, 96], [58, 10, 40.5, 40]])
def test_who_is_two_pixels_from_the_border_is_whole(box):
    SourceFilter(truncated=False).check(dict(PERSON, bbox=box), [], IMAGE)


def test_filters_from_the_command_line(synthesize, couples, capsys):
    content = json.loads(couples[0].read_text())
    sizes = sorted(max(a['bbox'][2:]) for a in content['annotations'])
    status, out = synthesize('--min-size', sizes[6], num=4)
    assert status == 0
    large = {a['id'] for a in content['annotations'] if max(a['bbox'][2:]) >= sizes[6]}
    new = json.loads((out / 'person_keypoints.json').read_text())
    assert {
        a['pg2aug']['source_annotation_id'] for a in new['annotations'] if 'pg2aug' in a
    } <= large
    left_out = json.loads((out / 'refused.json').read_text())['sources_left_out']
    assert [found['count'] for found in left_out.values()] == [12 - len(large)]
    assert new['info']['source_filter']['min_size'] == sizes[6]
    assert synthesize('--max-overlap', 1.5, out='b')[0] == 2
    assert 'max_overlap must be in [0, 1], got 1.5' in capsys.readouterr().err
