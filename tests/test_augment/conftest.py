import pytest
from augment_world import SmoothPG2, write_generator

from pg2aug.augment import GeneratorFile, PG2Augment
from pg2aug.figures import make_figures
from pg2aug.poses import PoseBank


@pytest.fixture(scope='session')
def people(tmp_path_factory):
    """Config of a COCO dataset of procedural people."""
    folder = tmp_path_factory.mktemp('people')
    make_figures(
        folder, num_people=4, images_per_person=4, size=(72, 96), rare_fraction=0.2, seed=9
    )
    return dict(
        type='CocoDataset',
        data_root=str(folder),
        ann_file='person_keypoints_train.json',
        data_prefix=dict(img='images/train/'),
    )


@pytest.fixture(scope='session')
def generator(tmp_path_factory, people):
    return write_generator(tmp_path_factory.mktemp('generator'), people)


@pytest.fixture(scope='session')
def pose_bank(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bank')
    path = make_figures(folder, num_people=3, images_per_person=4, rare_fraction=1.0, seed=7)
    PoseBank.load(path).save(folder / 'bank.npz')
    return str(folder / 'bank.npz')


@pytest.fixture
def make_augment(generator, pose_bank):
    def make(**settings):
        defaults = dict(prob=1, check=None, device='cpu')
        return PG2Augment(generator, pose_bank, **{**defaults, **settings})

    return make


@pytest.fixture
def smooth_persons(monkeypatch):
    """Generators of whatever weights make smooth persons that show where their joints are."""

    def build(self):
        settings = {name: value for name, value in self.config.items() if name != 'type'}
        return SmoothPG2(**{**settings, 'stage1_iters': 0}).eval().requires_grad_(False)

    monkeypatch.setattr(GeneratorFile, 'build', build)
