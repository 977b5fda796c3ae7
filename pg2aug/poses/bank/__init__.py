"""The pose bank: which poses are rare, how they are drawn, and what they cover."""
