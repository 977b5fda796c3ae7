"""The command `pg2aug` and its sub-commands."""
