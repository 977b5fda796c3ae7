import pytest
from painted_people import train_estimator


@pytest.fixture(scope='session')
def pose_model(tmp_path_factory):
    """Config and checkpoint of an estimator, trained here in seconds."""
    return train_estimator(tmp_path_factory.mktemp('estimator'))
