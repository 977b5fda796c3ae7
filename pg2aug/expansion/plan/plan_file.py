"""The plan of an expansion as it lies in its folder: plan.json says what plan.npy holds."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pg2aug.expansion.plan.expansion_plan import ExpansionPlan
from pg2aug.expansion.sources.sources import Sources
from pg2aug.expansion.write.output_folder import OutputFolder
from pg2aug.utils.files import file_sha256, load_json

PLAN_FILE = 'plan.json'
ITEMS_FILE = 'plan.npy'
FORMAT = 'pg2aug expansion 3'
COLUMNS = {
    'source_annotation_id': 'the person that is tried first, by the id in the annotation file',
    'target_pose': 'the pose that is tried first, by its place in the pose bank, from 0',
    'seed': 'of all draws',
    'region': 'of pose space that all poses tried are of, from 0',
    'image': 'place of the source image, in a random order of them; -1 where any will do',
    'index': 'which item it is of those with the same region and image, from 0',
    'of': 'how many there are of those',
}
"""What is in a row; what is tried after a refusal follows from the last five."""

_ROWS = 1 << 20


def write_plan(
    folder: OutputFolder,
    make: Callable[[], ExpansionPlan],
    sources: Sources,
    settings: Mapping[str, Any],
) -> None:
    """Write the plan, or make sure that the one that is there is of the same settings, and whole.

    Args:
        folder: Where to.
        make: Gives the plan, always the same.
        sources: The persons that it is of.
        settings: All that it and the images depend on, for a json.

    Raises:
        BlockingIOError: If another process is at work in the folder.
        FileExistsError: If the folder holds anything else.
        OSError: If a file cannot be written.
        ValueError: If the plan that is there has other settings, or is damaged.
    """
    plan_file, items_file = folder.root / PLAN_FILE, folder.root / ITEMS_FILE
    # As they will be read: tuples become lists.
    settings = json.loads(json.dumps(settings))
    before = None if folder.is_new() else _read_plan_file(plan_file)
    if before is not None:
        differences = _differences({name: before.get(name) for name in settings}, settings)
        if differences:
            raise ValueError(
                f'{folder.root} holds an expansion with other settings: {differences}; give the '
                'same ones to finish it, or name a new folder'
            )
    folder.check_alone()
    if before is None or not items_file.exists():
        _write(folder, make(), sources, settings, before)
    elif file_sha256(items_file) != before.get('plan_sha256'):
        raise ValueError(
            f'{items_file} is damaged, or of another {PLAN_FILE} than lies beside it: delete '
            f'{ITEMS_FILE}, and the same command makes it anew'
        )
    folder.make()
    folder.clear_partial()


def read_items(folder: OutputFolder) -> NDArray[Any]:
    """The rows of a written plan, on the disk: (num,) with the fields of ``COLUMNS``."""
    return np.asarray(np.load(folder.root / ITEMS_FILE, mmap_mode='r', allow_pickle=False))


def _write(
    folder: OutputFolder,
    plan: ExpansionPlan,
    sources: Sources,
    settings: Mapping[str, Any],
    before: Mapping[str, Any] | None,
) -> None:
    """Write a plan, or only its items where ``before`` is what is said of them already."""
    ids = np.array([person['id'] for person in sources.persons])
    if ids.dtype.kind not in 'iu':
        raise ValueError('ids of annotations must be whole numbers of at most 64 bits')
    digest = hashlib.sha256()
    for piece in _pieces(plan, ids):
        digest.update(piece)
    described = {
        **settings,
        'items': len(plan.items),
        'columns': COLUMNS,
        'plan_sha256': digest.hexdigest(),
        **plan.summary,
    }
    if before is None:
        # First, for it is what a folder of ours is told by.
        folder.partial.mkdir(parents=True, exist_ok=True)
        folder.write_json(folder.root / PLAN_FILE, described)
    elif before != described:
        raise ValueError(
            f'{folder.root / PLAN_FILE} is of another plan than is made today '
            f'({_differences(before, described)}): name a new folder'
        )
    folder.make()
    with folder.replacing(folder.root / ITEMS_FILE) as file:
        file.writelines(_pieces(plan, ids))


def _pieces(plan: ExpansionPlan, ids: NDArray[Any]) -> Iterator[bytes]:
    """The bytes of plan.npy, without holding them all."""
    kinds = {'source_annotation_id': ids.dtype, 'seed': '<i8'}
    dtype = np.dtype([(name, kinds.get(name, '<i4')) for name in COLUMNS])
    head = {'descr': dtype.descr, 'fortran_order': False, 'shape': plan.items.shape}
    header = io.BytesIO()
    npy.write_array_header_1_0(header, head)  # type: ignore[no-untyped-call]
    yield header.getvalue()
    for start in range(0, len(plan.items), _ROWS):
        items = plan.items[start : start + _ROWS]
        rows = np.empty(len(items), dtype)
        rows['source_annotation_id'] = ids[items['person']]
        rows['target_pose'] = items['pose']
        rows['seed'] = plan.draws.seed
        for name in ('region', 'image', 'index', 'of'):
            rows[name] = items[name]
        yield rows.tobytes()


def _read_plan_file(path: Path) -> dict[str, Any]:
    try:
        content = load_json(path)
        found = str(content['format'])
    except (OSError, ValueError, KeyError, TypeError):
        found = ''
    if found == FORMAT:
        return dict(content)
    if found.startswith(FORMAT.rstrip('0123456789')):
        raise FileExistsError(
            f'{path.parent} holds an expansion of another version of pg2aug ({found!r} in '
            f'{path.name}, this one writes {FORMAT!r}): finish it with that version, or name a new '
            'folder'
        )
    raise FileExistsError(
        f'{path.parent} is not empty and holds no expansion ({path.name}): name a '
        'new folder, or empty this one'
    )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], name: str = '') -> str:
    """The settings that differ, in words."""
    found = []
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += [text] if (text := _differences(old, new, f'{name}{key}.')) else []
        elif old != new:
            found.append(f'{name}{key} was {old!r}, now is {new!r}')
    return ', '.join(found)
