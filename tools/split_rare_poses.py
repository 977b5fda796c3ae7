"""The command `pg2aug split`, from the checkout."""

import sys

from pg2aug.cli.split import main

if __name__ == '__main__':
    sys.exit(main())
