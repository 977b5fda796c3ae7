"""The training loop of PG2: MMEngine's, resumed without loading what was trained on."""

from itertools import chain, repeat
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop
from torch import nn

from pg2aug.poses import Skeleton, check_same_joints
from pg2aug.registry import LOOPS
from pg2aug.utils.dataloading import restart_dataloader


@LOOPS.register_module()
class PG2TrainLoop(IterBasedTrainLoop):
    """MMEngine's iteration-based loop, which resumes at once.

    MMEngine's own loads every batch that was already trained on and throws it away. Items of
    :class:`PersonPairDataset` depend on their index alone, so that it is enough to advance the
    sampler.
    """

    def run(self) -> nn.Module:
        """Train, from where a checkpoint left off.

        Raises:
            ValueError: If the model and its dataset have different joints.
        """
        model = self.runner.model
        model = model.module if is_model_wrapper(model) else model
        joints = Skeleton.from_metainfo(self.dataloader.dataset.metainfo)
        context = 'the train dataset (model.data_preprocessor.metainfo must be its metainfo)'
        check_same_joints(model.data_preprocessor.skeleton, joints, context)
        if self._iter > 0 and isinstance(self.dataloader.sampler, InfiniteSampler):
            restart_dataloader(self, skipped_batches=self._iter)
            batches: Any = self.dataloader_iterator
            # What the loop is about to throw away.
            batches._iterator = chain(repeat(None, self._iter), batches._iterator)
        return super().run()
