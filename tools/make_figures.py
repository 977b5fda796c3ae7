"""The command `pg2aug demo-data`, from the checkout."""

import sys

from pg2aug.cli.demo_data import main

if __name__ == '__main__':
    sys.exit(main())
