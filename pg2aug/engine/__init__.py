"""What training PG2 adds to MMEngine's Runner: optimisers, the loop and sample sheets."""

from pg2aug.engine.checkpoints import SafeCheckpointHook
from pg2aug.engine.optim import AutocastOptimWrapper, PG2OptimWrapperConstructor
from pg2aug.engine.sample_sheet_hook import SampleSheetHook
from pg2aug.engine.train_loop import PG2TrainLoop

__all__ = [
    'AutocastOptimWrapper',
    'PG2OptimWrapperConstructor',
    'PG2TrainLoop',
    'SafeCheckpointHook',
    'SampleSheetHook',
]
