import importlib
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmpose.datasets import CocoDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from pg2aug import compat


@pytest.fixture
def fake_mmcv(tmp_path, monkeypatch):
    """Makes a package `mmcv` that has compiled operators or not, and cleans it up."""
    for name in [name for name in sys.modules if name.partition('.')[0] == 'mmcv']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, 'meta_path', list(sys.meta_path))
    monkeypatch.syspath_prepend(tmp_path)

    def make(compiled):
        (tmp_path / 'mmcv' / 'ops').mkdir(parents=True)
        (tmp_path / 'mmcv' / '__init__.py').write_text('')
        (tmp_path / 'mmcv' / 'ops' / '__init__.py').write_text(
            'import mmcv._ext\ndef nms():\n    return "compiled"\n'
        )
        if compiled:
            (tmp_path / 'mmcv' / '_ext.py').write_text('')
        importlib.invalidate_caches()

    yield make
    for name in [name for name in sys.modules if name.partition('.')[0] == 'mmcv']:
        del sys.modules[name]


def test_standins_import_with_mmcv_lite_and_name_the_remedy_when_used(fake_mmcv):
    fake_mmcv(compiled=False)
    compat.install_mmcv_ops_standins()
    import mmcv.ops
    from mmcv.ops import MultiScaleDeformableAttention
    from mmcv.ops.nms import batched_nms

    assert MultiScaleDeformableAttention is mmcv.ops.MultiScaleDeformableAttention
    with pytest.raises(ImportError, match=r'mmcv\.ops\.MultiScaleDeformableAttention .*full mmcv'):
        MultiScaleDeformableAttention(embed_dims=8)
    with pytest.raises(ImportError, match=r'mmcv\.ops\.batched_nms'):
        batched_nms([], [], [], {})
    # The submodule has hidden the operator of the same name.
    with pytest.raises(ImportError, match=r'mmcv\.ops\.nms '):
        mmcv.ops.nms([], [], 0.5)


def test_standins_can_be_subclassed_registered_and_compared_with(fake_mmcv):
    fake_mmcv(compiled=False)
    compat.install_mmcv_ops_standins()
    from mmcv.ops import DeformConv2d, ModulatedDeformConv2d

    registry = Registry('op')
    registry.register_module('DCN', module=DeformConv2d)

    @registry.register_module()
    class Packed(DeformConv2d, torch.nn.Module):
        def __init__(self, channels):
            super().__init__()

    assert not isinstance(torch.nn.Conv2d(1, 1, 1), (DeformConv2d, ModulatedDeformConv2d))
    for name in ('DCN', 'Packed'):
        with pytest.raises(ImportError, match=r'mmcv\.ops\.DeformConv2d was used'):
            registry.build({'type': name, 'channels': 3})


def test_standin_modules_hide_private_and_dunder_names(fake_mmcv):
    fake_mmcv(compiled=False)
    compat.install_mmcv_ops_standins()
    ops = importlib.import_module('mmcv.ops')

    assert ops.__path__ == []
    assert not hasattr(ops, '__wrapped__')
    assert not hasattr(ops, '__file__')
    assert not hasattr(ops, '_private')
    assert ops.get_compiler_version() == 'n/a'


def test_full_mmcv_is_left_alone(fake_mmcv):
    fake_mmcv(compiled=True)
    compat.install_mmcv_ops_standins()
    ops = importlib.import_module('mmcv.ops')

    assert ops.nms() == 'compiled'
    assert not hasattr(ops, 'DeformConv2d')
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module('mmcv.ops.no_such_file')


def test_installing_twice_is_installing_once_and_imports_nothing(fake_mmcv):
    fake_mmcv(compiled=False)
    compat.install_mmcv_ops_standins()
    finders = len(sys.meta_path)
    compat.install_mmcv_ops_standins()

    assert len(sys.meta_path) == finders
    assert 'mmcv' not in sys.modules


TRAIN_TOPDOWN = """
import sys
import torch
from pg2aug.compat import install_mmcv_ops_standins

torch.set_num_threads(1)
install_mmcv_ops_standins()
assert 'mmpose.models' not in sys.modules and 'mmdet' not in sys.modules
import mmpose.models
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

init_default_scope('mmpose')
model = MODELS.build(dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    head=dict(
        type='HeatmapHead', in_channels=64, out_channels=2, deconv_out_channels=(8,),
        deconv_kernel_sizes=(4,), loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(4, 4), sigma=1)),
))
sample = PoseDataSample(
    gt_instance_labels=InstanceData(keypoint_weights=torch.ones(1, 2)),
    gt_fields=PixelData(heatmaps=torch.rand(2, 4, 4)))
before = model.head.final_layer.weight.detach().clone()
optimiser = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1.0))
batch = dict(inputs=[torch.randint(256, (3, 64, 64), dtype=torch.uint8)], data_samples=[sample])
losses = model.train_step(batch, optimiser)
print('trained', not torch.equal(before, model.head.final_layer.weight), sorted(losses))

try:
    MODELS.build(dict(
        type='DEKRHead', in_channels=8, num_keypoints=2, heatmap_loss=None,
        displacement_loss=None))
except ImportError as error:
    print('refused', error)
"""


@pytest.mark.slow
def test_mmpose_models_imports_and_a_topdown_model_trains():
    done = subprocess.run(
        [sys.executable, '-c', TRAIN_TOPDOWN], capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr
    assert "trained True ['acc_pose', 'loss', 'loss_kpt']" in done.stdout
    if importlib.util.find_spec('mmcv._ext') is None:
        assert 'refused mmcv.ops.DeformConv2d was used' in done.stdout


class Tiny(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, inputs, mode='tensor'):
        return {'loss': self.layer(inputs).square().mean()}


class Numbers(BaseDataset):
    METAINFO = parse_pose_metainfo(CocoDataset.METAINFO)

    def load_data_list(self):
        return [{'value': value} for value in range(4)]

    def prepare_data(self, idx):
        return {'inputs': torch.tensor([float(idx)])}


def make_runner(work_dir, max_epochs, **kwargs):
    return Runner(
        Tiny(),
        work_dir=str(work_dir),
        train_dataloader={
            'dataset': Numbers(),
            'batch_size': 2,
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'collate_fn': {'type': 'default_collate'},
        },
        train_cfg={'by_epoch': True, 'max_epochs': max_epochs},
        optim_wrapper={'optimizer': {'type': 'Adam', 'lr': 0.1}},
        default_hooks={'logger': {'type': 'LoggerHook', 'interval': 1}},
        experiment_name=f'{work_dir.name}_{max_epochs}',
        log_level='ERROR',
        cfg=Config({'note': 'tiny'}),
        **kwargs,
    )


@pytest.fixture
def no_allow_list():
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


@pytest.fixture
def runner_checkpoint(tmp_path, no_allow_list):
    make_runner(tmp_path, max_epochs=1).train()
    return tmp_path / 'epoch_1.pth'


def test_runner_checkpoint_loads_whole(runner_checkpoint):
    with pytest.raises(pickle.UnpicklingError):
        torch.load(runner_checkpoint)

    checkpoint = compat.load_checkpoint(runner_checkpoint)

    meta = checkpoint['meta']['dataset_meta']
    np.testing.assert_array_equal(meta['sigmas'], Numbers.METAINFO['sigmas'])
    assert meta['flip_pairs'] == Numbers.METAINFO['flip_pairs']
    assert meta['keypoint_colors'].dtype == Numbers.METAINFO['keypoint_colors'].dtype
    history = checkpoint['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer)
    assert len(history.data[0]) == 2
    assert history.statistics('current') == history.data[0][-1]


def test_resume_continues_from_a_runner_checkpoint(runner_checkpoint, tmp_path):
    compat.allow_runner_checkpoints()
    compat.allow_runner_checkpoints()
    runner = make_runner(tmp_path, max_epochs=2, resume=True)
    runner.train()

    assert runner.iter == 4
    assert len(runner.message_hub.get_scalar('train/loss').data[0]) == 4


@pytest.mark.parametrize(
    'value',
    [
        np.float64(0.25),
        np.bool_(True),
        np.array(['nose', 'neck']),
        np.array([{'a': (1, 2)}, None], dtype=object),
        np.zeros((0, 2), np.float16),
        {1, 2},
        b'bytes',
    ],
    ids=repr,
)
def test_plain_values_round_trip(tmp_path, value):
    torch.save({'value': value}, tmp_path / 'plain.pth')

    loaded = compat.load_checkpoint(tmp_path / 'plain.pth')['value']

    assert type(loaded) is type(value)
    np.testing.assert_equal(loaded, value)


@pytest.mark.parametrize('core', ['core', '_core'])
def test_either_spelling_of_numpy_core_loads(tmp_path, core):
    torch.save({'value': np.arange(3)}, tmp_path / 'numpy.pth')
    data = pickle.dumps({'value': np.arange(3)}, protocol=2)
    data = data.replace(b'numpy._core.', b'numpy.core.').replace(
        b'numpy.core.', f'numpy.{core}.'.encode()
    )

    loaded = compat.load_checkpoint(write_with_pickle(tmp_path / 'numpy.pth', data))

    np.testing.assert_array_equal(loaded['value'], np.arange(3))


def write_with_pickle(path, data):
    """A checkpoint as torch writes it, with its pickle replaced by `data`."""
    writer = torch._C.PyTorchFileWriter(str(path))
    writer.write_record('data.pkl', data, len(data))
    writer.write_record('byteorder', b'little', 6)
    writer.write_end_of_file()
    return path


class Call:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
@pytest.mark.parametrize(
    ('function', 'name'),
    [
        (os.system, r'posix\.system'),
        (eval, r'builtins\.eval'),
        (exec, r'builtins\.exec'),
        (shutil.copyfile, r'shutil\.copyfile'),
    ],
)
def test_malicious_checkpoint_is_refused_by_name_and_does_not_run(
    tmp_path, no_allow_list, function, name, legacy
):
    trace = tmp_path / 'trace'
    arguments = {
        os.system: [f'touch {trace}'],
        shutil.copyfile: [__file__, str(trace)],
    }.get(function, [f'open({str(trace)!r}, "w").close()'])
    payload = Call(function, *arguments)
    path = tmp_path / 'malicious.pth'
    torch.save({'state_dict': {}, 'meta': payload}, path, _use_new_zipfile_serialization=not legacy)

    with pytest.raises(ValueError, match=rf'malicious\.pth was refused: .*`{name}`.*trust'):
        compat.load_checkpoint(path)
    assert not trace.exists()

    torch.load(path, weights_only=False)  # the file would have worked
    assert trace.exists()


@pytest.mark.parametrize(
    ('chain', 'named'),
    [
        ((HistoryBuffer, '__init__'), r'builtins\.getattr\(HistoryBuffer,__init__\)'),
        ((HistoryBuffer, '__class__'), r'builtins\.getattr\(HistoryBuffer,__class__\)'),
        ((HistoryBuffer, '_set_default_statistics'), '_set_default_statistics'),
        ((HistoryBuffer, 'register_statistics'), 'register_statistics'),
        ((Call(getattr, HistoryBuffer, 'min'), '__globals__'), r'HistoryBuffer\.min,__globals__'),
        ((np.dtype, 'mro'), r'builtins\.getattr\(dtype,mro\)'),
        (('text', 'format'), r'builtins\.getattr\(str,format\)'),
        ((HistoryBuffer([1], [1]), 'min'), r'builtins\.getattr\(HistoryBuffer,min\)'),
        ((HistoryBuffer, 3), r'builtins\.getattr\(HistoryBuffer,3\)'),
    ],
)
def test_getattr_chains_are_refused(tmp_path, chain, named):
    path = tmp_path / 'chain.pth'
    torch.save({'meta': Call(getattr, *chain)}, path)

    with pytest.raises(ValueError, match=named):
        compat.load_checkpoint(path)


def test_what_getattr_serves_cannot_be_called_by_a_checkpoint(tmp_path):
    method = Call(getattr, HistoryBuffer, 'min')
    data = pickle.dumps(method, protocol=2)[:-1] + b')R.'

    with pytest.raises(ValueError, match=r'function HistoryBuffer\.min'):
        compat.load_checkpoint(write_with_pickle(tmp_path / 'call.pth', data))


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
def test_instructions_outside_the_restricted_loader_are_refused(tmp_path):
    path = tmp_path / 'new_protocol.pth'
    path.write_bytes(pickle.dumps(Call(os.system, f'touch {tmp_path}/trace'), protocol=4))

    with pytest.raises(ValueError, match=r'new_protocol\.pth is not a checkpoint'):
        compat.load_checkpoint(path)
    assert not (tmp_path / 'trace').exists()


@pytest.mark.parametrize('share', [0, 0.5])
def test_file_cut_short_is_named(tmp_path, share):
    path = tmp_path / 'cut.pth'
    torch.save({'state_dict': {'weight': torch.zeros(100)}}, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    with pytest.raises(ValueError, match=r'cut\.pth cannot be read'):
        compat.load_checkpoint(path)


@pytest.mark.parametrize(
    'content',
    [
        b'junk',
        b'i am a text, not weights\n',
        b'x' * 400,
        b'\x80\x02\xff',
        b'\x80\x02}q\x01X\x01',
        b'h\x05.',
    ],
)
def test_junk_is_named(tmp_path, content):
    (tmp_path / 'junk.pth').write_bytes(content)

    with pytest.raises(ValueError, match=r'junk\.pth (cannot be read as|is not) a checkpoint'):
        compat.load_checkpoint(tmp_path / 'junk.pth')


def test_something_else_that_torch_saved_is_named(tmp_path):
    torch.save(torch.zeros(3), tmp_path / 'tensor.pth')

    with pytest.raises(ValueError, match=r'tensor\.pth holds a Tensor'):
        compat.load_checkpoint(tmp_path / 'tensor.pth')


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent\.pth'):
        compat.load_checkpoint(tmp_path / 'absent.pth')


def test_older_torch_is_told_apart(monkeypatch, tmp_path, no_allow_list):
    monkeypatch.setattr(torch, '__version__', '2.5.1+cu121')

    with pytest.warns(UserWarning, match=r'torch 2\.5\.1\+cu121 .*upgrade to torch 2\.6'):
        compat.allow_runner_checkpoints()
    with pytest.raises(RuntimeError, match=r'old\.pth safely: torch 2\.5\.1'):
        compat.load_checkpoint(tmp_path / 'old.pth')
    assert torch.serialization.get_safe_globals() == []
