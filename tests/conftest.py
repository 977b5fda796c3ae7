import gc
from pathlib import Path

import pytest
import torch
from helpers import forget_runners

SHARED_DATA = Path(__file__).resolve().parents[2] / 'shared' / 'data'

# Small tensors: threads cost more than they bring, and results do not depend on the machine.
torch.set_num_threads(1)


def pytest_collection_finish():
    """Leave what was imported out of the garbage collection that MMEngine makes a data set."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session')
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip('needs ../shared/data beside the repository')
    return SHARED_DATA


@pytest.fixture(autouse=True)
def _forget_runners():
    """No test sees the Runners of another one, or of a fixture that many share."""
    forget_runners()
    yield
    forget_runners()
