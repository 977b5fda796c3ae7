"""Operations and bytes of generators and pose estimators: counted, not timed."""

from typing import Any

import torch
from mmengine.config import Config
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common.files import METAINFO
from benchmarks.speed.setup import POSE_CONFIGS, generator_config, pose_config

PAPER_WIDTH = 128
_COUNTED = (
    'pg2-self_figures-64x48',
    'pg2-self_coco-128x96',
    'pg2-self-w64_coco-128x96',
    'pg2-self_coco-256x192',
    'pg2-self-w64_coco-256x192',
)


class WrittenBytes(TorchDispatchMode):
    """Bytes of what operations write; views of what there is are not counted."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [t for t in tree_leaves(out) if isinstance(t, torch.Tensor)]
            self.total += sum(t.numel() * t.element_size() for t in tensors)
        return out


def count(module: nn.Module, *inputs: torch.Tensor | None, **modes: Any) -> dict[str, float]:
    """Multiply-adds and bytes of one image, forward and with the way back; on the meta device."""
    counts: dict[str, float] = {
        'parameter_bytes': sum(p.numel() * p.element_size() for p in module.parameters())
    }
    with FlopCounterMode(display=False) as forward, WrittenBytes() as written:
        outputs = module(*inputs, **modes)
    counts |= {'forward': forward.get_total_flops() / 2, 'activation_bytes': written.total}
    with FlopCounterMode(display=False) as backward:
        sum(t.sum() for t in tree_leaves(outputs)).backward()
    counts['train'] = counts['forward'] + backward.get_total_flops() / 2
    return counts


def count_generator(cfg: Config) -> dict[str, dict[str, float]]:
    """G1 and G2 of a config, for one person."""
    from pg2aug.registry import MODELS

    with torch.device('meta'):
        model = MODELS.build(dict(cfg.model, stage1_iters=0))
        width, height = cfg.model.size
        image = torch.empty(1, 3, height, width)
        pose = torch.empty(1, cfg.model.num_keypoints, height, width)
        extra = torch.empty(1, 4, height, width) if model.data_preprocessor.aligned else None
        return {
            'G1': count(model.generator1, image, pose, extra),
            'G2': count(model.generator2, image, image),
        }


def count_pose_model(cfg: Config) -> dict[str, float]:
    """A top-down estimator, for one image; the way back begins at its output, not at the loss."""
    from mmpose.registry import MODELS

    with torch.device('meta'):
        model = MODELS.build(dict(cfg.model, data_preprocessor=None, _scope_='mmpose'))
        width, height = cfg.codec.input_size
        return count(model, torch.empty(2, 3, height, width), None, mode='tensor')


def run_counts() -> dict[str, Any]:
    """The part ``counts``, the same on every device."""
    generators = {name: count_generator(generator_config(name)) for name in _COUNTED}
    paper = generator_config('paper/pg2_market1501-128x64')
    paper.merge_from_dict({'model.size': (192, 256), 'model.num_keypoints': 17})
    paper.model.data_preprocessor.metainfo = METAINFO
    generators[f'pg2, width {PAPER_WIDTH}, 256x192'] = count_generator(paper)
    poses = {name: count_pose_model(pose_config(name)) for name in POSE_CONFIGS}
    # Batch norm cannot train on one value a channel: two images were shown.
    shared = 'parameter_bytes'
    halved = {
        name: {key: value if key == shared else value / 2 for key, value in counts.items()}
        for name, counts in poses.items()
    }
    return {'generators': generators, 'pose_models': halved}
