import numpy as np

from pg2aug.poses import Skeleton

COCO_CATEGORY = {
    'id': 1,
    'name': 'person',
    'keypoints': [
        *('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear'),
        *('left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow'),
        *('left_wrist', 'right_wrist', 'left_hip', 'right_hip'),
        *('left_knee', 'right_knee', 'left_ankle', 'right_ankle'),
    ],
    'skeleton': [
        *([16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7], [6, 8]),
        *([7, 9], [8, 10], [9, 11], [2, 3], [1, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 7]),
    ],
}
# One unit is the length of the torso; y points down.
STANDING = np.array(
    [
        *([0, -1.5], [0.08, -1.6], [-0.08, -1.6], [0.18, -1.55], [-0.18, -1.55]),
        *([0.35, -1.1], [-0.35, -1.1], [0.5, -0.5], [-0.5, -0.5], [0.55, 0.0], [-0.55, 0.0]),
        *([0.2, 0.0], [-0.2, 0.0], [0.22, 0.9], [-0.22, 0.9], [0.22, 1.7], [-0.22, 1.7]),
    ]
)
LEGS = [13, 14, 15, 16]
COCO = Skeleton.from_coco_category(COCO_CATEGORY)


def people(count: int, up: int = 1, jitter: float = 0.04, seed: int = 0) -> np.ndarray:
    """A crowd of one pose: jittered, at random sizes and places; `up` is -1 for handstands."""
    rng = np.random.default_rng(seed)
    poses = STANDING * [1, up] + rng.normal(0, jitter, (count, 17, 2))
    sizes = rng.uniform(30, 300, (count, 1, 1))
    return poses * sizes + rng.uniform(0, 1000, (count, 1, 2))
