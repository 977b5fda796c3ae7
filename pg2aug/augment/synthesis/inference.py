"""Models as they are run in synthesis: in evaluation mode, in the fastest number format."""

import copy
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pg2aug.augment.extras.detail import DetailedGenerator
from pg2aug.augment.synthesis.graphs import pad
from pg2aug.models.limbs.generator import LimbWarpGenerator
from pg2aug.models.pg2 import PG2

Generator = PG2 | LimbWarpGenerator | DetailedGenerator
"""What synthesises persons."""

Precision = Literal['auto', 'float32', 'bfloat16', 'float16']

PRECISIONS = get_args(Precision)


def network_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Number format of the networks on a device.

    'auto' takes 16 bits where the device multiplies matrices of them natively: bfloat16 on GPUs
    of compute capability 8 and above and on CPUs with AMX or AVX-512 instructions for it, as far
    as torch can tell (2.11 and newer), float16 on GPUs of compute capability 7; else float32.

    Raises:
        ValueError: If the precision is none of these.
    """
    if precision != 'auto':
        if precision not in PRECISIONS:
            raise ValueError(f'precision must be one of {", ".join(PRECISIONS)}, got {precision!r}')
        dtype: torch.dtype = getattr(torch, precision)
        return dtype
    if device.type == 'cuda':
        major, _ = torch.cuda.get_device_capability(device)
        return torch.bfloat16 if major >= 8 else torch.float16 if major == 7 else torch.float32
    if device.type == 'cpu' and hasattr(torch.cpu, 'get_capabilities'):
        native = torch.cpu.get_capabilities()
        if native.get('amx_bf16') or native.get('avx512_bf16'):
            return torch.bfloat16
    return torch.float32


class InferenceNetwork(nn.Module):
    """A network in a number format of its own, between inputs and outputs in float32.

    The weights are converted once; autocast would do it again in every call.

    Args:
        network: With its weights in that number format.
        dtype: The number format.
        compiled: Whether to compile it (:func:`torch.compile`), once for all batch sizes, when
            first called.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype, compiled: bool = False) -> None:
        super().__init__()
        self.network = network
        self.dtype = dtype
        self._run = torch.compile(network, fullgraph=True, dynamic=True) if compiled else network
        self._compiled = compiled
        self._tried = not compiled

    def forward(self, *inputs: Tensor | None) -> Tensor:
        """What the network makes of its inputs, float32 or None each: float32.

        Raises:
            RuntimeError: If it cannot be compiled.
        """
        rows = next(len(x) for x in inputs if x is not None)
        if self._compiled and rows == 1:
            # The size 1 is a constant to the compiler, however dynamic: it would compile again.
            inputs = tuple(x if x is None else pad(x, 2) for x in inputs)
        made = self._called([x if x is None else _laid_out(x, self.dtype) for x in inputs])
        return made[:rows].float()

    def _called(self, converted: list[Tensor | None]) -> Tensor:
        if self._tried:
            made: Tensor = self._run(*converted)
            return made
        try:
            made = self._run(*converted)
        except Exception as error:
            raise RuntimeError(
                f'compile=True: torch.compile failed on {type(self.network).__name__} (it needs a '
                'C++ compiler on CPUs, Triton on GPUs): install what it asks for, see above, or '
                'set compile=False'
            ) from error
        self._tried = True
        return made


def _laid_out(x: Tensor, dtype: torch.dtype) -> Tensor:
    if x.dim() != 4:
        return x.to(dtype)
    return x.to(dtype, memory_format=torch.channels_last)


def inference_model(
    model: Generator, device: torch.device, dtype: torch.dtype, compiled: bool
) -> Generator:
    """A model that synthesises like another one, as fast as the device can.

    There is nothing to fold: the generators have neither normalisation nor any other layer that
    could become part of a convolution.

    Args:
        model: It is left as it is, and copied if it has networks.
        device: Where to run it.
        dtype: Number format of its networks. Poses, warps and matte stay float32.
        compiled: Whether to compile its networks.
    """
    if isinstance(model, DetailedGenerator):
        return DetailedGenerator(_fast(model.model, device, dtype, compiled), model.detail)
    if isinstance(model, PG2):
        return _fast(model, device, dtype, compiled)
    return model.to(device)


def _fast(model: PG2, device: torch.device, dtype: torch.dtype, compiled: bool) -> PG2:
    fast = copy.deepcopy(model)
    fast.discriminator = None
    for name in ('generator1', 'generator2'):
        network = getattr(fast, name)
        if network is not None:
            setattr(fast, name, InferenceNetwork(network.to(dtype), dtype, compiled))
    return fast.to(device).eval().requires_grad_(False)
