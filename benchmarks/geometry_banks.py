"""For ``pose_geometry.py``: what makes a pose of a bank rare that should not."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
from geometry_people import joints
from pose_bank import sample_poses
from scipy.stats import spearmanr

from pg2aug.figures.identity import sample_identity
from pg2aug.figures.poses import COMMON_FAMILIES, RARE_FAMILIES, sample_pose
from pg2aug.poses import PoseBank, Skeleton
from pg2aug.poses.bank.mixture import gmm_rarity
from pg2aug.poses.bank.rarity import knn_rarity
from pg2aug.poses.bank.sampling import rarity_weights
from pg2aug.poses.scale import body_scales, limb_lengths, normalize_poses, typical_limb_lengths

# The joints of OpenPose's 18, in which the re-identification files are annotated.
OPENPOSE = {
    'keypoints': [
        *('nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder'),
        *('left_elbow', 'left_wrist', 'right_hip', 'right_knee', 'right_ankle', 'left_hip'),
        *('left_knee', 'left_ankle', 'right_eye', 'left_eye', 'right_ear', 'left_ear'),
    ],
    'skeleton': [
        *([2, 3], [2, 6], [3, 4], [4, 5], [6, 7], [7, 8], [2, 9], [9, 10], [10, 11], [2, 12]),
        *([12, 13], [13, 14], [2, 1], [1, 15], [15, 17], [1, 16], [16, 18]),
    ],
}


def corrupt(
    keypoints: np.ndarray, joints_wrong: int, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Move joints of some poses anywhere in the person's box.

    Args:
        keypoints: ``(N, K, 2)``.
        joints_wrong: Joints to move in each.
        share: Of the poses, in [0, 1].
        rng: Draws the poses, the joints and their places.

    Returns:
        Keypoints ``(N, K, 2)`` and the indices of the corrupted poses.
    """
    keypoints = keypoints.copy()
    wrong = rng.choice(len(keypoints), int(share * len(keypoints)), replace=False)
    for pose in wrong:
        low, high = keypoints[pose].min(axis=0), keypoints[pose].max(axis=0)
        moved = rng.choice(keypoints.shape[1], joints_wrong, replace=False)
        keypoints[pose, moved] = rng.uniform(low, high, (joints_wrong, 2))
    return keypoints, wrong


def weights_without_rules(keypoints: np.ndarray, skeleton: Skeleton, density: str) -> np.ndarray:
    """Weights ``(N,)`` by rarity alone, of fully labelled poses; none counts as an error."""
    visible = np.ones(keypoints.shape[:2], bool)
    lengths = limb_lengths(keypoints, visible, skeleton.limbs)
    scales = body_scales(lengths, typical_limb_lengths(lengths))
    poses = normalize_poses(keypoints, visible, scales).astype(np.float32)
    flip = skeleton.flip_indices
    if density == 'gmm':
        rarity = gmm_rarity(poses, visible, flip, mirror_invariant=True)
    else:
        rarity = knn_rarity(poses, visible, flip_indices=flip)
    return rarity_weights(rarity, 2.0, len(poses) / 10)


def wrong_labels(skeleton: Skeleton, count: int, repeats: int) -> dict[str, Any]:
    """How often corrupted poses are drawn, by their share: 1 is like all others.

    Args:
        skeleton: COCO's.
        count: People, a tenth of them in rare poses; 2% are corrupted.
        repeats: Crowds, each corrupted once; the mean is given, with the lowest and highest.
    """
    crowds, rows = [_crowd(count, seed) for seed in range(repeats)], {}
    for density in ('knn', 'gmm'):
        for moved in (1, 2, 4):
            drawn = [_drawn(crowd, moved, skeleton, density, n) for n, crowd in enumerate(crowds)]
            rows[f'{density}_{moved}'] = {
                name: {'mean': float(np.mean(v)), 'range': [float(min(v)), float(max(v))]}
                for name, v in zip(('all_rules', 'no_rule'), np.transpose(drawn), strict=True)
            }
    return {'people': count, 'repeats': repeats, 'times_their_share': rows}


def _crowd(count: int, seed: int) -> np.ndarray:
    """Joints ``(N, 17, 2)`` in pixels of procedural people, a tenth of them in rare poses."""
    rng, people = np.random.default_rng(seed), []
    for number in range(count):
        families = RARE_FAMILIES if rng.random() < 0.1 else COMMON_FAMILIES
        people.append(joints(sample_identity(number), sample_pose(str(rng.choice(families)), rng)))
    return np.stack(people) * 200


def _drawn(
    keypoints: np.ndarray, moved: int, skeleton: Skeleton, density: Any, seed: int
) -> tuple[float, float]:
    """Draws of corrupted poses by their share, with the bank's rules and without any."""
    keypoints, wrong = corrupt(keypoints, moved, 0.02, np.random.default_rng((1, seed)))
    visible, share = np.ones(keypoints.shape[:2]), len(wrong) / len(keypoints)
    bank = PoseBank.from_poses(keypoints, visible, skeleton, density=density)
    bare = weights_without_rules(keypoints, skeleton, density)
    return bank.weights[wrong].sum() / share, bare[wrong].sum() / share


def read_reid(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """All poses of a re-identification file: ``(N, 18, 2)`` float32 and visible ``(N, 18)``."""
    rows = [line.split(':') for line in path.read_text().splitlines()[1:]]
    # y comes before x.
    poses = np.array([[ast.literal_eval(row[k].strip()) for k in (2, 1)] for row in rows])
    keypoints = poses.transpose(0, 2, 1).astype(np.float32)
    return keypoints, (keypoints != -1).all(axis=-1)


def missing_joints(path: Path) -> dict[str, float]:
    """Mean number of labelled joints, of all poses and of the rarest tenth by either density."""
    keypoints, visible = read_reid(path)
    names = OPENPOSE['keypoints']
    shares = {
        f'missing_{part}s': float(1 - visible[:, [n.endswith(part) for n in names]].mean())
        for part in ('wrist', 'ankle')
    }
    enough = visible.sum(axis=1) >= len(names) / 2
    keypoints, visible = keypoints[enough], visible[enough]
    labelled, skeleton = visible.sum(axis=1), Skeleton.from_coco_category(OPENPOSE)
    found = {'poses': len(labelled), **shares, 'all': float(labelled.mean())}
    for density in ('knn', 'gmm'):
        bank = PoseBank.from_poses(keypoints, visible, skeleton, density=density)
        order = np.argsort(-np.nan_to_num(bank.rarity, nan=-1), kind='stable')
        found[f'rarest_tenth_{density}'] = float(labelled[order[: len(order) // 10]].mean())
    return found


def reference_sizes(skeleton: Skeleton, count: int) -> dict[str, Any]:
    """How well k-NN rarity against few poses agrees with that among all of them."""
    keypoints, visible = sample_poses(count)
    lengths = limb_lengths(keypoints, visible, skeleton.limbs)
    scales = body_scales(lengths, typical_limb_lengths(lengths))
    usable = scales > 0
    keypoints, visible = keypoints[usable], visible[usable]
    poses = normalize_poses(keypoints, visible, scales[usable]).astype(np.float32)
    rarity = {
        size: knn_rarity(poses, visible, flip_indices=skeleton.flip_indices, reference_size=size)
        for size in (1000, 2000, len(poses))
    }
    tenth = len(poses) // 10
    rarest = {size: set(np.argsort(-values)[:tenth].tolist()) for size, values in rarity.items()}
    return {
        'poses': len(poses),
        'rank_correlation_1000': float(spearmanr(rarity[1000], rarity[len(poses)])[0]),
        'rank_correlation_2000': float(spearmanr(rarity[2000], rarity[len(poses)])[0]),
        'same_rarest_tenth': len(rarest[1000] & rarest[2000]) / tenth,
    }
