"""A person who is annotated twice, as in COCO: one source, and nothing of the old pose stays."""

import json

import numpy as np
from attempt_helpers import outcomes

from pg2aug.expansion import ImageFolder, SourceFilter, Synthesised, load_sources
from pg2aug.expansion.sources.sources import ANNOTATED_TWICE
from pg2aug.expansion.write.coco import new_entries


def annotate_twice(couples):
    """Annotate each person of the first image again, some pixels apart; the ids of the new ones."""
    content = json.loads(couples[0].read_text())
    rng, ids = np.random.default_rng(0), {}
    image_id = content['annotations'][0]['image_id']
    for annotation in [a for a in content['annotations'] if a['image_id'] == image_id]:
        values = np.reshape(annotation['keypoints'], (-1, 3)).astype(float)
        values[:, :2] += np.where(values[:, 2:] > 0, rng.normal(0, 1, (17, 2)).round(1), 0)
        values[5] = 0
        number = annotation['id'] + 5000
        double = dict(annotation, id=number, keypoints=values.ravel().tolist(), num_keypoints=16)
        content['annotations'].insert(0, double)
        ids[annotation['id']] = number
    couples[0].write_text(json.dumps(content))
    return image_id, ids


def test_a_person_annotated_twice_is_one_source(make_job, couples):
    before = [person['id'] for person in make_job().sources.persons]
    _, ids = annotate_twice(couples)
    job = make_job()
    # The annotations with the more joints count, wherever they are.
    assert [person['id'] for person in job.sources.persons] == before
    assert [a['id'] for a in job.sources.posed] == before
    left_out = job.sources.left_out[ANNOTATED_TWICE]
    assert left_out['count'] == 2
    assert left_out['first'].endswith(f'the person of annotation {max(ids)}')
    skeleton, folder = job.synthesizer.skeleton, ImageFolder(str(couples[1]))
    alone = load_sources(couples[0], folder, skeleton, source_filter=SourceFilter(max_overlap=0.9))
    assert [person['id'] for person in alone.persons] == before


def test_no_annotation_of_the_old_pose_stays(make_job, couples):
    plain = [o for o in outcomes(make_job(), 24, 8) if isinstance(o, Synthesised)]
    image_id, ids = annotate_twice(couples)
    job = make_job()
    made = [o for o in outcomes(job, 24, 8) if isinstance(o, Synthesised)]
    assert len(made) == len(plain)
    seen = 0
    for before, outcome in zip(plain, made, strict=True):
        # Nobody stands in front who did not before.
        np.testing.assert_array_equal(outcome.plan.front_radius > 0, before.plan.front_radius > 0)
        person = job.sources.persons[outcome.attempt.person]
        _, entries = new_entries(job.sources, outcome, job.synthesizer.skeleton, {})
        new = next(e for e in entries if 'pg2aug' in e)
        if person['image_id'] != image_id:
            assert 'removed_annotation_ids' not in new['pg2aug']
            continue
        seen += 1
        assert new['pg2aug']['removed_annotation_ids'] == [ids[person['id']]]
        other, double = next(pair for pair in ids.items() if pair[0] != person['id'])
        assert {e['id'] for e in entries if 'pg2aug' not in e} == {other, double}
    assert seen
