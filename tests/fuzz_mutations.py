"""Files as strangers bring them: structured, seeded damage to what the commands read."""

import contextlib
import copy
import json
import os
import pprint
import runpy

import cv2
import numpy as np
import torch
from mmengine.config import Config

DEEP = 100_000


def _nested(depth=600):
    value = []
    for _ in range(depth):
        value = [value]
    return value


VALUES = [
    *(None, True, False, 0, -1, 3, 0.5, -1.5, 10**30, 1e308, -1e308),
    *(float('nan'), float('inf'), float('-inf')),
    *('', 'a', '7', '../../up', '/absolute', '\x1b[31m red', '\0', 'x' * 5000, '\ud800'),
    *([], {}, [[]], [1], [None, None], {'a': 1}, [{}], [1, 2, 3, 4], [float('nan')] * 4),
]


def _places(tree, path=()):
    yield path
    items = ()
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    for key, value in items:
        yield from _places(value, (*path, key))


def mutate_tree(tree, rng):
    """The tree after one change somewhere; places at the root come as often as leaves."""
    tree = copy.deepcopy(tree)
    places = list(_places(tree))
    depth = rng.choice(sorted({len(place) for place in places}))
    path = rng.choice([place for place in places if len(place) == depth])
    value = _nested() if rng.random() < 0.03 else copy.deepcopy(rng.choice(VALUES))
    if not path:
        return value
    holder = tree
    for key in path[:-1]:
        holder = holder[key]
    if isinstance(holder, tuple):
        return mutate_tree(tree, rng)
    old, action = holder[path[-1]], rng.random()
    if action < 0.15:
        del holder[path[-1]]
    elif action < 0.25 and isinstance(holder, list):
        holder.append(copy.deepcopy(old))
    elif action < 0.3:
        holder[path[-1]] = [old]
    elif action < 0.35:
        holder[path[-1]] = str(old)
    elif action < 0.4 and isinstance(holder, dict):
        holder[f'{path[-1]}\x1b'] = holder.pop(path[-1])
    else:
        holder[path[-1]] = value
    return tree


def mutate_bytes(data, rng):
    """The bytes of a file, cut off, garbled, in another encoding, or of something else."""
    middle = rng.randrange(len(data))
    garbled = bytearray(data)
    for _ in range(8):
        garbled[rng.randrange(len(data))] = rng.randrange(256)
    choices = [
        *(b'', data[:middle], bytes(garbled), data[middle:], b'\xff\xfe' + data, b'\0' * 64),
        *(
            b'\xef\xbb\xbf' + data,
            data + data,
            b'[' * DEEP,
            b'{"a":' * DEEP,
            b'null',
            b'PK\x03\x04',
        ),
        *(data.decode('latin-1').encode('utf-16'), data.replace(b'\n', b'\r\n'), b'\n', b'<html>'),
    ]
    return rng.choice(choices)


def mutate_place(path, rng):
    """Put something else than a file in its place."""
    kind = rng.choice(['gone', 'folder', 'loop', 'dangling', 'unreadable'])
    path.unlink()
    if kind == 'folder':
        path.mkdir()
    elif kind == 'loop':
        path.symlink_to(path)
    elif kind == 'dangling':
        path.symlink_to(path.with_name('nowhere'))
    elif kind == 'unreadable':
        path.write_bytes(b'')
        path.chmod(0)


def mutate_json(path, rng):
    path.write_text(json.dumps(mutate_tree(json.loads(path.read_text()), rng)))


def mutate_config(path, rng):
    text = path.read_text()
    if rng.random() < 0.15:
        wrong = ['raise ValueError(1)', 'import no_such_module_of_ours', 'x = (', 'exit()', 'a = b']
        path.write_text(f'{text}\n{rng.choice(wrong)}\n')
        return
    tree = dict(Config.fromfile(path).to_dict())
    _write_config(path, mutate_tree(tree, rng))


def mutate_metainfo(path, rng):
    info = runpy.run_path(str(path))['dataset_info']
    _write_config(path, mutate_tree({'dataset_info': info}, rng))


def _write_config(path, tree):
    tree = tree if isinstance(tree, dict) else {'model': tree}
    try:
        values = {str(key).strip(chr(27)): pprint.pformat(value) for key, value in tree.items()}
    except RecursionError:
        values = {'model': '[' * 3000}
    lines = [f'{key} = {value}' for key, value in values.items()]
    names = "nan, inf = float('nan'), float('inf')"
    path.write_text('\n'.join([names, *lines]), errors='backslashreplace')


def mutate_npz(path, rng):
    with np.load(path) as archive:
        arrays = dict(archive)
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    if name == 'meta':
        changed = mutate_tree(json.loads(str(array)), rng)
        arrays[name] = np.array(json.dumps(changed))
    elif rng.random() < 0.2:
        del arrays[name]
    elif rng.random() < 0.4:
        others = [array[:-1], array[None], array.astype(str), array[..., :1], array != array[:1]]
        arrays[name] = rng.choice([*others, np.zeros(()), array.astype(np.float16), array[:0]])
    else:
        kind = 'f' if rng.random() < 0.3 and array.dtype.kind != 'U' else array.dtype.kind
        array = array.astype(float) if kind == 'f' else array
        value = rng.choice([-1, 0, 1, 1e30] + [np.nan, np.inf] * (array.dtype.kind == 'f'))
        with contextlib.suppress(OverflowError):
            array.flat[rng.randrange(array.size)] = value
        arrays[name] = array
    np.savez(path, **arrays)


class Evil:
    """What runs code when it is loaded as an unrestricted pickle."""

    def __reduce__(self):
        return os.mkdir, ('it_ran',)


def mutate_checkpoint(path, rng):
    content = torch.load(path, weights_only=True)
    if rng.random() < 0.1:
        torch.save(Evil(), path)
        return
    if rng.random() < 0.3:
        weights = content['state_dict']
        name = rng.choice(sorted(weights))
        weight = weights[name]
        change = [weight * float('nan'), weight[:0], weight.double(), weight[None], weight.bool()]
        weights[name] = rng.choice(change)
    else:
        content = mutate_tree(content, rng)
    torch.save(content, path)


def mutate_csv(path, rng):
    lines = path.read_text().splitlines()
    number = rng.randrange(len(lines))
    separator = ':' if ':' in lines[0] else ','
    cells = lines[number].split(separator)
    cell = rng.randrange(len(cells))
    values = [
        '',
        'x',
        '-1',
        '[]',
        '[1, 2]',
        '../a.jpg',
        '\x1b[31m',
        '"',
        '1e400',
        'nan',
        '[' * DEEP,
    ]
    action = rng.random()
    if action < 0.2:
        del cells[cell]
    elif action < 0.3:
        cells.append(cells[cell])
    else:
        cells[cell] = rng.choice(values)
    lines[number] = separator.join(cells)
    if action > 0.9:
        lines.append(lines[number])
    path.write_text('\n'.join(lines) + '\n')


def mutate_image(path, rng):
    kind = rng.choice(['pipe', 'wide', 'grey', 'alpha', '16 bit', 'other size', 'large'])
    path.unlink()
    if kind == 'pipe':
        os.mkfifo(path)
        return
    if kind == 'large':
        with path.open('wb') as file:
            file.truncate(5 * 2**30)
        return
    shapes = {
        'wide': (1, 40_000, 3),
        'grey': (96, 72),
        'alpha': (96, 72, 4),
        'other size': (9, 9, 3),
    }
    image = np.full(shapes.get(kind, (96, 72, 3)), 90, np.uint16 if kind == '16 bit' else np.uint8)
    path.write_bytes(cv2.imencode('.png', image)[1].tobytes())


KINDS = {
    'json': mutate_json,
    'config': mutate_config,
    'metainfo': mutate_metainfo,
    'npz': mutate_npz,
    'checkpoint': mutate_checkpoint,
    'csv': mutate_csv,
    'image': mutate_image,
}


def mutate(path, kind, rng):
    """Damage a file in a way that fits its kind, or in one that is possible with any file."""
    choice = rng.random()
    if choice < 0.07:
        mutate_place(path, rng)
    elif choice < 0.22:
        path.write_bytes(mutate_bytes(path.read_bytes(), rng))
    else:
        KINDS[kind](path, rng)
