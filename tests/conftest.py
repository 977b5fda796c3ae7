import gc
import resource
from contextlib import contextmanager
from pathlib import Path

import mmengine.config.config
import mmengine.runner.runner
import pytest
import torch
from helpers import forget_runners

SHARED_DATA = Path(__file__).resolve().parents[2] / 'shared' / 'data'

# Small tensors: threads cost more than they bring, and results do not depend on the machine.
torch.set_num_threads(1)
# What a Runner writes about itself takes longer than the small trainings: yapf's layout of configs,
# up to 15 s where paths are long, and the versions of compilers.
mmengine.config.config.FormatCode = lambda text, **_: (f'{text}\n', True)
mmengine.runner.runner.collect_env = dict


def pytest_collection_finish():
    """Leave what was imported out of the garbage collection that MMEngine makes a data set."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session')
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip('needs ../shared/data beside the repository')
    return SHARED_DATA


@pytest.fixture
def full_disk():
    """Let no file grow beyond some bytes: writing fails midway, as on a full disk."""

    @contextmanager
    def limit(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture(autouse=True)
def _forget_runners():
    """No test sees the Runners of another one, or of a fixture that many share."""
    forget_runners()
    yield
    forget_runners()
