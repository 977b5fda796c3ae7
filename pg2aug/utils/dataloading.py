"""Restarting the data loader of MMEngine's iteration-based loop."""

from itertools import islice
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.runner import IterBasedTrainLoop


def restart_dataloader(loop: IterBasedTrainLoop, skipped_batches: int = 0) -> None:
    """Start the workers of a loop anew, from a given batch on.

    MMEngine's loop forks its workers when it is built, so that they miss what is changed in the
    dataset before training, and have drawn indices of which no batch was made.

    Args:
        loop: The loop; changed in place.
        skipped_batches: Batches to leave out at the beginning, without loading them; needs an
            ``InfiniteSampler``.

    Raises:
        ValueError: If batches are to be left out that another sampler draws.
    """
    dataloader = loop.dataloader
    sampler: Any = dataloader.sampler
    if isinstance(sampler, InfiniteSampler):
        first = skipped_batches * dataloader.batch_size
        sampler.indices = islice(sampler._indices_of_rank(), first, None)
    elif skipped_batches:
        raise ValueError(f'only an InfiniteSampler can be advanced, got {type(sampler).__name__}')
    # Persistent workers are kept here by torch; without them a new iterator is enough.
    dataloader._iterator = None
    loop.dataloader_iterator = type(loop.dataloader_iterator)(dataloader)
