"""tools/test_pg2.py, and the Runner that it builds."""

import json
import os
import runpy
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from helpers import SIZE, forget_runners
from skimage.metrics import structural_similarity
from torch import nn
from training_helpers import ROOT, run_ranks, write_stick_people

from pg2aug.compat import load_checkpoint
from pg2aug.engine.testing import build_test_runner, metric_settings
from pg2aug.evaluation import frechet_distance
from pg2aug.evaluation.images_hook import pair_names
from pg2aug.utils.output import writing_folder

RESULTS = {
    '.pg2aug.json',
    'condition',
    'pose',
    'target',
    'synthesised',
    'sheet.png',
    'results.json',
}


@pytest.fixture
def main():
    tool = runpy.run_path(str(ROOT / 'tools/test_pg2.py'))['main']

    def run(arguments):
        # Runners of the same name and second would share their loggers, unlike two processes.
        forget_runners()
        return tool(arguments)

    return run


class SmallExtractor(nn.Module):
    """Stands for Inception, of which it has the two outputs: 6 features and 5 logits."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(6, 3, 8, 8, generator=generator) / 500)
        self.logits = nn.Parameter(torch.randn(6, 5, generator=generator))

    def forward(self, images):
        maps = nn.functional.conv2d(images.float(), self.weight, stride=4)
        features = maps.relu().mean(dim=(2, 3))
        return features, features @ self.logits


@pytest.fixture
def extractor(tmp_path, monkeypatch):
    """Arguments for IS and FID by a small network, the same in every process."""
    monkeypatch.setattr('pg2aug.evaluation.inception.load_inception', lambda path: SmallExtractor())
    (tmp_path / 'small.pth').write_bytes(b'small')
    return ['--inception-weights', str(tmp_path / 'small.pth'), '--other-weights']


def dump(cfg, path):
    cfg.dump(path)
    return str(path)


def read_images(folder):
    return {path.stem: cv2.imread(str(path))[..., ::-1] for path in sorted(folder.iterdir())}


def values(folder):
    metrics = json.loads((folder / 'results.json').read_text())['metrics']
    return {name: entry['value'] for name, entry in metrics.items()}


def test_scores_images_and_sheet(main, test_config, checkpoint, extractor, tmp_path, capsys):
    out = tmp_path / 'out'
    config = dump(test_config(num_pairs=12), tmp_path / 'config.py')
    assert main([config, checkpoint, '--out', str(out), *extractor]) == 0

    folders = [read_images(out / name) for name in ('condition', 'target', 'synthesised')]
    condition, target, synthesised = folders
    assert len(target) == 12
    assert condition.keys() == target.keys() == synthesised.keys()
    source, other = next(iter(target)).split('__')
    assert source != other
    same = [name for name in target if name.endswith(f'__{other}')]
    assert all(np.array_equal(target[same[0]], target[name]) for name in same)

    found = values(out)
    expected = [
        structural_similarity(target[name], synthesised[name], channel_axis=2) for name in target
    ]
    assert found['SSIM'] == pytest.approx(np.mean(expected), abs=1e-9)
    images = [
        torch.from_numpy(np.stack(list(folder.values())).transpose(0, 3, 1, 2).copy())
        for folder in (synthesised, target)
    ]
    features, targets = (SmallExtractor()(batch)[0].detach() for batch in images)
    assert found['FID'] == pytest.approx(frechet_distance(features, targets), rel=1e-3, abs=1e-6)
    assert 1 < found['mask-IS'] < 5

    sheet = cv2.imread(str(out / 'sheet.png'))
    assert sheet.shape[1] >= 4 * SIZE[0]
    assert sheet.shape[0] >= 12 * SIZE[1]
    printed, log = capsys.readouterr()
    assert printed.splitlines()[1] == 'SSIM / IS / mask-SSIM / mask-IS'
    row = [found[name] for name in ('SSIM', 'IS', 'mask-SSIM', 'mask-IS')]
    # So few images for an Inception score that a note must be read.
    assert '{:.3f} / {:.3f}* / {:.3f} / {:.3f}*'.format(*row) in printed
    assert printed.count('too few images: 1 in a split') == 2
    assert 'not computed (no pose model)' in printed
    assert 'Iter(test) [3/3]' in log
    assert '18 pairs' in log
    assert 'None' not in log
    assert len(log.splitlines()) < 20

    arguments = [config, checkpoint, '--out', str(out)]
    assert main(arguments) == 2
    assert 'pass --overwrite' in capsys.readouterr().err
    assert main([*arguments, '--overwrite', '--num-pairs', '3']) == 0
    assert len(read_images(out / 'target')) == 3
    assert values(out)['IS'] is None
    assert {path.name for path in out.iterdir()} == RESULTS


def test_two_processes_score_as_one(main, test_config, checkpoint, extractor, tmp_path):
    """Of 11 pairs the second process gets one twice, which must not count twice."""
    cfg = test_config(num_pairs=11)
    config = dump(cfg, tmp_path / 'config.py')
    arguments = [config, checkpoint, *extractor]
    assert main([*arguments, '--out', str(tmp_path / 'one')]) == 0
    two = [*arguments, '--out', str(tmp_path / 'two'), '--launcher', 'pytorch']
    # Forked, as the network that stands for Inception is this process's.
    run_ranks(main, two, start_method='fork')
    one, two = values(tmp_path / 'one'), values(tmp_path / 'two')
    assert one.keys() == two.keys()
    computed = [name for name, value in one.items() if value is not None]
    assert {'SSIM', 'mask-SSIM', 'IS', 'mask-IS', 'FID'} <= set(computed)
    for name in computed:
        assert two[name] == pytest.approx(one[name], rel=1e-4), name
    folders = [read_images(tmp_path / name / 'synthesised') for name in ('one', 'two')]
    assert folders[0].keys() == folders[1].keys()
    assert len(folders[0]) == 11
    assert {path.name for path in (tmp_path / 'two').iterdir()} == RESULTS
    assert not (ROOT / '.dist_test').exists()


def test_pairs_of_a_file_and_the_coarse_image(main, test_config, checkpoint, tmp_path):
    pairs = tmp_path / 'pairs.csv'
    pairs.write_text('from,to\n0.png,2.png\n4.png,3.png\n')
    config = dump(test_config(), tmp_path / 'config.py')
    arguments = [config, checkpoint, '--pairs', os.path.relpath(pairs)]
    results = {}
    for image in ('refined', 'coarse'):
        out = tmp_path / image
        assert main([*arguments, '--out', str(out), '--image', image]) == 0
        results[image] = json.loads((out / 'results.json').read_text())
        assert read_images(out / 'synthesised').keys() == {'0__2', '4__3'}
    assert results['coarse']['image'] == 'coarse'
    assert Path(results['coarse']['pairs']).samefile(pairs)
    scores = [result['metrics']['SSIM']['value'] for result in results.values()]
    assert scores[0] != scores[1]


@pytest.mark.parametrize(
    ('preprocessor', 'expected'),
    [
        (dict(), False),
        (dict(foreground=True), True),
        (dict(foreground=True, aligned=True, matte=True), False),
    ],
)
def test_targets_follow_the_preprocessor(test_config, checkpoint, tmp_path, preprocessor, expected):
    cfg = test_config(model=dict(data_preprocessor=preprocessor))
    # As if it had been trained so.
    text = cfg.pretty_text
    trained = rewrite(checkpoint, tmp_path / 'so.pth', lambda c: c['meta'].update(cfg=text))
    if preprocessor.get('matte'):
        with pytest.raises(ValueError, match='does not fit'):
            build_test_runner(cfg, trained)
    else:
        build_test_runner(cfg, trained)
    assert metric_settings(cfg)['foreground'] is expected


def test_a_checkpoint_of_other_preprocessing_is_refused(test_config, checkpoint, tmp_path):
    cfg = test_config(model=dict(data_preprocessor=dict(foreground=True, heatmap_background=-1.0)))
    text = test_config().pretty_text
    plain = rewrite(checkpoint, tmp_path / 'plain.pth', lambda c: c['meta'].update(cfg=text))
    message = r'foreground=False, not True, heatmap_background=0\.0, not -1\.0\. Give the config'
    with pytest.raises(ValueError, match=message):
        build_test_runner(cfg, plain)
    # The joints may be described in the config itself.
    joints = dict(keypoint_info={0: dict(name='nose')})
    described = test_config(model=dict(data_preprocessor=dict(metainfo=joints)))
    text = described.pretty_text
    inline = rewrite(checkpoint, tmp_path / 'inline.pth', lambda c: c['meta'].update(cfg=text))
    with pytest.raises(ValueError, match=message):
        build_test_runner(cfg, inline)
    # One that does not say so is taken at its word.
    for text in (None, 'no = config', 'model = 1 +', 'model = build()'):
        bare = rewrite(checkpoint, tmp_path / 'bare.pth', lambda c, t=text: c['meta'].update(cfg=t))
        build_test_runner(cfg, bare)


def rewrite(checkpoint, path, change):
    content = load_checkpoint(checkpoint)
    change(content)
    torch.save(content, path)
    return str(path)


def test_a_checkpoint_of_another_size_names_both_sizes(test_config, checkpoint):
    cfg = test_config()
    cfg.model.size = cfg.test_dataloader.dataset.size = (48, 96)
    with pytest.raises(ValueError, match=r'tiny\.pth.*crops of 32x64.*takes 48x96'):
        build_test_runner(cfg, checkpoint)


def test_a_checkpoint_of_another_size_that_does_not_say_so(test_config, checkpoint, tmp_path):
    bare = rewrite(checkpoint, tmp_path / 'bare.pth', lambda content: content.pop('meta'))
    cfg = test_config()
    cfg.model.size = cfg.test_dataloader.dataset.size = (48, 96)
    with pytest.raises(ValueError, match=r'bare\.pth.* in the checkpoint and .* in the model'):
        build_test_runner(cfg, bare)


def test_test_data_of_another_size_names_both_sizes(test_config, checkpoint):
    cfg = test_config()
    cfg.test_dataloader.dataset.size = (48, 96)
    with pytest.raises(ValueError, match=r'model\.size is 32x64.*dataset\.size is 48x96'):
        build_test_runner(cfg, checkpoint)


def test_missing_and_unknown_weights_are_named(test_config, checkpoint, tmp_path):
    def change(content):
        del content['state_dict']['generator1.head.bias']
        content['state_dict']['teacher.weight'] = torch.zeros(1)

    changed = rewrite(checkpoint, tmp_path / 'changed.pth', change)
    with pytest.raises(ValueError, match=r'lacks generator1\.head\.bias; has.* teacher\.weight'):
        build_test_runner(test_config(), changed)


def test_a_checkpoint_of_other_joints_names_them(test_config, checkpoint, tmp_path):
    def change(content):
        names = content['meta']['dataset_meta']['keypoint_id2name']
        names[9], names[10] = names[10], names[9]

    changed = rewrite(checkpoint, tmp_path / 'joints.pth', change)
    with pytest.raises(ValueError, match=r"joints\.pth.*joint 9 is 'right_wrist'"):
        build_test_runner(test_config(), changed)


def test_another_padding_is_warned_of(test_config, checkpoint, capsys):
    cfg = test_config()
    cfg.test_dataloader.dataset.padding = 1.0
    build_test_runner(cfg, checkpoint)
    assert 'with padding 1.25' in capsys.readouterr().out


def test_no_test_data_is_an_error(main, test_config, checkpoint, tmp_path, capsys):
    cfg = test_config()
    cfg.pop('test_dataloader')
    assert main([dump(cfg, tmp_path / 'config.py'), checkpoint]) == 2
    assert 'config.py has no test_dataloader' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--inception-weights', 'none.pth'], "inception_weights='none.pth' does not exist"),
        (['--pose-model', 'pose.py'], 'pose_model and pose_checkpoint go together'),
        (['--pairs', 'none.csv'], "--pairs 'none.csv' does not exist"),
        (['--out', __file__], 'test_test_pg2.py is a file: name a folder'),
        (['--inception-weights', __file__, '--other-weights'], 'test_test_pg2.py is not a check'),
        (['--lpips-weights', __file__, '--other-weights'], 'test_test_pg2.py is not a check'),
        (
            ['--cfg-options', 'test_dataloader.dataset.dataset.ann_file=none.json'],
            "none.json' of CocoDataset does not exist",
        ),
    ],
)
def test_bad_arguments(main, test_config, checkpoint, tmp_path, capsys, arguments, message):
    config = dump(test_config(), tmp_path / 'config.py')
    assert main([config, checkpoint, *arguments]) == 2
    printed, error = capsys.readouterr()
    assert printed == ''
    assert error.splitlines()[-1].startswith('error: ')
    assert message in error.splitlines()[-1]


@pytest.mark.parametrize('missing', ['config', 'checkpoint'])
def test_missing_files(main, test_config, checkpoint, tmp_path, capsys, missing):
    files = dict(config=dump(test_config(), tmp_path / 'config.py'), checkpoint=checkpoint)
    files[missing] = 'none'
    assert main(list(files.values())) == 2
    error = capsys.readouterr().err
    assert missing in error
    assert "'none' does not exist" in error


def test_a_failed_run_keeps_the_old_results(main, test_config, checkpoint, tmp_path, capsys):
    people = write_stick_people(tmp_path / 'people')
    settings = {'test_dataloader.dataset.dataset': people}
    config = dump(test_config(num_pairs=3, **settings), tmp_path / 'config.py')
    out = tmp_path / 'out'
    assert main([config, checkpoint, '--out', str(out)]) == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith(str(out))

    def contents():
        return {path: path.is_file() and path.read_bytes() for path in out.rglob('*')}

    before = contents()
    (tmp_path / 'people/8.png').write_bytes(b'')
    again = [config, checkpoint, '--out', str(out), '--overwrite']
    for wrong in (['--pairs', 'none.csv'], ['--num-pairs', '18']):
        assert main([*again, *wrong]) == 2
        error = capsys.readouterr().err
        assert '\nerror: ' in f'\n{error}', error
        assert contents() == before


def test_without_out_nothing_is_written(main, test_config, checkpoint, tmp_path, monkeypatch):
    config = dump(test_config(num_pairs=3), tmp_path / 'config.py')
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    assert main([config, checkpoint]) == 0
    assert [path.name for path in tmp_path.rglob('*')] == ['config.py', 'here']


class Source(list):
    """The infos of a data set."""

    data_prefix = dict(img='/images')

    def get_data_info(self, index):
        return self[index]


@pytest.mark.parametrize(
    'files',
    [
        ['a.jpg', 'a.png', 'b.png'],
        ['a/x.jpg', 'a_x.jpg', 'b.jpg'],
        ['A.jpg', 'a.jpg', 'b.jpg'],
        ['a.jpg', 'b.jpg', 'a__b.jpg', 'c.jpg', 'b__c.jpg'],
        ['a_.jpg', 'b.jpg', 'a.jpg', '_b.jpg'],
        ['a.jpg', 'a.jpg', 'a-2.jpg', 'a-1.jpg'],
        ['a.jpg', 'a.png', 'a-2.jpg', 'a-1.jpg'],
    ],
)
def test_no_two_pairs_share_a_name(files):
    infos = [dict(id=number, img_path=f'/images/{file}') for number, file in enumerate(files, 1)]
    names = pair_names(SimpleNamespace(dataset=Source(infos)))
    assert list(names) == list(range(1, len(files) + 1))
    pairs = {f'{a}__{b}'.casefold() for a, b in permutations(names.values(), 2)}
    assert len(pairs) == len(files) * (len(files) - 1)


def test_a_folder_of_pictures_of_somebody_else_is_not_deleted(
    main, test_config, checkpoint, tmp_path, capsys
):
    config = dump(test_config(num_pairs=3), tmp_path / 'config.py')
    picture = tmp_path / 'demo' / 'pose' / 'predictions.png'
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b'mine')
    assert main([config, checkpoint, '--out', str(tmp_path / 'demo'), '--overwrite']) == 2
    assert 'something else than results of test (pose/predictions.png)' in capsys.readouterr().err
    assert picture.read_bytes() == b'mine'


def test_two_tests_into_one_folder_do_not_mix(main, test_config, checkpoint, tmp_path, capsys):
    config = dump(test_config(num_pairs=3), tmp_path / 'config.py')
    out = tmp_path / 'out'
    with writing_folder(out, 'test'):
        assert main([config, checkpoint, '--out', str(out)]) == 2
    assert f'another run writes to {out}: wait for it' in capsys.readouterr().err
