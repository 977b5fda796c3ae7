"""Experiments, each one command, and what they share; README.md lists them."""
