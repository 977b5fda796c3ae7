"""Print the folder of the configs that come with the package, to be named in commands.

E.g. pg2aug train "$(pg2aug configs)/pg2/pg2-self_figures-64x48.py"
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pg2aug
from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print


def configs_folder() -> Path:
    """The folder ``configs`` of the wheel, or of the checkout that is installed editable.

    Raises:
        FileNotFoundError: If neither is there.
    """
    package = Path(pg2aug.__file__).resolve().parent
    for folder in (package / '.mim' / 'configs', package.parent / 'configs'):
        if (folder / '_base_' / 'pg2.py').is_file():
            return folder
    raise FileNotFoundError(f'no configs in {package} or beside it: install pg2aug anew')


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Print the folder; the exit status."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    print(configs_folder())
    return 0
