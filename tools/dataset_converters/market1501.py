"""The command `pg2aug convert market1501`, from the checkout."""

import sys

from pg2aug.cli.convert import converter

main = converter('market1501')

if __name__ == '__main__':
    sys.exit(main())
