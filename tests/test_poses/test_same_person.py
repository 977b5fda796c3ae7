import numpy as np
import pytest
from pose_samples import COCO, STANDING

from pg2aug.poses.same_person import annotated_twice, annotations_twice, same_person

NAMES = COCO.keypoint_names
DIAGONAL = float(np.hypot(*np.ptp(STANDING, axis=0)))
COCO_SIGMAS = {
    **dict(nose=0.026, eye=0.025, ear=0.035, shoulder=0.079, elbow=0.072),
    **dict(wrist=0.062, hip=0.107, knee=0.087, ankle=0.089),
}


def person(pose=STANDING, size=100.0, shift=(0, 0), flags=2):
    keypoints = np.asarray(pose) * size + [300, 300] + np.asarray(shift)
    return np.concatenate([keypoints, np.broadcast_to(flags, 17)[:, None]], axis=1)


def reference_oks(first, second):
    """COCO's OKS, joint by joint, over those labelled in both."""
    shown = [p[p[:, 2] > 0, :2] for p in (first, second)]
    area = 0.3 * max(float((np.ptp(s, axis=0) ** 2).sum()) for s in shown)
    terms = []
    for name, a, b in zip(NAMES, first, second, strict=True):
        if a[2] > 0 and b[2] > 0:
            sigma = COCO_SIGMAS[name.split('_')[-1]]
            squared = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
            terms.append(np.exp(-squared / (2 * area * (2 * sigma) ** 2)))
    return float(np.mean(terms))


def test_it_is_cocos_similarity_that_decides():
    rng = np.random.default_rng(0)
    ours, theirs = person(), []
    for spread in np.linspace(1, 60, 40):
        other = person(flags=rng.choice([0, 1, 2], 17, p=[0.2, 0.3, 0.5]))
        other[:, :2] += rng.normal(0, spread, (17, 2))
        theirs.append(other)
    found = same_person(np.array(theirs), ours, NAMES)
    assert found.tolist() == [reference_oks(ours, other) >= 0.75 for other in theirs]
    assert 5 < found.sum() < 35


@pytest.mark.parametrize(
    'other',
    [
        person(shift=(0.06 * 100 * DIAGONAL, 0)),  # a twin half hidden behind
        person(size=85),  # a smaller one in the same place, before or behind
        person(STANDING * [-1, 1]),  # back to back
        person(STANDING + 0.3 * (np.arange(17)[:, None] < 5)),
    ],
)
def test_two_people_who_overlap_strongly_are_two(other):
    assert not same_person(other[None], person(), NAMES).any()


def test_what_is_unlabelled_or_not_finite_is_not_compared():
    other = person()
    other[:4], other[4, 2], other[5, 0] = np.nan, 0, np.inf
    other[4, :2] = 9e9
    assert same_person(other[None], person(), NAMES).all()
    assert not same_person(np.zeros((1, 17, 3)), person(), NAMES).any()


def test_of_few_joints_the_boxes_must_agree():
    few = np.zeros(17)
    few[5:9] = 2
    ours, other = person(flags=few), person(shift=(2, 0))
    box = np.array([250, 100, 100, 400])
    for boxes, same in (([box], True), ([box * [1, 1, 1, 1.5]], False), ([[np.nan] * 4], True)):
        found = same_person(other[None], ours, NAMES, np.array(boxes, float), box)
        assert found.tolist() == [same]
    assert same_person(other[None], person(), NAMES, box[None] + 300, box).all()


def test_the_first_of_each_person_in_an_image_counts():
    people = np.array([person(), person(shift=(400, 0)), person(shift=(1, 1)), person()])
    images = [1, 1, 1, 2]
    assert annotated_twice(people, images, NAMES) == [(2, 0)]
    assert annotated_twice(people, [1] * 4, NAMES) == [(2, 0), (3, 0)]
    entries = [
        dict(image_id=image, keypoints=p.ravel().tolist(), bbox=[0, 0, 9, 9])
        for image, p in zip(images, people, strict=True)
    ]
    strange = [{}, dict(image_id=1, keypoints=['a'] * 51), dict(image_id=[], keypoints=[1] * 51)]
    crowd = dict(entries[0], iscrowd=1)
    assert annotations_twice([*strange, crowd, *entries], NAMES) == [(6, 4)]
