import json

import numpy as np
import pytest
import torch
from attempt_helpers import outcomes
from pose_samples import COCO

from pg2aug.augment.people_in_front import NEIGHBOUR_RADIUS
from pg2aug.augment.synthesis.compositing import HOLE_RADIUS, PERSON_RADIUS
from pg2aug.expansion import Synthesised
from pg2aug.expansion.write.coco import new_entries
from pg2aug.expansion.write.remaining_people import (
    CoveredError,
    people_in_front_alpha,
    remaining_annotations,
)
from pg2aug.models.preprocessor import SUPPORT_RADIUS
from pg2aug.models.rasterize import body_alpha


def whole_image_mask(plan, skeleton, role, factor):
    return (
        body_alpha(
            torch.from_numpy(getattr(plan, f'{role}_keypoints'))[None],
            torch.from_numpy(plan.target_drawn if role == 'target' else plan.source_visible)[None],
            tuple(plan.image_size[::-1].astype(int)),
            skeleton,
            torch.from_numpy(getattr(plan, f'{role}_radius') * factor),
        )[0, 0].numpy()
        > 0.5
    )


def neighbours_mask(plan, skeleton):
    there = plan.front_radius > 0
    radius = torch.from_numpy(plan.front_radius[there] * NEIGHBOUR_RADIUS)
    arrays = (torch.from_numpy(a[there]) for a in (plan.front_keypoints, plan.front_visible))
    shape = tuple(plan.image_size[::-1].astype(int))
    return (body_alpha(*arrays, shape, skeleton, radius)[:, 0].numpy() > 0.5).any(axis=0)


def test_no_label_of_a_neighbour_outlives_its_pixels(make_job, couples):
    content = json.loads(couples[0].read_text())
    for right in content['annotations'][6:]:
        # Closer, and marked as hidden, so that nothing of them that lies on the other is in front.
        values = np.reshape(right['keypoints'], (-1, 3)).astype(float)
        values = np.where(values[:, 2:] > 0, values - [45, 0, 0], 0)
        right['keypoints'] = np.minimum(values, [np.inf, np.inf, 1]).ravel().tolist()
    couples[0].write_text(json.dumps(content))
    job = make_job()
    made = [o for o in outcomes(job, 24, 8) if isinstance(o, Synthesised)]
    skeleton, lost, kept = job.synthesizer.skeleton, 0, 0
    for outcome in made:
        _, annotations = new_entries(job.sources, outcome, skeleton, {})
        changed = whole_image_mask(outcome.plan, skeleton, 'source', HOLE_RADIUS)
        changed |= whole_image_mask(outcome.plan, skeleton, 'target', PERSON_RADIUS)
        changed &= ~neighbours_mask(outcome.plan, skeleton)
        person = job.sources.persons[outcome.attempt.person]
        (neighbour,) = [a for a in annotations if 'pg2aug' not in a]
        (before,) = [a for a in job.sources.neighbours[person['image_id']] if a is not person]
        old, new = (np.reshape(a['keypoints'], (-1, 3)) for a in (before, neighbour))
        for joint, label in zip(old, new, strict=True):
            covered = joint[2] and changed[round(joint[1]), round(joint[0])]
            np.testing.assert_array_equal(label, [0, 0, 0] if covered else joint)
            lost, kept = lost + bool(covered), kept + (not covered)
        assert neighbour['num_keypoints'] == (new[:, 2] > 0).sum()
    assert min(lost, kept) > 5


@pytest.fixture
def scene(make_job):
    """A plan, its skeleton, and points: in the hole alone, in the new person, in neither."""
    job = make_job()
    skeleton = job.synthesizer.skeleton
    plan = next(o.plan for o in outcomes(job, 16, 1) if isinstance(o, Synthesised))
    hole = whole_image_mask(plan, skeleton, 'source', HOLE_RADIUS)
    pasted = whole_image_mask(plan, skeleton, 'target', PERSON_RADIUS)
    near = whole_image_mask(plan, skeleton, 'target', SUPPORT_RADIUS)
    points = [np.argwhere(mask)[0][::-1] for mask in (hole & ~near, pasted, ~hole & ~near)]
    return plan, skeleton, [[float(x), float(y), 2] for x, y in points]


@pytest.mark.parametrize(
    ('remove_source', 'joints', 'shown'),
    [
        (True, (0, 1, 2, 2), (0, 0, 1, 1)),
        (False, (0, 1, 2, 2), (1, 0, 1, 1)),
        (True, (0, 1, 2), None),
        (False, (0, 1, 2), (1, 0, 1)),
        (True, (2, 2), (1, 1)),
    ],
)
def test_what_a_new_person_takes_from_a_neighbour(scene, remove_source, joints, shown):
    plan, skeleton, points = scene
    values = [value for joint in joints for value in points[joint]]
    person, thing = {'id': 1, 'keypoints': values}, {'id': 2}
    # The last one is labelled nowhere, whatever its coordinates.
    neighbour = {'id': 3, 'keypoints': [*values, *points[0][:2], 0], 'segmentation': [[1, 2]]}
    arguments = [person, thing, neighbour], person, plan, skeleton
    arguments = *arguments, people_in_front_alpha(plan, skeleton), remove_source
    if shown is None:
        with pytest.raises(CoveredError, match='2 of 3 joints of annotation 3'):
            remaining_annotations(*arguments)
        return
    first, second, left = remaining_annotations(*arguments)
    assert first is person
    assert second is thing
    assert left['segmentation'] == [[1, 2]]
    flags = np.reshape(left['keypoints'], (-1, 3))[:, 2]
    np.testing.assert_array_equal(flags, [*(2 * np.array(shown)), 0])
    assert (left is neighbour) == all(shown)
    if not all(shown):
        assert left['num_keypoints'] == sum(shown)


def test_joints_outside_the_image_or_without_a_place_are_let_be(scene):
    plan, skeleton, _ = scene
    values = [-5, 3, 2, 1e9, 1e9, 2, float('nan'), 4, 2]
    neighbour = {'id': 3, 'keypoints': values}
    in_front = people_in_front_alpha(plan, skeleton)
    assert remaining_annotations([neighbour], {}, plan, skeleton, in_front)[0] is neighbour


def test_nobody_is_painted_over(synthesize, couples):
    content = json.loads(couples[0].read_text())
    for left, right in zip(content['annotations'][:6], content['annotations'][6:], strict=True):
        # Back to back, and hidden: who replaces the one covers the other.
        values = np.reshape(left['keypoints'], (-1, 3))[list(COCO.flip_indices)]
        values[:, 2] = (values[:, 2] > 0) & (np.arange(17) > 4)
        values = np.where(values[:, 2:] > 0, values, 0)
        right['keypoints'], right['bbox'] = values.ravel().tolist(), left['bbox']
    couples[0].write_text(json.dumps(content))
    status, out = synthesize('--max-attempts', 2)
    assert status == 2
    refused = json.loads((out / 'refused.json').read_text())['refused']
    assert {r['reason'] for r in refused} == {'the new person covers somebody else'}
    assert 'joints of annotation' in refused[0]['detail']
    assert list((out / 'images').iterdir()) == []
