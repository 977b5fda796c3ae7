"""Poses and people as pictures."""
