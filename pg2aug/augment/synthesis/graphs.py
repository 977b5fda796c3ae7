"""Steps of a GPU that are recorded once and replayed: hundreds of launches become one."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from pg2aug.augment.synthesis.batches import TensorBatch

_In = TypeVar('_In', bound=TensorBatch)
_Out = TypeVar('_Out', bound=TensorBatch)

_MAX_GRAPHS = 32
_WARM_UPS = 3


def bucket(count: int, largest: int) -> int:
    """The batch size that ``count`` samples are padded to: a power of two, or the largest one."""
    return min(1 << max(0, count - 1).bit_length(), largest)


def pad(tensor: Tensor, size: int) -> Tensor:
    """Repeat the last of N samples until there are ``size``."""
    missing = size - len(tensor)
    return (
        tensor
        if missing == 0
        else torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])])
    )


class GraphedCall(Generic[_In, _Out]):
    """A function of tensors as CUDA graphs, one for each set of input shapes.

    What is recorded for the shapes that were longest not used is dropped where there are more than
    32 sets. All graphs share one pool of memory: what one puts out is copied before another runs.

    Args:
        function: Takes and returns tensors on one GPU; it neither waits for the device
            nor sends anything to it, and does the same steps for all values.
        device: The GPU.
    """

    def __init__(self, function: Callable[[_In], _Out], device: torch.device) -> None:
        self.function = function
        self.device = device
        self._pool: Any = None
        self._graphs: OrderedDict[Any, tuple[Any, _In, _Out]] = OrderedDict()

    def __call__(self, inputs: _In) -> _Out:
        """What the function returns for these inputs, in tensors of its own."""
        given = inputs.tensors()
        key = tuple((name, tuple(x.shape), x.dtype) for name, x in sorted(given.items()))
        with torch.cuda.device(self.device):
            if key not in self._graphs:
                if len(self._graphs) == _MAX_GRAPHS:
                    self._graphs.popitem(last=False)
                self._graphs[key] = self._record(inputs)
            self._graphs.move_to_end(key)
            graph, places, outputs = self._graphs[key]
            for name, place in places.tensors().items():
                place.copy_(given[name])
            graph.replay()
            return outputs.map(Tensor.clone)

    def _record(self, inputs: _In) -> tuple[Any, _In, _Out]:
        places = inputs.map(Tensor.clone)
        # Libraries choose their kernels, and constants are sent, before anything is recorded.
        stream: Any = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                self.function(places)
        torch.cuda.current_stream(self.device).wait_stream(stream)
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # Threads of data loaders pin memory meanwhile, which is no business of the recording.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode='thread_local'):
            outputs = self.function(places)
        return graph, places, outputs
