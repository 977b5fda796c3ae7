from dataclasses import replace

import numpy as np
import pytest
import torch
from augment_world import PADDING, SIZE, SKELETON, make_figure

from pg2aug.augment import AppearanceCheck, Synthesis
from pg2aug.datasets.crop import crop_matrix, crop_person, transform_keypoints
from pg2aug.figures import RARE_FAMILIES
from pg2aug.registry import MODELS


def crop(figure):
    """Image (1, 3, h, w), keypoints and visibility of a figure in its own crop."""
    x, y, w, h = figure.bbox
    matrix = crop_matrix(np.array([x, y, x + w, y + h]), SIZE, PADDING)
    image = crop_person(figure.image, matrix, SIZE).transpose(2, 0, 1).copy()
    keypoints = transform_keypoints(figure.keypoints, matrix)
    shown = (figure.visible > 0).astype(np.float32)
    return [torch.from_numpy(array)[None] for array in (image, keypoints, shown)]


def synthesis_of(person_id, family):
    """A synthesis that is perfect: the true person in the true pose."""
    condition = crop(make_figure(person_id, 'standing', seed=person_id))
    target = crop(make_figure(person_id, family, seed=person_id + 50))
    return Synthesis(
        persons=target[0].float(),
        keypoints=target[1],
        visible=target[2],
        conditions=condition[0].float(),
        condition_keypoints=condition[1],
        condition_visible=condition[2],
        skeleton=SKELETON,
    )


@pytest.fixture(scope='module')
def syntheses():
    return [synthesis_of(i, RARE_FAMILIES[i % len(RARE_FAMILIES)]) for i in range(30)]


def joints_and_persons_passed(check, syntheses):
    """Share of labelled joints that pass, and of persons with 7 of 10 joints passed."""
    passed = torch.cat([check(synthesis) for synthesis in syntheses])
    labelled = torch.cat([synthesis.visible > 0 for synthesis in syntheses])
    persons = passed.sum(dim=1) / labelled.sum(dim=1) >= 0.7
    return passed.sum() / labelled.sum(), persons.float().mean()


def test_the_true_person_passes_and_a_copy_of_the_condition_does_not(syntheses):
    check = AppearanceCheck()
    copies = [replace(s, persons=s.conditions) for s in syntheses]
    true_joints, true_persons = joints_and_persons_passed(check, syntheses)
    copied_joints, copied_persons = joints_and_persons_passed(check, copies)
    assert true_joints > 0.8
    assert copied_joints < 0.4
    assert true_persons > 0.8
    assert copied_persons < 0.4


def test_joints_that_lie_in_the_background_fail(syntheses):
    # The persons' colours still vary as they should, but for the arms that were lost.
    check = AppearanceCheck(max_distance=30, min_correlation=-1)
    wrists = [9, 10]
    lost = []
    for synthesis in syntheses:
        keypoints = synthesis.keypoints.clone()
        keypoints[0, wrists] = torch.tensor([[1.0, 1.0], [46.0, 62.0]])
        lost.append(replace(synthesis, keypoints=keypoints))
    before, after = (torch.cat([check(s) for s in group]) for group in (syntheses, lost))
    assert before[:, wrists].float().mean() > after[:, wrists].float().mean() + 0.2
    others = [k for k in range(17) if k not in wrists]
    assert torch.equal(before[:, others], after[:, others])


@pytest.mark.parametrize('smear', ['grey', 'blurred', 'somebody else'])
def test_persons_whose_colours_do_not_vary_as_the_sources_are_refused(syntheses, smear):
    mean = [s.persons.mean(dim=(2, 3), keepdim=True).expand_as(s.persons) for s in syntheses]
    made = dict(
        grey=[torch.full_like(s.persons, 128.0) for s in syntheses],
        blurred=mean,
    )
    made['somebody else'] = [255 - s.persons for s in syntheses]
    fakes = [replace(s, persons=p) for s, p in zip(syntheses, made[smear], strict=True)]
    joints, _ = joints_and_persons_passed(AppearanceCheck(max_distance=255), fakes)
    assert joints < 0.05
    joints, _ = joints_and_persons_passed(
        AppearanceCheck(max_distance=255, min_correlation=-1), fakes
    )
    assert joints > 0.95


def test_joints_without_a_label_never_pass(syntheses):
    visible = torch.ones(1, 17)
    visible[0, [2, 9]] = 0
    synthesis = replace(syntheses[0], visible=visible)
    passed = AppearanceCheck(max_distance=255, min_correlation=-1)(synthesis)[0]
    assert not passed[[2, 9]].any()
    assert passed.sum() == 15


def plain(condition_visible):
    """Two joints apart, wrist 9 over red and wrist 10 over blue, in both images."""
    image = torch.zeros(1, 3, 64, 48)
    image[:, 2, :, :24], image[:, 0, :, 24:] = 255, 255
    keypoints = torch.full((1, 17, 2), 30.0)
    keypoints[0, 9], keypoints[0, 10] = torch.tensor([8.0, 30]), torch.tensor([40.0, 30])
    return Synthesis(
        image, keypoints, torch.ones(1, 17), image, keypoints, condition_visible, SKELETON
    )


def test_a_joint_that_the_condition_hides_is_compared_with_its_mirrored_partner():
    check = AppearanceCheck(max_distance=30, min_correlation=-1)
    seen = torch.ones(1, 17)
    assert check(plain(seen))[0, [9, 10]].tolist() == [True, True]
    hidden = seen.clone()
    hidden[0, 9] = 0
    # The left wrist is red here, its only witness, the right wrist, blue.
    assert check(plain(hidden))[0, [9, 10]].tolist() == [False, True]
    mirrored = plain(hidden)
    mirrored.keypoints[0, 9] = mirrored.keypoints[0, 10]
    assert check(mirrored)[0, [9, 10]].tolist() == [True, True]


def test_a_joint_without_any_witness_fails():
    hidden = torch.ones(1, 17)
    hidden[0, [9, 10]] = 0
    passed = AppearanceCheck(max_distance=255, min_correlation=-1)(plain(hidden))[0]
    assert not passed[[9, 10]].any()
    assert passed.sum() == 15


def test_a_joint_that_is_hidden_on_both_sides_fails():
    """As the knees of somebody who sits at a table, which is what the limb warp makes legs of."""
    flags = torch.full((1, 17), 2.0)
    flags[0, [9, 10]] = 1
    passed = AppearanceCheck(max_distance=255, min_correlation=-1)(plain(flags))[0]
    assert not passed[[9, 10]].any()
    assert passed.sum() == 15


def test_hidden_joints_of_the_condition_are_not_read():
    hidden = torch.ones(1, 17)
    hidden[0, 9] = 0
    synthesis = plain(hidden)
    other = synthesis.condition_keypoints.clone()
    other[0, 9] = torch.tensor([3.0, 60])
    moved = replace(synthesis, condition_keypoints=other)
    check = AppearanceCheck(max_distance=30, min_correlation=-1)
    assert torch.equal(check(moved), check(synthesis))


def test_what_is_in_front_of_a_joint_is_not_held_against_it():
    flags = torch.full((1, 17), 2.0)
    synthesis = plain(flags)
    x, y = synthesis.keypoints[0, 9].round().int().tolist()
    persons = synthesis.persons.clone()
    persons[..., y - 6 : y + 7, x - 6 : x + 7] = 255
    check = AppearanceCheck(max_distance=30, min_correlation=-1)
    behind = replace(synthesis, persons=persons)
    assert not check(behind)[0, 9]
    flags = flags.clone()
    flags[0, 9] = 1
    assert check(replace(behind, visible=flags))[0, 9]
    # But not where the person is none.
    strict = AppearanceCheck(max_distance=30, min_correlation=1)
    assert not strict(replace(behind, visible=flags))[0, 9]


def test_a_joint_hidden_in_the_condition_is_compared_with_its_partner():
    flags = torch.full((1, 17), 2.0)
    synthesis = plain(flags)
    # Both wrists are blue, but for what is in front of the left one in the condition.
    synthesis.keypoints[0, 9] = synthesis.keypoints[0, 10]
    covered = replace(synthesis, condition_keypoints=plain(flags).condition_keypoints)
    check = AppearanceCheck(max_distance=30, min_correlation=-1)
    assert not check(covered)[0, 9]
    flags = flags.clone()
    flags[0, 9] = 1
    assert check(replace(covered, condition_visible=flags))[0, 9]


@pytest.mark.parametrize('offset', [20, 60])
def test_max_distance_is_in_grey_levels(offset):
    synthesis = plain(torch.ones(1, 17))
    grey = torch.full_like(synthesis.persons, 100)
    darker = replace(synthesis, persons=grey, conditions=grey + offset)
    for limit, passes in ((offset + 1, True), (offset - 1, False)):
        check = AppearanceCheck(max_distance=limit, min_correlation=-1)
        assert (check(darker) == passes).all()


@pytest.mark.parametrize('value', [0, -3, 256])
def test_a_distance_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match=rf'max_distance must be in \(0, 255\], got {value}'):
        AppearanceCheck(max_distance=value)


@pytest.mark.parametrize('value', [-1.1, 2])
def test_a_correlation_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match=rf'min_correlation must be in \[-1, 1\], got {value}'):
        AppearanceCheck(min_correlation=value)


def test_a_config_builds_it():
    check = MODELS.build(dict(type='AppearanceCheck', max_distance=12, _scope_='pg2aug'))
    assert isinstance(check, AppearanceCheck)
    assert check.max_distance == 12
