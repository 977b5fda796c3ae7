import pytest
from training_helpers import write_stick_people


@pytest.fixture(scope='session')
def people(tmp_path_factory):
    """Config of a COCO dataset of three stick people in three poses each."""
    return write_stick_people(tmp_path_factory.mktemp('people'))
