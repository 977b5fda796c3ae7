"""How users write PG2Augment and PG2Hook, each tried in a process that knows nothing yet."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A user's config: MMPose's own scope, and what `custom_imports` gives.
BUILD = """
import sys
from mmengine.config import Config
from mmengine.registry import HOOKS, init_default_scope

config = Config.fromfile({config!r})
assert ('pg2aug.datasets' in sys.modules) == {imported}
heavy = [name for name in sys.modules if name.startswith(('mmpose.models', 'mmdet'))]
assert not heavy, heavy
init_default_scope(config.default_scope)
from mmpose.registry import TRANSFORMS
augment = TRANSFORMS.build(config.train_pipeline[1])
hook = HOOKS.build(config.custom_hooks[0])
import pg2aug.augment
assert type(augment) is pg2aug.augment.PG2Augment, type(augment)
assert type(hook) is pg2aug.augment.PG2Hook, type(hook)
assert augment.prob == 0.25
"""


@pytest.mark.parametrize(
    ('prefix', 'imports'), [('pg2aug.', ''), ('', "custom_imports = dict(imports=['pg2aug'])")]
)
def test_both_spellings_work_in_a_config(generator, pose_bank, tmp_path, prefix, imports):
    """And importing the package loads no models."""
    augment = dict(type=f'{prefix}PG2Augment', generator=generator, pose_bank=pose_bank, prob=0.25)
    text = (
        f"default_scope = 'mmpose'\n{imports}\n"
        f"train_pipeline = [dict(type='LoadImage'), {augment!r}]\n"
        f"custom_hooks = [dict(type='{prefix}PG2Hook', interval=5)]\n"
    )
    (tmp_path / 'pose.py').write_text(text)
    code = BUILD.format(config=str(tmp_path / 'pose.py'), imported=bool(imports))
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
