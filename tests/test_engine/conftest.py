import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from training_helpers import write_stick_people


@pytest.fixture(autouse=True)
def _forget_runners():
    """A Runner leaves its logger, message hub and default scope behind: other tests see none."""
    managers = (DefaultScope, MessageHub, MMLogger, Visualizer)
    before = [manager._instance_dict.copy() for manager in managers]
    yield
    for manager, instances in zip(managers, before, strict=True):
        manager._instance_dict.clear()
        manager._instance_dict.update(instances)


@pytest.fixture(scope='session')
def people(tmp_path_factory):
    """Config of a COCO dataset of three stick people in three poses each."""
    return write_stick_people(tmp_path_factory.mktemp('people'))
