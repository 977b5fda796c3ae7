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
    with forget_runners():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(request):
    """What a fixture that many tests share builds with a Runner is as good as without one."""
    if request.scope == 'function':
        return (yield)
    with forget_runners():
        return (yield)
