"""The hook that synthesises, on the device, what PG2Augment decided in the workers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.model import ImgDataPreprocessor, is_model_wrapper
from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner

from pg2aug.augment.placement import (
    Placement,
    check_alike,
    check_data,
    check_model,
    check_placement,
    draw_alike,
    find_augments,
    set_repeats,
    switched_augments,
)
from pg2aug.augment.statistics import AcceptanceCounts, rarity_deciles
from pg2aug.augment.synthesis.deferred import DeferredBatch
from pg2aug.augment.synthesis.synthesizer import Synthesizer
from pg2aug.augment.transform import PG2Augment
from pg2aug.poses import PoseBank
from pg2aug.registry import HOOKS, register_for_users
from pg2aug.utils.dataloading import restart_dataloader

MIN_ACCEPTED = 0.2
"""Share of accepted persons below which the log warns."""

MIN_SEEN = 50
"""Persons over which that share is taken."""


_LOGGED = 'train/pg2/'


@register_for_users(HOOKS)
class PG2Hook(Hook):
    """Synthesise the persons of a batch at once, on the device of the pose estimator.

    Before training, every :class:`PG2Augment` of the train pipeline (through dataset wrappers) is
    told to decide only. While training, a forward hook on ``model.data_preprocessor`` synthesises
    what was decided and writes it into the network's input. The generator is never part of the
    model: not of its checkpoint, its EMA copy, its distributed wrapper or its optimiser.

    Joints that the label check refuses get a keypoint weight of 0, and so do all joints of a person
    who is refused. The accepted shares are logged as ``pg2/persons`` and ``pg2/joints``, by rarity
    of the pose as ``pg2/accepted_decile_0`` (the commonest tenth of the bank) to ``_9``, and by
    joint as ``pg2/accepted_<name>``; and as ``pg2/suitable`` the share of the persons chosen who
    could be replaced: enough of them is labelled, and one of the poses drawn fits.

    Args:
        interval: Iterations between two logs of the accepted shares.

    Raises:
        ValueError: If a setting is out of range; before training, if the config is one in which
            labels and pixels could come apart; names the line to change.
    """

    # After hooks that switch pipelines (NORMAL, 50), before the logger (BELOW_NORMAL, 60).
    priority = 55

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self.synthesizer: Synthesizer | None = None
        self._augments: list[PG2Augment] = []
        self._handle: Any = None
        self._counts = AcceptanceCounts((), None)
        self._seen = np.zeros(2)

    def before_run(self, runner: Runner) -> None:
        """Refuse PG2Augments of the pipelines of validation and test, before anything runs."""
        for name in ('val', 'test'):
            # Those that this run uses are built, and hold a data loader.
            loop = getattr(runner, f'_{name}_loop')
            if isinstance(loop, BaseLoop) and find_augments(loop.dataloader.dataset):
                raise ValueError(
                    f'PG2Augment stands in the pipeline of {name}_dataloader: poses that nobody '
                    f'took would be evaluated; remove PG2Augment from {name}_pipeline'
                )

    def before_train(self, runner: Runner) -> None:
        """Check the config, and take over from the train pipeline's PG2Augments."""
        placements = find_augments(runner.train_dataloader.dataset)
        if not placements:
            raise ValueError(
                "PG2Hook found no PG2Augment in the train pipeline: add dict(type='PG2Augment', "
                "...) after dict(type='LoadImage'), or remove PG2Hook from custom_hooks"
            )
        # What the data are comes before how the model is set: no setting makes up for it.
        for placement in placements:
            check_data(placement)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        check_model(model)
        self.synthesizer = placements[0].augment.build_synthesizer(get_device())
        self._check_switches(runner, placements)
        # Last of what can fail: a failed start must not leave a transform deferred.
        self._adopt(placements)
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            # Its workers were forked before this hook ran.
            restart_dataloader(runner.train_loop)
        # Not before: an EMA copy of the model, made in before_run, would copy the hook.
        # A compiler of the train step would trace the synthesis for minutes, and again for every
        # number of persons; networks that PG2Augment(compile=True) compiles stay compiled.
        serve = torch.compiler.disable(self._serve)  # type: ignore[no-untyped-call]
        self._handle = model.data_preprocessor.register_forward_hook(serve)

    def _check_switches(self, runner: Runner, placements: list[Placement]) -> None:
        """Check the pipelines to come, whose mistakes would end a training that is nearly done."""
        for hook in runner.hooks:
            later = switched_augments(hook, runner.train_dataloader.dataset)
            if later is None:
                continue
            self._check(later, [placement.augment for placement in placements])
            if not later:
                runner.logger.warning(
                    f'PG2Hook: the pipeline to which {type(hook).__name__} switches has no '
                    'PG2Augment: from then on nothing is synthesised. If that is not meant, put it '
                    'into that pipeline, too'
                )

    def _check(
        self, new: list[Placement], others: list[PG2Augment]
    ) -> tuple[list[PG2Augment], bool]:
        """Check PG2Augments that come to others: all of them, and whether they draw alike."""
        for placement in new:
            check_placement(placement)
        augments = [*others, *(placement.augment for placement in new)]
        check_alike(augments)
        return augments, draw_alike(augments)

    def before_train_epoch(self, runner: Runner) -> None:
        """Take over from PG2Augments that came with a new pipeline, as PipelineSwitchHook sets."""
        self._adopt(find_augments(runner.train_dataloader.dataset))

    def _adopt(self, placements: list[Placement]) -> None:
        new = [p for p in placements if not any(p.augment is a for a in self._augments)]
        augments, one_bank = self._check(new, self._augments)
        if new:
            self._count(augments[0].bank if one_bank else None)
            self._fill_pool(new)
        for augment in augments[len(self._augments) :]:
            augment.deferred = True
        self._augments = augments

    def _fill_pool(self, placements: list[Placement]) -> None:
        """Begin to keep what new PG2Augments will have synthesised again."""
        pool = set_repeats(placements)
        if self.synthesizer is not None:
            # Of another pipeline's persons nobody comes again.
            self.synthesizer.pool = pool

    def _count(self, bank: PoseBank | None) -> None:
        """Begin to count what is accepted of a bank's poses; None if there are several banks."""
        synthesizer = self.synthesizer
        if synthesizer is not None:
            deciles = None if bank is None else rarity_deciles(bank)
            joints = synthesizer.skeleton.keypoint_names
            self._counts = AcceptanceCounts(joints, deciles, synthesizer.device)

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
        counts = self._counts.take()
        chosen = np.sum([augment.suitable_counts.take() for augment in self._augments], axis=0)
        for name, share in _shares(counts, *chosen.tolist()).items():
            key = f'{_LOGGED}{name}'
            if share is None:
                # The last value would be logged as if it were of these iterations.
                runner.message_hub.log_scalars.pop(key, None)
            else:
                runner.message_hub.update_scalar(key, share)
        self._warn_if_refused(runner, *counts['persons'])
        self._warn_if_not_finite(runner)

    def _warn_if_refused(self, runner: Runner, persons: float, persons_ok: float) -> None:
        self._seen += np.array([persons, persons_ok])
        seen, accepted = self._seen
        if seen >= MIN_SEEN:
            if accepted < MIN_ACCEPTED * seen:
                runner.logger.warning(
                    f'PG2Hook: the label check accepted {accepted:.0f} of the last {seen:.0f} '
                    'persons; refused ones are not trained on. Train the generator on people like '
                    'these, or lower prob; pg2aug browse shows them'
                )
            self._seen[:] = 0

    def _warn_if_not_finite(self, runner: Runner) -> None:
        count = 0 if self.synthesizer is None else self.synthesizer.take_not_finite()
        if count:
            runner.logger.warning(
                f'PG2Hook: {count} persons synthesised in the last {self.interval} iterations had '
                'pixels that are not finite, and are not trained on. Give a checkpoint whose '
                "weights are finite, or precision='float32' to PG2Augment"
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the shares out of checkpoints: resumed without PG2, they would be logged on."""
        hub = checkpoint.get('message_hub', {})
        checkpoint['message_hub'] = {
            name: {k: v for k, v in values.items() if not k.startswith(_LOGGED)}
            for name, values in hub.items()
        }

    def after_train(self, runner: Runner) -> None:
        """Let go of the model, and let the transforms synthesise by themselves again."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        for augment in self._augments:
            augment.deferred = False
            augment.repeats = None
        self._augments = []
        if self.synthesizer is not None:
            self.synthesizer.pool = None

    def _serve(self, preprocessor: ImgDataPreprocessor, args: Any, output: dict[str, Any]) -> None:
        batch = DeferredBatch.take(output)
        if batch is None or self.synthesizer is None:
            return
        result = batch.synthesize(self.synthesizer, preprocessor)
        poses, labelled = batch.on_device['poses'], batch.on_device['labelled']
        self._counts.add(poses, labelled, result.joints_ok, result.accepted)


def _shares(
    counts: Mapping[str, tuple[int, int]], tried: int, suitable: int
) -> dict[str, float | None]:
    """What is logged of persons and joints, seen and accepted; None for what was not seen."""
    shares = {
        name if name in ('persons', 'joints') else f'accepted_{name}': ok / seen if seen else None
        for name, (seen, ok) in counts.items()
    }
    # Workers decide ahead: where persons are seen, that none was decided on means nothing.
    if tried or not counts['persons'][0]:
        shares['suitable'] = suitable / tried if tried else None
    return shares
