"""A batch of an MMPose model with persons still to be synthesised."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.model import ImgDataPreprocessor
from numpy.typing import NDArray
from torch import Tensor

from pg2aug.augment.person_plan import PersonPlan
from pg2aug.augment.sample import FINAL_KEYPOINTS, PLAN
from pg2aug.augment.synthesis.synthesizer import Result, Synthesizer
from pg2aug.augment.synthesis.transfer import send
from pg2aug.estimators.prediction import to_images, to_inputs
from pg2aug.poses import recover_affines

MAX_RESIDUAL_PX = 0.5
"""Distance by which keypoints may miss the recovered affine before it was none."""


@dataclass(frozen=True)
class DeferredBatch:
    """The samples of a batch that carry a plan.

    Attributes:
        inputs: (B, 3, H, W), the network's whole input batch, normalised.
        samples: The N data samples with a plan.
        indices: Their N places in the batch.
        plans: Their N plans.
        matrices: (N, 2, 3), image as loaded to network input; on the device of the inputs.
        orders: (N, K), for each final joint the joint of the plan: they differ where a sample was
            mirrored.
        on_device: ``places`` (N,) in the batch, ``orders``, and of the plans ``poses`` (N,) and
            ``labelled`` (N, K) bool, on the device of the inputs.
    """

    inputs: Tensor
    samples: list[Any]
    indices: list[int]
    plans: list[PersonPlan]
    matrices: Tensor
    orders: NDArray[np.int64]
    on_device: dict[str, Tensor]

    @classmethod
    def take(cls, output: dict[str, Any]) -> 'DeferredBatch | None':
        """Take the plans out of a preprocessed batch, so that nobody later trips over them.

        Args:
            output: Output of a ``PoseDataPreprocessor``.

        Returns:
            The batch; None if no sample of it carries a plan.

        Raises:
            ValueError: If what happened to a sample was no affine transform.
        """
        samples = output.get('data_samples') or []
        indices = [i for i, s in enumerate(samples) if PLAN in s.get('gt_instances', ())]
        if not indices:
            return None
        chosen = [samples[i] for i in indices]
        plans = [_take(sample, PLAN)[0] for sample in chosen]
        orders = [_joint_order(s, p) for s, p in zip(chosen, plans, strict=True)]
        found = _final_matrices(chosen, plans, orders)
        arrays = [
            dict(
                matrices=matrix.astype(np.float32),
                places=np.array(place),
                orders=order,
                poses=plan.pose_index[0],
                labelled=plan.target_visible > 0,
            )
            for place, matrix, plan, order in zip(indices, found, plans, orders, strict=True)
        ]
        sent = send(arrays, output['inputs'].device)
        matrices = sent.pop('matrices')
        return cls(output['inputs'], chosen, indices, plans, matrices, np.stack(orders), sent)

    def images(self, preprocessor: ImgDataPreprocessor) -> Tensor:
        """The samples' part of the inputs as (N, 3, H, W) float32 BGR in [0, 255]."""
        return to_images(self.inputs.index_select(0, self.on_device['places']), preprocessor)

    def synthesize(self, synthesizer: Synthesizer, preprocessor: ImgDataPreprocessor) -> Result:
        """Write the synthesised persons into the inputs, and the check's verdict into the labels.

        Args:
            synthesizer: What synthesises.
            preprocessor: The model's, which knows how its inputs were normalised.

        Returns:
            What became of the plans.
        """
        result = synthesizer(self.images(preprocessor), self.plans, self.matrices)
        made = to_inputs(result.images.to(self.inputs.device), preprocessor)
        self.inputs.index_copy_(0, self.on_device['places'], made.to(self.inputs.dtype))
        kept = (result.joints_ok & result.accepted[:, None]).to(self.inputs.device)
        kept = kept.gather(1, self.on_device['orders'])
        labels = [sample.gt_instance_labels for sample in self.samples]
        weights = torch.stack([label.keypoint_weights for label in labels])
        # (N, 1, K), or (N, L, 1, K) of a codec of L levels.
        weights = weights * kept.view(len(kept), *[1] * (weights.ndim - 2), -1)
        for label, weight in zip(labels, weights, strict=True):
            label.keypoint_weights = weight
        return result


def _take(sample: Any, name: str) -> Any:
    value = sample.gt_instances.get(name)
    delattr(sample.gt_instances, name)
    return value


def _joint_order(sample: Any, plan: PersonPlan) -> NDArray[np.int64]:
    joints = np.arange(len(plan.target_visible))
    if not sample.get('flip', False) or sample.flip_direction == 'diagonal':
        return joints
    return np.asarray(sample.flip_indices, np.int64)


def _final_matrices(
    samples: Sequence[Any], plans: Sequence[PersonPlan], orders: Sequence[NDArray[np.int64]]
) -> NDArray[np.float64]:
    before = np.stack([p.target_keypoints[o] for p, o in zip(plans, orders, strict=True)])
    visible = np.stack([p.target_visible[o] for p, o in zip(plans, orders, strict=True)])
    final = np.stack([_final_keypoints(sample) for sample in samples])
    matrices, residuals = recover_affines(before, final, visible)
    worst = int(residuals.argmax())
    if residuals[worst] > MAX_RESIDUAL_PX:
        raise ValueError(
            'what the train pipeline did to the keypoints of '
            f'{samples[worst].get("img_path")} after PG2Augment is no affine transform: it misses '
            f'one by {residuals[worst]:.1f} px. Remove the transform that bends or cuts images or '
            'a second RandomFlip, or remove PG2Hook to synthesise before it'
        )
    return matrices


def _final_keypoints(sample: Any) -> NDArray[np.floating[Any]]:
    keypoints: NDArray[np.floating[Any]] = (
        _take(sample, FINAL_KEYPOINTS)
        if FINAL_KEYPOINTS in sample.gt_instances
        else sample.gt_instances.keypoints
    )[0]
    return keypoints
