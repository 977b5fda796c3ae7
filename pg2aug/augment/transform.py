"""The transform that users add to an MMPose pipeline."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.dist import get_rank
from mmengine.logging import print_log
from torch.utils.data import get_worker_info

from pg2aug.augment.eligibility import (
    UnsuitableError,
    UnsuitablePersonError,
    bank_proportions,
    restrict_bank,
)
from pg2aug.augment.extras.pool import pool_slots
from pg2aug.augment.extras.repeats import Repeats
from pg2aug.augment.generator_file import GeneratorFile
from pg2aug.augment.people import PeopleFile
from pg2aug.augment.person_plan import PersonPlan, plan_person
from pg2aug.augment.sample import attach_plan, check_sample, relabel
from pg2aug.augment.settings import (
    SynthesisSettings,
    check_direct,
    check_files,
    check_numbers,
    check_pool,
)
from pg2aug.augment.statistics import SuitableCounts
from pg2aug.augment.synthesis.synthesizer import Synthesizer
from pg2aug.augment.synthesis.whole_image import synthesize_in_image
from pg2aug.datasets.topdown import keypoint_flags
from pg2aug.poses import PoseBank
from pg2aug.poses.read.keypoint_file import MIN_SCORE, has_scores
from pg2aug.registry import TRANSFORMS, register_for_users
from pg2aug.utils.arguments import in_errors
from pg2aug.utils.files import naming

_ARGUMENTS = (
    'generator',
    'pose_bank',
    'prob',
    'max_draws',
    'device',
    'neighbours',
    'reuse',
    'pool_mb',
)

_TURN = (5**0.5 - 1) / 2
"""By which uniform numbers are turned from process to process: they stay uniform."""

_TURNS = 2**20
"""So many of them at most: a float has digits for the rest of the number."""


@register_for_users(TRANSFORMS)
class PG2Augment(BaseTransform):
    """Put the person of a top-down sample into a rare pose, drawn from a pose bank.

    Stands right after ``LoadImage``: everything later in the pipeline treats the new pose as if it
    had been annotated. By itself the transform synthesises at once, in the process that runs the
    pipeline. With :class:`PG2Hook` among the config's ``custom_hooks`` it only decides, and the
    hook synthesises whole batches on the model's device.

    A sample is left as it is where its person shows too little to synthesise from, where no pose
    that was drawn fits, and (without the hook) where the label check refuses the result. If hardly
    any person can be replaced, the log warns, and says why.

    Required Keys:

        - img
        - keypoints
        - keypoints_visible
        - bbox

    Modified Keys:

        - img (without PG2Hook)
        - keypoints
        - keypoints_visible
        - bbox
        - bbox_center, bbox_scale, area, num_keypoints, segmentation (where the sample has them)

    Added Keys (with PG2Hook):

        - pg2_plan
        - instance_mapping_table

    Args:
        generator: ``dict(config=..., checkpoint=...)``, both written by ``pg2aug train``; or
            ``dict(type='LimbWarpGenerator', metainfo=..., size=...)``, which needs no training; see
            :meth:`GeneratorFile.from_config`.
        pose_bank: File of target poses: a bank written by ``pg2aug bank``, or a COCO
            keypoint json.
        prob: Probability with which a sample is replaced. 0 leaves every sample, and the state of
            the random number generator, untouched.
        max_draws: Poses that are tried for a person before it is left as it is.
        device: Where to synthesise without the hook; a GPU if there is one.
        neighbours: COCO keypoint json of everybody in the images, normally the annotation file of
            the dataset itself: those of them who overlap the person stay in front. None where
            everybody else may be painted over.
        reuse: Times that a person gets the same pose before another is drawn. From 2 on, which
            needs PG2Hook, the synthesised crop is made once and used that often, with flip, scale,
            rotation and colours of the pipeline's each time.
        pool_mb: MiB on the device for such crops. Where they are too few for all persons of the
            data set, that many of them get their poses again, and the others new ones each time.
        **settings: Those of :class:`pg2aug.augment.settings.SynthesisSettings`: ``check``,
            ``min_joints_ok``, ``min_visible``, ``max_view_change``, ``remove_source``, ``refine``,
            ``precision``, ``compile`` and ``cuda_graphs``.

    Raises:
        FileNotFoundError: If a file is missing.
        TypeError: If there is no such argument.
        ValueError: If an argument is out of range, or files differ in their joints.
    """

    def __init__(
        self,
        generator: dict[str, Any],
        pose_bank: str,
        prob: float = 0.3,
        max_draws: int = 5,
        device: str | None = None,
        neighbours: str | None = None,
        reuse: int = 1,
        pool_mb: float = 1024,
        **settings: Any,
    ) -> None:
        with in_errors('PG2Augment'):
            self.settings = SynthesisSettings(**settings)
            check_numbers(prob, max_draws, reuse)
            check_files(pose_bank, neighbours)
        self.generator = dict(generator)
        self.pose_bank = pose_bank
        self.prob = prob
        self.max_draws = max_draws
        self.device = device
        self.neighbours = neighbours
        self.reuse = reuse
        self.pool_mb = pool_mb
        self.repeats: Repeats | None = None
        """What poses persons got, where they get them again; set by PG2Hook."""
        self.deferred = False
        """Whether somebody else synthesises; set by PG2Hook."""
        with in_errors('PG2Augment'):
            self.generator_file = GeneratorFile.from_config(self.generator)
        self.bank = self._load_bank()
        self._typical = bank_proportions(self.bank, self.generator_file.skeleton)
        self._people = self._load_neighbours()
        self.suitable_counts = SuitableCounts()
        """How many of the persons who were to be replaced could be."""
        with in_errors('PG2Augment'):
            self.settings.check_skeleton(self.generator_file.skeleton)
            check_pool(reuse, pool_mb, self.generator_file.size)
        self._synthesizer: Synthesizer | None = None
        self._scores_told = False

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace the person of a sample, or decide how it is to be replaced.

        Args:
            results: Sample of a top-down dataset, after ``LoadImage``.

        Returns:
            The sample.

        Raises:
            ValueError: If the sample is not one that the transform can take; says why.
            RuntimeError: If a GPU would have to be used in a worker process.
        """
        if self.prob == 0:
            return results
        if not self.deferred:
            check_direct(self.reuse, self.settings.cuda_graphs)
        check_sample(results, self.generator_file.skeleton)
        self._tell_scores(results)
        chosen, *draws = self._draw_uniforms()
        if chosen >= self.prob:
            return results
        try:
            plan = self._decide(results, draws)
        except UnsuitableError as error:
            self.suitable_counts.add(str(error))
            return results
        self.suitable_counts.add(None)
        if self.deferred:
            return attach_plan(relabel(results, plan, plan.target_visible), plan)
        image, joints_ok, accepted = synthesize_in_image(self.synthesizer, results['img'], plan)
        if not accepted:
            return results
        return relabel({**results, 'img': image}, plan, joints_ok)

    def _decide(self, results: dict[str, Any], draws: Sequence[float]) -> PersonPlan:
        if self.repeats is None:
            return self.decide(results, draws)
        return self.repeats.decide(
            results.get('sample_idx', -1),
            again=lambda pose: self.plan(results, pose),
            anew=lambda: self.decide(results, draws),
        )

    def decide(self, results: dict[str, Any], draws: Sequence[float]) -> PersonPlan:
        """Find the first pose among some draws that this person can take.

        Args:
            results: Sample of a top-down dataset, after ``LoadImage``.
            draws: At least one uniform number in [0, 1) for each pose to try.

        Raises:
            UnsuitableError: If the person can take none of them; says why.
        """
        for draw in draws[:-1]:
            try:
                return self.plan(results, self.bank.draw(draw))
            except UnsuitablePersonError:
                raise
            except UnsuitableError:
                continue
        return self.plan(results, self.bank.draw(draws[-1]))

    def plan(self, results: dict[str, Any], pose_index: int) -> PersonPlan:
        """Plan one pose of the bank for the person of a sample.

        Args:
            results: Sample of a top-down dataset, after ``LoadImage``.
            pose_index: Index of the pose in the bank.

        Raises:
            UnsuitableError: If this person cannot take this pose; says why.
        """
        return plan_person(
            image=results['img'],
            bbox=results['bbox'][0],
            keypoints=results['keypoints'][0],
            visible=keypoint_flags(results),
            target=self.bank.keypoints[pose_index],
            target_visible=self.bank.flags(pose_index),
            skeleton=self.generator_file.skeleton,
            size=self.generator_file.size,
            padding=self.generator_file.padding,
            min_visible=self.settings.min_visible,
            pose_index=pose_index,
            others=None if self._people is None else self._people.of(results),
            typical=self._typical,
            max_view_change=self.settings.max_view_change,
        )

    def build_synthesizer(self, device: str | torch.device) -> Synthesizer:
        """Build what does the synthesis, on a device."""
        generator, check = self.generator_file.build(), self.settings.build_check()
        return Synthesizer(generator, check, self.settings, device=device)

    @property
    def synthesizer(self) -> Synthesizer:
        """The synthesizer of this process, built when first needed."""
        if self._synthesizer is None:
            device = self.device or ('cuda' if torch.cuda.is_available() else 'cpu')
            if device != 'cpu' and get_worker_info() is not None:
                raise RuntimeError(
                    f'PG2Augment cannot use the device {device!r} in a forked worker of the data '
                    "loader. Add custom_hooks=[dict(type='pg2aug.PG2Hook')] to the config, which "
                    "synthesises in the training process; or set device='cpu' in PG2Augment, or "
                    'num_workers=0 and persistent_workers=False in train_dataloader'
                )
            self._synthesizer = self.build_synthesizer(device)
        return self._synthesizer

    @cache_randomness
    def _draw_uniforms(self) -> list[float]:
        """All random numbers of a sample: whether it is replaced, and the poses to try."""
        drawn = np.random.random(1 + self.max_draws)  # noqa: NPY002 (MMEngine seeds this one)
        # It seeds all processes of a distributed training alike, unless they have workers, and
        # workers that are started anew for each epoch alike every time.
        worker = get_worker_info()
        turns = get_rank() + (0 if worker is None else worker.seed % _TURNS)
        turned: list[float] = ((drawn + turns * _TURN) % 1).tolist()
        return turned

    def _tell_scores(self, results: dict[str, Any]) -> None:
        """Warn once in a process of scores in the place of flags."""
        visible = np.asarray(results['keypoints_visible'][0])
        if self._scores_told or not has_scores(visible[:, 0] if visible.ndim == 2 else visible):
            return
        self._scores_told = True
        print_log(
            f'PG2Augment: the annotation of {results.get("img_path")!r} has scores in the place of '
            f'flags; joints below {MIN_SCORE} count as unlabelled where a person is replaced',
            logger='current',
            level=logging.WARNING,
        )

    def _load_bank(self) -> PoseBank:
        context = f'PG2Augment: pose_bank {self.pose_bank!r}'
        with in_errors('PG2Augment: pose_bank'):
            bank = PoseBank.load(self.pose_bank)
        return restrict_bank(bank, self.generator_file.skeleton, self.settings.min_visible, context)

    @property
    def pool_slots(self) -> int:
        """Persons that the pool has room for."""
        return pool_slots(self.pool_mb, self.generator_file.size)

    def _load_neighbours(self) -> PeopleFile | None:
        if self.neighbours is None:
            return None
        context = f'PG2Augment: neighbours {self.neighbours!r}'
        with naming(self.neighbours):
            return PeopleFile.load(self.neighbours, self.generator_file.skeleton, context)

    def __repr__(self) -> str:
        own = {name: getattr(self, name) for name in _ARGUMENTS}
        arguments = ', '.join(f'{k}={v!r}' for k, v in (own | vars(self.settings)).items())
        return f'{type(self).__name__}({arguments})'
