"""Datasets of person pairs, and the canonical crop they are made of."""

from pg2aug.datasets.person_pairs import PersonPairDataset

__all__ = ['PersonPairDataset']
