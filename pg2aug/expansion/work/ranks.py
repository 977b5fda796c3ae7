"""The processes of an expansion: who is there, and that all may begin."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import init_dist


@dataclass(frozen=True)
class Ranks:
    """This process among those that share the work.

    Attributes:
        rank: Its number, from 0.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, launcher: str) -> 'Ranks':
        """Meet the other processes that a launcher started.

        Args:
            launcher: 'none', 'pytorch' (torchrun) or 'slurm', as MMEngine has them.

        Raises:
            ValueError: For slurm without a GPU, which MMEngine does not launch.
        """
        if launcher == 'none':
            return cls()
        if torch.cuda.is_available():
            init_dist(launcher, backend='gloo')
        elif launcher == 'pytorch':
            # MMEngine joins on a CUDA device.
            torch.distributed.init_process_group('gloo')
        else:
            raise ValueError(
                f'launcher {launcher!r} needs a GPU: start with torchrun and --launcher pytorch'
            )
        return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Go on when all processes have come to the end of a block, or raise if any has failed.

        They part then: whoever is lost later holds up nobody, for all else goes through files.
        """
        failure: BaseException | None = None
        try:
            yield
        except Exception as error:
            failure = error
        if self.size > 1:
            found: list[Any] = [None] * self.size
            torch.distributed.all_gather_object(found, None if failure is None else str(failure))
            torch.distributed.destroy_process_group()
            others = [text for text in found if text is not None]
            if failure is None and others:
                raise ValueError(f'another process could not begin: {others[0]}')
        if failure is not None:
            raise failure


def local_device_index() -> int:
    """Which of the machine's devices is this process's."""
    return int(os.environ.get('LOCAL_RANK', 0)) % max(torch.cuda.device_count(), 1)
