"""The hook that synthesises, on the device, what PG2Augment decided in the workers."""

from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.model import ImgDataPreprocessor, is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from pg2aug.augment.deferred import DeferredBatch
from pg2aug.augment.pg2_augment import PG2Augment
from pg2aug.augment.pipelines import Placement, check_placement, find_augments
from pg2aug.augment.synthesizer import Synthesizer
from pg2aug.dataloading import restart_dataloader
from pg2aug.registry import HOOKS, register_for_users

MIN_ACCEPTED = 0.2
"""Share of accepted persons below which the log warns."""

MIN_SEEN = 50
"""Persons over which that share is taken."""


@register_for_users(HOOKS)
class PG2Hook(Hook):
    """Synthesise the persons of a batch at once, on the device of the pose estimator.

    Before training, every :class:`PG2Augment` of the train pipeline (through dataset wrappers) is
    told to decide only. While training, a forward hook on ``model.data_preprocessor`` synthesises
    what was decided and writes it into the network's input. The generator is never part of the
    model: not of its checkpoint, its EMA copy, its distributed wrapper or its optimiser.

    Joints that the label check refuses get a keypoint weight of 0, and so do all joints of a person
    who is refused. The accepted shares are logged as ``pg2/persons`` and ``pg2/joints``.

    Args:
        interval: Iterations between two logs of the accepted shares.

    Raises:
        ValueError: Before training, if the config is one in which labels and pixels could come
            apart; names the line to change.
    """

    # After hooks that switch pipelines (NORMAL, 50), before the logger (BELOW_NORMAL, 60).
    priority = 55

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self.synthesizer: Synthesizer | None = None
        self._augments: list[PG2Augment] = []
        self._handle: Any = None
        self._counts = torch.zeros(4)
        self._seen = np.zeros(2)

    def before_train(self, runner: Runner) -> None:
        """Check the config, and take over from the train pipeline's PG2Augments."""
        placements = find_augments(runner.train_dataloader.dataset)
        if not placements:
            raise ValueError(
                "PG2Hook found no PG2Augment in the train pipeline: add dict(type='PG2Augment', "
                "...) after dict(type='LoadImage'), or remove PG2Hook from custom_hooks"
            )
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        _check_model(model)
        self.synthesizer = placements[0].augment.build_synthesizer(get_device())
        # Last of what can fail: a failed start must not leave a transform deferred.
        self._adopt(placements)
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            # Its workers were forked before this hook ran.
            restart_dataloader(runner.train_loop)
        self._counts = torch.zeros(4, device=self.synthesizer.device)
        # Not before: an EMA copy of the model, made in before_run, would copy the hook.
        self._handle = model.data_preprocessor.register_forward_hook(self._serve)

    def before_train_epoch(self, runner: Runner) -> None:
        """Take over from PG2Augments that came with a new pipeline, as PipelineSwitchHook sets."""
        self._adopt(find_augments(runner.train_dataloader.dataset))

    def _adopt(self, placements: list[Placement]) -> None:
        new = [p for p in placements if not any(p.augment is a for a in self._augments)]
        for placement in new:
            check_placement(placement)
        augments = [*self._augments, *(placement.augment for placement in new)]
        _check_alike(augments)
        for augment in augments:
            augment.deferred = True
        self._augments = augments

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Log the accepted shares of the last iterations."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        persons, persons_ok, joints, joints_ok = self._counts.tolist()
        if persons:
            runner.message_hub.update_scalar('train/pg2/persons', persons_ok / persons)
            runner.message_hub.update_scalar('train/pg2/joints', joints_ok / joints)
        self._warn_if_refused(runner, persons, persons_ok)
        self._counts.zero_()

    def _warn_if_refused(self, runner: Runner, persons: float, persons_ok: float) -> None:
        self._seen += np.array([persons, persons_ok])
        seen, accepted = self._seen
        if seen >= MIN_SEEN:
            if accepted < MIN_ACCEPTED * seen:
                runner.logger.warning(
                    f'PG2Hook: the label check accepted {accepted:.0f} of the last {seen:.0f} '
                    'persons; refused ones are not trained on. Train the generator on people like '
                    'these, or lower prob; tools/browse_augment.py shows them'
                )
            self._seen[:] = 0

    def after_train(self, runner: Runner) -> None:
        """Let go of the model, and let the transforms synthesise by themselves again."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        for augment in self._augments:
            augment.deferred = False
        self._augments = []

    def _serve(self, preprocessor: ImgDataPreprocessor, args: Any, output: dict[str, Any]) -> None:
        batch = DeferredBatch.take(output)
        if batch is None or self.synthesizer is None:
            return
        result = batch.synthesize(self.synthesizer, preprocessor)
        persons = float(len(batch.plans))
        joints = float(sum((plan.target_visible > 0).sum() for plan in batch.plans))
        kept = result.joints_ok & result.accepted[:, None]
        # Counted on the device: a number is fetched when it is logged, not in every iteration.
        self._counts[0::2] += torch.tensor([persons, joints]).to(self._counts.device)
        self._counts[1] += result.accepted.sum()
        self._counts[3] += kept.sum()


def _check_alike(augments: list[PG2Augment]) -> None:
    """Raise ValueError unless one synthesizer can serve all PG2Augments of a training."""
    names = ('generator', 'check', 'min_joints_ok', 'remove_source', 'refine')
    for name in names:
        values = [getattr(augment, name) for augment in augments]
        if any(value != values[0] for value in values):
            raise ValueError(
                f'all PG2Augments of a training share one synthesizer, but {name} differs: '
                f'{values}; give them the same {name}'
            )


def _check_model(model: nn.Module) -> None:
    """Raise ValueError if the model would not honour what the hook writes."""
    preprocessor = model.data_preprocessor
    if not isinstance(preprocessor, ImgDataPreprocessor):
        raise ValueError(
            f'PG2Hook needs images to write into, but model.data_preprocessor is a '
            f"{type(preprocessor).__name__}: use dict(type='PoseDataPreprocessor', ...)"
        )
    if getattr(preprocessor, 'batch_augments', None) is not None:
        raise ValueError(
            'PG2Hook writes into the batch after model.data_preprocessor.batch_augments have '
            'changed it: remove batch_augments from the model config'
        )
    for name, module in model.named_modules():
        if type(module).__name__ == 'VisPredictHead':
            raise ValueError(
                f'model.{name} (VisPredictHead) learns visibility from the keypoint weights, which '
                'PG2Hook sets to 0 where the label check refuses: use another head, or synthesise '
                'without PG2Hook'
            )
        if getattr(module, 'use_target_weight', True) is False:
            raise ValueError(
                f'the loss model.{name} ({type(module).__name__}) ignores keypoint weights, so '
                'that joints which the label check refused would be trained on: set '
                'use_target_weight=True in it'
            )
