"""Checkpoints that are whole, of which one is always there and found."""

import os
import re
import zipfile
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process, master_only
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from pg2aug.registry import HOOKS
from pg2aug.utils.files import is_local, replacing

_LAST = 'last_checkpoint'


class SafeRunner(Runner):
    """MMEngine's Runner, which leaves no torn checkpoint and does not overwrite the config."""

    @master_only
    def dump_config(self) -> None:
        """Write the config to the work directory; beside the one it was read from if that is there.

        The copy is then called ``NAME_as_trained``.
        """
        read = self.cfg.filename
        copy = Path(self.work_dir, Path(read).name) if read else None
        if copy is None or not copy.exists() or not copy.samefile(read):
            super().dump_config()
            return
        other = copy.with_stem(f'{copy.stem}_as_trained')
        self.cfg.dump(other)
        self.logger.info(f'{copy} stays as it is: {other} is the config with all settings')

    @master_only
    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        """Save a checkpoint as MMEngine does, but whole or not at all on this machine's disks."""
        if not is_local(out_dir):
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        partial = Path(out_dir, f'.{filename}.partial')
        try:
            super().save_checkpoint(out_dir, partial.name, *args, **kwargs)
            with open(partial, 'rb+') as file:
                os.fsync(file.fileno())
            os.replace(partial, Path(out_dir, filename))
        finally:
            partial.unlink(missing_ok=True)


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's hook, but an old checkpoint is removed when the new one is there, not before.

    Args:
        max_keep_ckpts: Checkpoints to keep; -1 for all. While one is written there is one more.
        args: Of ``CheckpointHook``, as are ``kwargs``.
    """

    def __init__(self, *args: Any, max_keep_ckpts: int = -1, **kwargs: Any) -> None:
        kept = max_keep_ckpts + 1 if max_keep_ckpts > 0 else max_keep_ckpts
        super().__init__(*args, max_keep_ckpts=kept, **kwargs)

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Save where the interval says so, then remove what is too old."""
        super().after_train_iter(runner, *args, **kwargs)
        self._remove_oldest()

    def after_train_epoch(self, runner: Runner) -> None:
        """Save where the interval says so, then remove what is too old."""
        super().after_train_epoch(runner)
        self._remove_oldest()

    def _remove_oldest(self) -> None:
        while self.max_keep_ckpts > 0 and len(self.keep_ckpt_ids) >= self.max_keep_ckpts:
            name = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
            path = self.file_backend.join_path(self.out_dir, name)
            if is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)


def latest_checkpoint(work_dir: str | Path) -> Path | None:
    """The whole checkpoint that was saved last, also where ``last_checkpoint`` is missing or torn.

    Args:
        work_dir: Of a training, on this machine.
    """
    last = Path(work_dir, _LAST)
    named = Path(last.read_text().strip()) if last.is_file() else Path()
    # Under its own name too, for work directories are moved.
    for path in (named, Path(work_dir, named.name)):
        if _is_whole(path):
            return path
    found = {
        path: int(match[1])
        for path in Path(work_dir).glob('*.pth')
        if (match := re.fullmatch(r'(?:iter|epoch)_(\d+)', path.stem)) and _is_whole(path)
    }
    # By time: those of an earlier training may have higher numbers.
    return max(found, key=lambda path: (path.stat().st_mtime_ns, found[path]), default=None)


def mend_last_checkpoint(work_dir: str | Path) -> None:
    """Make ``last_checkpoint``, which MMEngine resumes from, name :func:`latest_checkpoint`."""
    last, found = Path(work_dir, _LAST), latest_checkpoint(work_dir)
    if found is None:
        last.unlink(missing_ok=True)
    elif not last.is_file() or last.read_text().strip() != str(found):
        with replacing(last) as file:
            file.write(str(found).encode())


def _is_whole(path: Path) -> bool:
    """Whether a file is a zip archive, as checkpoints are, with its end."""
    return path.is_file() and zipfile.is_zipfile(path)
