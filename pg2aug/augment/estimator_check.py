"""The label check by the pose estimator that is being trained."""

from collections.abc import Mapping
from typing import Any

from mmengine.logging import MessageHub, print_log
from torch import Tensor, nn

from pg2aug.augment.label_check import LabelCheck, Synthesis
from pg2aug.augment.pose_estimator import check_predicts
from pg2aug.augment.pose_model_check import PoseComparison
from pg2aug.registry import MODELS


@MODELS.register_module()
class EstimatorCheck(PoseComparison):
    """Let the estimator in training judge, as :class:`PoseModelCheck` lets another one.

    It needs :class:`pg2aug.augment.PG2Hook`, which hands the model over: its average where an
    ``EMAHook`` runs, which is steadier, or else the model itself. It judges in evaluation mode,
    without gradients, in 32 bits; its modes and statistics are left as they were.

    The known risk is that it refuses exactly what it has still to learn, and confirms its own
    errors. The accepted shares by rarity of the pose, ``pg2/accepted_decile_0`` (commonest) to
    ``_9`` (rarest), show whether it does. An untrained estimator refuses everybody: until iteration
    ``begin`` another check judges in its place.

    Args:
        begin: Iteration from which the estimator judges.
        before: Config of the check that judges until then; None accepts everything.
        ema: Whether to use the average of the weights where there is one.
        max_distance: See :class:`pg2aug.augment.PoseModelCheck`.
        min_oks: See :class:`pg2aug.augment.PoseModelCheck`.
        min_score: See :class:`pg2aug.augment.PoseModelCheck`.

    Raises:
        ValueError: If an argument is out of range, or it is used without PG2Hook.
    """

    def __init__(
        self,
        begin: int = 2000,
        before: dict[str, Any] | None = dict(type='AppearanceCheck'),  # noqa: B006 (as PG2Augment)
        ema: bool = True,
        max_distance: float = 0.1,
        min_oks: float = 0.3,
        min_score: float = 0.0,
    ) -> None:
        super().__init__(max_distance, min_oks, min_score)
        if begin < 0:
            raise ValueError(f'begin must be an iteration, 0 or more, got {begin}')
        self.begin = begin
        self.before: LabelCheck | None = (
            None if before is None else MODELS.build(dict(before, _scope_='pg2aug'))
        )
        self.ema = ema
        self._model: nn.Module | None = None

    def attach(
        self,
        model: nn.Module,
        average: nn.Module | None,
        metainfo: Mapping[str, Any],
        max_iters: int,
    ) -> None:
        """Take over the model in training.

        Args:
            model: It, out of any wrapper.
            average: Its EMA copy, if there is one.
            metainfo: Of the data set, which has the joints of what is synthesised.
            max_iters: Iterations of the training.

        Raises:
            ValueError: If the model does not predict keypoints, the metainfo has no sigmas, or the
                training ends before the model would judge.
        """
        if self.begin >= max_iters:
            raise ValueError(
                f'EstimatorCheck(begin={self.begin}) would never judge in {max_iters} iterations: '
                'lower begin (to 0, where the model starts from what it has learnt), or use '
                "check=dict(type='AppearanceCheck')"
            )
        judge = average if self.ema and average is not None else model
        check_predicts(judge, 'the model in training')
        self.set_sigmas(metainfo, 'the train dataset')
        self._model = judge
        name = 'average' if judge is average else 'current weights'
        print_log(
            f'EstimatorCheck: the {name} of the model in training judge what is synthesised, from '
            f'iteration {self.begin} on; before, {type(self.before).__name__}',
            logger='current',
        )

    def __call__(self, synthesis: Synthesis) -> Tensor:
        """See :class:`pg2aug.augment.LabelCheck`."""
        if self._model is None:
            raise ValueError(
                'EstimatorCheck has no estimator in training to ask: add '
                "custom_hooks=[dict(type='PG2Hook')], or use PoseModelCheck with a checkpoint"
            )
        if MessageHub.get_current_instance().get_info('iter', 0) >= self.begin:
            return self.judge(self._model, synthesis)
        return self.before(synthesis) if self.before else synthesis.visible > 0
