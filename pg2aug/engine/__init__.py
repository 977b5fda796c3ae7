"""What training PG2 adds to MMEngine's Runner: optimisers and sample sheets."""

from pg2aug.engine.optim import AutocastOptimWrapper, PG2OptimWrapperConstructor
from pg2aug.engine.sample_sheet_hook import SampleSheetHook

__all__ = ['AutocastOptimWrapper', 'PG2OptimWrapperConstructor', 'SampleSheetHook']
