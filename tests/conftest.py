from pathlib import Path

import pytest
import torch
from helpers import forget_runners

SHARED_DATA = Path(__file__).resolve().parents[2] / 'shared' / 'data'

# Small tensors: threads cost more than they bring, and results do not depend on the machine.
torch.set_num_threads(1)


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
