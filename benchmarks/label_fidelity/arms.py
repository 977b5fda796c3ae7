"""How persons are made, and what the judge sees in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.label_fidelity.worlds import Person
from pg2aug.augment import GeneratorFile, Synthesizer
from pg2aug.augment.checks.label_check import AppearanceCheck
from pg2aug.augment.checks.pose_model_check import confirmed_joints
from pg2aug.augment.person_plan import BOX_MARGIN, PersonPlan, UnsuitableError, plan_person
from pg2aug.augment.settings import SynthesisSettings
from pg2aug.datasets.crop import crop_matrix, transform_keypoints
from pg2aug.estimators.prediction import estimate_poses
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses import Skeleton, keypoints_bbox, recover_affine

PADDING, MIN_VISIBLE, PCK_THRESHOLD = 1.25, 8, 0.1
MIN_OKS, MIN_JOINTS_OK = 0.3, 0.7


@dataclass(frozen=True)
class Arm:
    """A way to make persons.

    Attributes:
        title: For people.
        training: Name of the generator's config, without its data and size; None without learning.
        remove_source: Whether the source is removed from the background first.
        refine: Whether G2 is used.
    """

    title: str
    training: str | None
    remove_source: bool = True
    refine: bool = True


ARMS = {
    'paper': Arm('PG2 as in the paper', 'pg2', remove_source=False),
    'foreground': Arm('+ person only', 'pg2-foreground', remove_source=False),
    'background': Arm('+ source removed', 'pg2-foreground'),
    'aligned': Arm('+ aligned, matte', 'pg2-aligned'),
    'aligned_stage1': Arm('the same, G1 only', 'pg2-aligned', refine=False),
    'self_pairs': Arm('aligned, self-pairs', 'pg2-self'),
    'limb_warp': Arm('limb warp, no learning', None),
    'copy': Arm('copy of the source', None),
    'true_low': Arm('true image, resolution of the crops', None),
}


@dataclass(frozen=True)
class Trial:
    """A person, the pose wanted, and the true image of that person in that pose.

    Attributes:
        plan: What synthesis starts from.
        rare: Whether the pose is a rare one.
        family: Its kind of pose.
        image: (h, w, 3) uint8 BGR, the source's image in the judge's frame around the target.
        matrix: (2, 3) image as loaded to that frame.
        keypoints: (K, 2) target pose in that frame.
        true_image: The true image in its own judge's frame.
        true_keypoints: (K, 2) the pose in that frame.
        true_aligned: The true image moved so that its joints are where the target's are.
    """

    plan: PersonPlan
    rare: bool
    family: str
    image: np.ndarray
    matrix: np.ndarray
    keypoints: np.ndarray
    true_image: np.ndarray
    true_keypoints: np.ndarray
    true_aligned: np.ndarray


def make_trial(
    source: Person,
    target: Person,
    skeleton: Skeleton,
    size: tuple[int, int],
    judge_size: tuple[int, int],
) -> Trial | None:
    """Plan a trial; None where the source or the pose is nothing to synthesise from."""
    image = source.read()
    try:
        plan = plan_person(
            image,
            source.bbox,
            source.keypoints,
            source.visible,
            target.keypoints,
            target.visible,
            skeleton,
            size,
            PADDING,
            MIN_VISIBLE,
        )
    except UnsuitableError:
        return None
    matrix = crop_matrix(plan.bbox, judge_size, PADDING)
    true_image = target.read()
    true_box = keypoints_bbox(target.keypoints, target.visible, BOX_MARGIN)
    true_matrix = crop_matrix(true_box, judge_size, PADDING)
    keypoints = transform_keypoints(plan.target_keypoints, matrix)
    affine, _ = recover_affine(target.keypoints, keypoints, plan.target_visible)
    return Trial(
        plan,
        target.rare,
        target.family,
        cv2.warpAffine(image, matrix, judge_size),
        matrix,
        keypoints,
        cv2.warpAffine(true_image, true_matrix, judge_size),
        transform_keypoints(target.keypoints, true_matrix),
        cv2.warpAffine(true_image, affine, judge_size),
    )


def synthesize(
    arm: Arm, generator: GeneratorFile, trials: Sequence[Trial], device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Persons in the judge's frames (N, h, w, 3) uint8, and which the cheap check accepts (N,)."""
    images = _to_tensor([trial.image for trial in trials])
    if arm is ARMS['copy']:
        return _to_array(images), np.ones(len(trials), bool)
    if arm is ARMS['true_low']:
        low = [_lower(trial.true_aligned, generator.size) for trial in trials]
        return np.stack(low), np.ones(len(trials), bool)
    model = generator.build()
    settings = SynthesisSettings(refine=arm.refine, remove_source=arm.remove_source)
    plans = [trial.plan for trial in trials]
    matrices = torch.from_numpy(np.stack([trial.matrix for trial in trials]))
    made = Synthesizer(model, None, settings, device=device)(images, plans, matrices)
    checked = Synthesizer(model, AppearanceCheck(), settings, device=device).generate(plans)
    return _to_array(made.images), checked.accepted.cpu().numpy()


def _lower(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image as sharp as a crop of that size over the same frame can be."""
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def judge_images(
    judge: Any, images: np.ndarray, keypoints: np.ndarray, visible: np.ndarray, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """What an estimator says of labelled images.

    Returns:
        Which joints it finds within a tenth of the diagonal of the box of the labelled joints,
        (N, K) bool, False where unlabelled; and which persons PoseModelCheck with that estimator,
        and PG2Augment's own share of joints, would accept, (N,) bool.
    """
    shown = torch.from_numpy(visible).to(device)
    wanted = torch.from_numpy(keypoints.astype(np.float32)).to(device)
    found, scores = estimate_poses(judge, _to_tensor(images).to(device), wanted, shown)
    limits = dict(max_distance=PCK_THRESHOLD, min_score=0.0)
    sigmas = torch.as_tensor(np.asarray(judge.dataset_meta['sigmas'], np.float32)).to(device)
    hits, confirmed = (
        confirmed_joints(found, scores, wanted, shown, sigmas, min_oks=min_oks, **limits)
        for min_oks in (0.0, MIN_OKS)
    )
    accepted = confirmed.sum(dim=1) >= MIN_JOINTS_OK * (shown > 0).sum(dim=1)
    return hits.cpu().numpy(), accepted.cpu().numpy()


def moved_joints(trials: Sequence[Trial]) -> np.ndarray:
    """Joints that no copy of the source can have in the right place: (N, K) bool.

    They are twice as far from their own place in the source as a joint that is found may be.
    """
    moved = []
    for trial in trials:
        plan = trial.plan
        both = (plan.source_visible > 0) & (plan.target_visible > 0)
        shown = plan.target_keypoints[plan.target_visible > 0]
        diagonal = np.linalg.norm(shown.max(axis=0) - shown.min(axis=0))
        distance = np.linalg.norm(plan.target_keypoints - plan.source_keypoints, axis=-1)
        moved.append(both & (distance > 2 * PCK_THRESHOLD * diagonal))
    return np.stack(moved)


def body_error(trials: Sequence[Trial], images: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Mean absolute difference from the true image on the body, in grey levels: (N,)."""
    keypoints = torch.from_numpy(np.stack([trial.keypoints for trial in trials]))
    visible = torch.from_numpy(np.stack([trial.plan.target_visible for trial in trials]))
    radius = [
        float(t.plan.target_radius[0] * np.sqrt(np.linalg.det(t.matrix[:, :2]))) for t in trials
    ]
    shape = images.shape[1], images.shape[2]
    alpha = body_alpha(keypoints, visible, shape, skeleton, torch.tensor(radius))[:, 0].numpy()
    truth = np.stack([trial.true_aligned for trial in trials]).astype(np.float32)
    error = np.abs(images.astype(np.float32) - truth).mean(axis=-1)
    return (error * alpha).sum(axis=(1, 2)) / np.maximum(alpha.sum(axis=(1, 2)), 1e-6)


def load_generator(arm: Arm, folder: Path | None, metainfo: dict[str, Any], size: tuple[int, int]):
    """The generator of an arm: the last checkpoint in its folder, or the warp."""
    if arm.training is None or folder is None:
        return GeneratorFile.from_config(
            dict(type='LimbWarpGenerator', metainfo=metainfo, size=size, padding=PADDING)
        )
    checkpoint = (folder / 'last_checkpoint').read_text().strip()
    return GeneratorFile.load(str(next(folder.glob('*.py'))), checkpoint)


def _to_tensor(images: Sequence[np.ndarray] | np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(list(images)).transpose(0, 3, 1, 2).copy()).float()


def _to_array(images: torch.Tensor) -> np.ndarray:
    return images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
