from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import SIZE, TINY_MODEL, make_batch, make_pg2
from torch.utils.data import default_collate

from pg2aug.datasets import PersonPairDataset
from pg2aug.engine.sample_sheet_hook import TITLES, SampleSheetHook, sample_sheet
from pg2aug.models.preprocessor import to_image_range
from pg2aug.visualization.skeletons import contact_sheet, skeleton_image


def to_array(image):
    return image.permute(1, 2, 0).numpy()


def test_a_sheet_shows_each_pair_and_what_was_made_of_it():
    skeleton = make_pg2().data_preprocessor.skeleton
    batch = make_batch(num=2)
    # In the model's RGB in [-1, 1]: pure red, and blue beyond the range.
    coarse, refined = torch.full((2, 3, 64, 32), -1.0), torch.full((2, 3, 64, 32), -3.0)
    coarse[:, 0], refined[:, 2] = 1, 3
    red, blue = (np.full((64, 32, 3), color, np.uint8) for color in ([0, 0, 255], [255, 0, 0]))
    rows = []
    for i in range(2):
        joints = batch['target_keypoints'][i].numpy(), batch['target_visible'][i].numpy()
        images = [to_array(batch[f'{role}_image'][i]) for role in ('condition', 'target')]
        rows.append([images[0], skeleton_image(SIZE, *joints, skeleton), images[1], red, blue])
    outputs = list(zip(coarse, refined, strict=True))
    sheet = sample_sheet(batch, outputs, skeleton)
    assert sheet.dtype == np.uint8
    np.testing.assert_array_equal(sheet, contact_sheet(rows, TITLES))
    assert not np.array_equal(rows[0][1], rows[1][1]), 'both rows have the same pose'

    large = sample_sheet(batch, outputs, skeleton, scale=2)
    assert large.shape[0] - sheet.shape[0] == 2 * 64
    assert large.shape[1] - sheet.shape[1] == 5 * 32


def test_self_pairs_show_what_the_generator_gets(people, tmp_path):
    options = dict(foreground=True, aligned=True, matte=True)
    preprocessor = {**TINY_MODEL['data_preprocessor'], **options}
    model = make_pg2(data_preprocessor=preprocessor)
    cfg = dict(type='pg2aug.PersonPairDataset', size=SIZE, dataset=people, pairing='self')
    hook = SampleSheetHook(cfg, interval=7, num_pairs=2)
    hook.before_train(runner=None)
    sheets = []
    visualizer = SimpleNamespace(add_image=lambda name, sheet, step: sheets.append(sheet))
    runner = SimpleNamespace(model=model, work_dir=tmp_path, iter=6, visualizer=visualizer)
    hook.after_train_iter(runner, batch_idx=6)
    model.eval()
    with torch.no_grad():
        warps = model.data_preprocessor(hook.batch)['warp']
        outputs = model.val_step(hook.batch)
    skeleton = model.data_preprocessor.skeleton
    plain = sample_sheet(hook.batch, outputs, skeleton)
    sheet = sample_sheet(hook.batch, outputs, skeleton, warps=warps)
    np.testing.assert_array_equal(sheets[0][..., ::-1], sheet)
    assert sheet.shape[1] - plain.shape[1] >= SIZE[0]
    # The second of the columns: grey beyond the limbs, and not the condition.
    shown = to_array(to_image_range(warps[:1, :3])[0].round().to(torch.uint8))
    windows = np.lib.stride_tricks.sliding_window_view(sheet, shown.shape)[:, :, 0]
    assert (windows == shown).all(axis=(2, 3, 4)).any()


@pytest.mark.parametrize(('num_pairs', 'indices'), [(1, [0]), (3, [0, 8, 17]), (99, range(18))])
def test_the_pairs_are_fixed_and_spread_over_the_dataset(people, num_pairs, indices):
    cfg = dict(type='pg2aug.PersonPairDataset', size=SIZE, dataset=people, flip=False)
    hook = SampleSheetHook(cfg, num_pairs=num_pairs)
    hook.before_train(runner=None)
    dataset = PersonPairDataset(people, SIZE, flip=False)
    expected = default_collate([dataset[i] for i in indices])
    assert torch.equal(hook.batch['condition_id'], expected['condition_id'])
    assert torch.equal(hook.batch['target_image'], expected['target_image'])


def test_a_dataset_that_cannot_be_read_fails_before_training(people):
    missing = dict(people, ann_file='missing.json')
    hook = SampleSheetHook(dict(type='pg2aug.PersonPairDataset', size=SIZE, dataset=missing))
    with pytest.raises(FileNotFoundError, match=r'missing\.json'):
        hook.before_train(runner=None)
