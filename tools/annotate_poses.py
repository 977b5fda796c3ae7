"""The command `pg2aug annotate`, from the checkout."""

import sys

from pg2aug.cli.annotate import main

if __name__ == '__main__':
    sys.exit(main())
