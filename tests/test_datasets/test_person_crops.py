"""Crops that are kept in memory are those that would be made again."""

import pickle

import pytest
import torch
from torch.utils.data import DataLoader
from training_helpers import write_stick_people

from pg2aug.datasets import PersonPairDataset, person_crops

SIZE = (32, 64)
PERSONS = 9


@pytest.fixture
def people(tmp_path):
    return write_stick_people(tmp_path)


@pytest.fixture
def read(monkeypatch):
    """Paths of the images that were read, in order."""
    paths, load_image = [], person_crops.load_image
    monkeypatch.setattr(
        person_crops, 'load_image', lambda path, *args: paths.append(path) or load_image(path)
    )
    return paths


def assert_same_items(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert a.keys() == b.keys()
        for name, value in b.items():
            if isinstance(value, torch.Tensor):
                assert a[name].dtype == value.dtype
                assert torch.equal(a[name], value), name
            else:
                assert a[name] == value


@pytest.mark.parametrize('pairing', ['identity', 'self'])
def test_kept_crops_give_the_same_items_from_images_read_once(people, read, pairing):
    options = dict(pairing=pairing)
    expected = list(PersonPairDataset(people, SIZE, cache_mb=0, **options))
    read.clear()
    pairs = PersonPairDataset(people, SIZE, **options)
    for _ in range(2):
        assert_same_items(list(pairs), expected)
    assert len(read) == len(set(read)) == PERSONS


def test_items_may_be_changed_without_harm(people):
    pairs = PersonPairDataset(people, SIZE)
    expected = PersonPairDataset(people, SIZE, cache_mb=0)[0]
    for value in pairs[0].values():
        if isinstance(value, torch.Tensor):
            value.zero_()
    assert_same_items([pairs[0]], [expected])


def test_forked_workers_share_what_they_keep(people, tmp_path):
    pairs = PersonPairDataset(people, SIZE)
    loader = DataLoader(pairs, batch_size=None, num_workers=2, multiprocessing_context='fork')
    items = list(loader)
    for path in tmp_path.glob('*.png'):
        path.unlink()
    assert_same_items(list(pairs), items)
    assert_same_items(list(loader), items)


@pytest.mark.parametrize('kept', [0, 1, 4])
def test_memory_is_bounded_and_the_rest_is_made_each_time(people, read, kept):
    record = 32 * 64 * 3 + 17 * (8 + 4) + 4 + 1
    pairs = PersonPairDataset(people, SIZE, cache_mb=(kept + 0.5) * record / 2**20)
    for index in range(len(pairs)):
        pairs[index]
    uses = len(pairs) * 2 // PERSONS
    assert len(read) == kept + (PERSONS - kept) * uses


def test_a_self_pair_reads_its_image_once_without_memory_too(people, read):
    PersonPairDataset(people, SIZE, pairing='self', cache_mb=0)[0]
    assert len(read) == 1


def test_a_copy_for_a_spawned_worker_gives_the_same_items(people):
    pairs = PersonPairDataset(people, SIZE)
    expected = list(pairs)
    assert_same_items(list(pickle.loads(pickle.dumps(pairs))), expected)


@pytest.mark.parametrize('cache_mb', [-1, None, '64', True, float('nan'), float('inf')])
def test_what_is_no_amount_of_memory_is_refused(people, cache_mb):
    message = rf'cache_mb must be a finite number of MB, at least 0, got {cache_mb!r}: set 0 to'
    with pytest.raises(ValueError, match=message):
        PersonPairDataset(people, SIZE, cache_mb=cache_mb)


def test_more_than_can_be_reserved_is_an_error_with_a_remedy(people, monkeypatch):
    def refuse(*_):
        raise OSError(12, 'Cannot allocate memory')

    monkeypatch.setattr(person_crops.mmap, 'mmap', refuse)
    with pytest.raises(MemoryError, match=r'cannot reserve .* MB .*cache_mb .* lower'):
        PersonPairDataset(people, SIZE)
