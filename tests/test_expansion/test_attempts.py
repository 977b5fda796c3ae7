import numpy as np
import pytest
from attempt_helpers import first_attempts, outcomes, run_attempts, source_image

from pg2aug.augment.synthesis.whole_image import affected_window
from pg2aug.expansion import Refused, Synthesised
from pg2aug.poses import Skeleton

SIDE_ON = dict(max_view_change=30.0)


@pytest.mark.parametrize('batch_size', [7, 100])
def test_outcomes_do_not_depend_on_the_batch(make_job, batch_size):
    job = make_job()
    expected, found = outcomes(job, 9, 1), outcomes(job, 9, batch_size)
    assert [type(outcome) for outcome in found] == [type(outcome) for outcome in expected]
    assert sum(isinstance(outcome, Synthesised) for outcome in found) >= 5
    for outcome, other in zip(found, expected, strict=True):
        assert outcome.attempt == other.attempt
        if isinstance(outcome, Synthesised):
            np.testing.assert_allclose(outcome.image, other.image.astype(int), atol=1)


def test_an_attempt_comes_out_the_same_without_those_before_it(make_job):
    job = make_job()
    late = run_attempts(job, first_attempts(job, 6)[4:])
    for outcome, other in zip(outcomes(job, 6, 2)[4:], late, strict=True):
        assert type(outcome) is type(other)
        if isinstance(outcome, Synthesised):
            np.testing.assert_array_equal(outcome.image, other.image)


def test_only_the_person_and_its_surroundings_change(make_job):
    job = make_job()
    made = [o for o in outcomes(job, 12, 4) if isinstance(o, Synthesised)]
    partial = 0
    for outcome in made:
        left, top, right, bottom = affected_window(outcome.plan)
        outside = np.ones(outcome.image.shape[:2], bool)
        outside[top:bottom, left:right] = False
        partial += outside.any()
        source = source_image(job, outcome)
        np.testing.assert_array_equal(outcome.image[outside], source[outside])
        assert (outcome.image != source).any()
    assert partial > 0


def test_the_label_check_speaks_by_its_joints(make_job):
    class Check:
        def __call__(self, synthesis):
            assert isinstance(synthesis.skeleton, Skeleton)
            passed = synthesis.visible > -1
            passed[:, 0] = False
            return passed

    job = make_job()
    job.synthesizer.check = Check()
    made = [o for o in outcomes(job, 8, 4) if isinstance(o, Synthesised)]
    assert made
    for outcome in made:
        expected = outcome.plan.target_visible > 0
        expected[0] = False
        np.testing.assert_array_equal(outcome.joints_ok, expected)


def test_poses_from_too_different_a_side_are_refused(make_job):
    free, capped = (outcomes(make_job(**s), 12, 4) for s in ({}, SIDE_ON))
    refused = [o for o in capped if isinstance(o, Refused) and 'degrees' in o.detail]
    assert len(refused) > 2
    assert {o.reason for o in refused} == {'the person cannot take the pose'}
    assert not any(isinstance(o, Refused) and 'degrees' in o.detail for o in free)


def test_people_keep_their_limb_proportions(make_job):
    job = make_job()
    assert job.typical.shape == (11,)
    assert (job.typical > 0).all()
    (made, *_) = [o for o in outcomes(job, 8, 4) if isinstance(o, Synthesised)]
    # Neither is it the bank's pose moved and scaled: its limbs differ by more than one factor.
    limbs = np.array(job.synthesizer.skeleton.limbs)
    shown = made.plan.target_visible > 0
    limbs = limbs[shown[limbs].all(axis=1)]
    target = job.bank.keypoints[made.attempt.pose]
    lengths = [
        np.linalg.norm(np.subtract(*pose[limbs].transpose(1, 0, 2)), axis=1)
        for pose in (target, made.plan.target_keypoints)
    ]
    factors = lengths[1] / lengths[0]
    assert factors.max() / factors.min() > 1.02
