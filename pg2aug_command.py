"""The command `pg2aug`: a list of commands, and the way to each.

It stands beside the package, for importing `pg2aug` takes seconds: it brings PyTorch and MMPose.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    'demo-data': 'write procedural people, to try the others on',
    'train': 'train a generator, from a config',
    'bank': 'build a pose bank from keypoint files',
    'browse': 'see what a pose estimator will be trained on, as sheets',
    'expand': 'expand a COCO keypoint data set by persons in new poses',
    'validate': 'list all that is wrong with a COCO keypoint file and its images',
    'split': 'split a COCO keypoint file into people in rare poses and all others',
    'annotate': 'estimate the poses of your own images',
    'convert': 'make Market-1501 or DeepFashion a data set of persons and pairs',
    'test': 'score a trained generator',
    'study': "put the paper's user study on a page, and score it",
    'configs': 'print the folder of the configs that come with the package',
}
"""What each command does. It is ``main`` of the module of its name in ``pg2aug.cli``."""


def usage() -> str:
    """The list of commands."""
    width = max(map(len, COMMANDS))
    lines = [f'  {name:<{width}}  {purpose}' for name, purpose in COMMANDS.items()]
    return '\n'.join(
        [
            'usage: pg2aug COMMAND ...',
            '',
            *lines,
            '',
            'pg2aug COMMAND --help says more. The exit status is 2 where a command fails.',
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status.

    Args:
        argv: Name of the command and its arguments; those of the process if None.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in ('-h', '--help'):
        print(usage())
        return 0
    if not words or words[0] not in COMMANDS:
        error = f'error: there is no command {words[0]!r}\n' if words else ''
        print(f'{error}{usage()}', file=sys.stderr)
        return 2
    name, *arguments = words
    sys.argv[0] = f'pg2aug {name}'  # what the command's own --help calls it
    try:
        command = import_module(f'pg2aug.cli.{name.replace("-", "_")}')
    except (OSError, ImportError) as error:  # something is not installed, or no folder is writable
        if sys.flags.dev_mode:
            raise
        reason = ' '.join(str(error).split())
        print(f'error: pg2aug {name} cannot be loaded: {reason}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130
    status: int = command.main(arguments)
    return status
