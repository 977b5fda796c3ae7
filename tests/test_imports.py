"""Who imports whom, and what imports where something is not installed.

``import pg2aug`` is what is tested, so that most of this runs in interpreters of its own, which
import this module: nothing of the package is imported at its top.
"""

import ast
import gc
import importlib
import os
import runpy
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
TOOLS = sorted((ROOT / 'tools').rglob('*.py'))
POSIX_ONLY = ('fcntl', 'grp', 'pty', 'pwd', 'resource', 'syslog', 'termios', 'tty')
MMPOSE = ('mmcv', 'mmdet', 'mmpose')
# Python 3.11 and 3.12 brought these; mypy, set to 3.10, knows all of them, but reads pg2aug alone.
SINCE_311 = {
    *('hashlib.file_digest', 'datetime.UTC', 'contextlib.chdir', 'enum.StrEnum', 'tomllib'),
    *('typing.Self', 'typing.assert_never', 'typing.LiteralString', 'typing.override'),
    *('math.cbrt', 'math.exp2', 'itertools.batched', 'operator.call', 'asyncio.TaskGroup'),
    *('ExceptionGroup', 'BaseExceptionGroup'),
}


def rows():
    """The rooms as docs/design.md draws them, those that import nobody first."""
    drawing = (ROOT / 'docs' / 'design.md').read_text().split('## Imports')[1].split('```')[1]
    return [line.split() for line in reversed(drawing.splitlines()[1:])]


def modules(row):
    """Names of the modules of a row of rooms."""
    paths = [ROOT / 'pg2aug' / room for room in row]
    files = [file for path in paths for file in [path.with_suffix('.py'), *path.rglob('*.py')]]
    parts = [file.relative_to(ROOT).with_suffix('').parts for file in files if file.is_file()]
    return sorted('.'.join(names).removesuffix('.__init__') for names in parts)


def test_every_room_is_drawn_once():
    here = (ROOT / 'pg2aug').iterdir()
    rooms = {path.stem for path in here if path.suffix == '.py' or (path / '__init__.py').exists()}
    assert sorted(room for row in rows() for room in row) == sorted(rooms - {'__init__'})


def test_rooms_import_from_the_rows_below_their_own():
    rank = {room: number for number, row in enumerate(rows()) for room in row}
    wrong = []
    for file in (ROOT / 'pg2aug').rglob('*.py'):
        own = file.relative_to(ROOT / 'pg2aug').with_suffix('').parts[0]
        if own == '__init__':
            continue
        for name in imported(ast.parse(file.read_text())):
            top, _, rest = f'{name}.'.partition('.')
            room = rest.partition('.')[0]
            if top == 'tools' or (top == 'pg2aug' and room != own and rank[room] >= rank[own]):
                wrong.append(f'{file.relative_to(ROOT)} imports {name}')
    assert not wrong


def imported(node):
    """Names of all that a file imports for running: modules, and what it takes from them."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith('TYPE_CHECKING'):
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f'{node.module}.{alias.name}' for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def in_an_interpreter(call, *arguments):
    """What a call of this module prints in an interpreter of its own, by lines."""
    done = subprocess.run(
        [
            sys.executable,
            '-W',
            'ignore',
            '-c',
            f'import test_imports; test_imports.{call}{arguments}',
        ],
        capture_output=True,
        text=True,
        cwd=TESTS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def hide(names):
    sys.modules.update(dict.fromkeys(names))


def attempt(name, function, argument):
    try:
        function(argument)
    except BaseException as error:
        print(name, type(error).__name__, error, flush=True)


def print_what_needs_posix():
    """Import everything on what looks like another operating system."""
    for name in ('filelock', 'mmengine.runner', 'mmpose.datasets', 'sklearn.cluster', 'torch'):
        importlib.import_module(name)
    # What the others import where they find it: they run without it, too.
    hide(POSIX_ONLY)
    for name in [name for row in rows() for name in modules(row)]:
        attempt(name, importlib.import_module, name)
    run_tools(attempt)


def print_what_needs_mmpose(folder):
    """Import each module in a fork of its own, which has imported only the rows below its own.

    Forks read there what one of them compiled.
    """
    hide(MMPOSE)
    for name in ('cv2', 'filelock', 'mmengine.runner', 'scipy.stats', 'sklearn.cluster', 'torch'):
        importlib.import_module(name)
    sys.pycache_prefix, sys.dont_write_bytecode = folder, False
    gc.disable()  # it would write to every page that the forks share
    for row in rows():
        names = modules(row)
        for name in names:
            attempt_in_a_fork(name, importlib.import_module, name)
        for name in names:
            with suppress(ImportError):
                importlib.import_module(name)
    run_tools(attempt_in_a_fork)


def run_tools(attempt):
    sys.path.insert(0, str(ROOT / 'tools'))
    for path in TOOLS:
        attempt(path.relative_to(ROOT).as_posix(), runpy.run_path, str(path))


def attempt_in_a_fork(*arguments):
    child = os.fork()
    if child == 0:
        attempt(*arguments)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_everything_imports_without_what_only_posix_has():
    assert in_an_interpreter('print_what_needs_posix') == []


@pytest.mark.slow
def test_all_but_transform_and_hook_import_first_and_without_mmpose(tmp_path):
    failed = in_an_interpreter('print_what_needs_mmpose', str(tmp_path))
    parts = {f'pg2aug.augment.{name}' for name in ('hook', 'placement', 'transform')}
    commands = {'pg2aug.cli.browse', 'tools/browse_augment.py', 'tools/demo.py'}
    assert parts <= {line.split()[0] for line in failed} <= parts | commands
    assert all('mmcv' in line or 'mmpose' in line for line in failed), failed


def print_what_is_made_without_mmpose(folder):
    """Train PG2 for a step and put a person into another pose, from Python."""
    hide(MMPOSE)
    import helpers
    import numpy as np

    from pg2aug import augment
    from pg2aug.figures import make_figures, render_figure
    from pg2aug.poses import PoseBank

    bank = PoseBank.load(make_figures(folder, 2, 3, size=(64, 96)))
    names = bank.skeleton.keypoint_names
    joints = zip(names, bank.skeleton.flip_indices, strict=True)
    links = [[names[a], names[b]] for a, b in bank.skeleton.limbs]
    metainfo = dict(
        keypoint_info={k: dict(name=name, swap=names[i]) for k, (name, i) in enumerate(joints)},
        skeleton_info={k: dict(link=link) for k, link in enumerate(links)},
    )
    preprocessor = dict(type='pg2aug.PG2DataPreprocessor', metainfo=metainfo)
    model = helpers.make_pg2(data_preprocessor=preprocessor)
    optimizers = helpers.make_optim_wrapper(model)
    losses = helpers.train_step(model, helpers.make_batch(), optimizers, iteration=10)
    print('finite losses', all(np.isfinite(float(loss)) for loss in losses.values()))

    config = dict(type='LimbWarpGenerator', metainfo=metainfo, size=helpers.SIZE)
    generator = augment.GeneratorFile.from_config(config)
    person = render_figure(0, 'standing', (64, 96), np.random.default_rng(0))
    x, y, width, height = person.bbox
    box = np.array([x, y, x + width, y + height])
    pose = person.image, box, person.keypoints, person.visible
    target = bank.keypoints[2], bank.visible[2]
    crop = generator.skeleton, generator.size, generator.padding
    plan = augment.plan_person(*pose, *target, *crop, min_visible=4)
    for made_by in (generator.build(), model.eval()):
        synthesizer = augment.Synthesizer(made_by, check=None)
        image, _, accepted = augment.synthesize_in_image(synthesizer, person.image, plan)
        print('replaced', accepted and bool((image != person.image).any()))
    try:
        augment.PG2Augment  # noqa: B018
    except ImportError as error:
        print(error)


def test_python_needs_no_mmpose_to_train_and_to_synthesise(tmp_path):
    *made, error = in_an_interpreter('print_what_is_made_without_mmpose', str(tmp_path))
    assert made == ['finite losses True', 'replaced True', 'replaced True']
    assert 'pg2aug.augment.PG2Augment' in error
    assert 'install mmpose and mmcv' in error


def sources():
    return [*(ROOT / 'pg2aug').rglob('*.py'), *TOOLS, *(ROOT / 'configs').rglob('*.py')]


def test_files_are_written_in_python_3_10():
    for file in sources():
        ast.parse(file.read_text(), file, feature_version=(3, 10))


def test_nothing_is_used_that_came_with_python_3_11():
    newer = []
    for file in sources():
        tree = ast.parse(file.read_text())
        names = (node for node in ast.walk(tree) if isinstance(node, (ast.Attribute, ast.Name)))
        used = {*imported(tree), *map(ast.unparse, names)}
        newer += [f'{file.relative_to(ROOT)}: {name}' for name in used & SINCE_311]
    assert not newer
