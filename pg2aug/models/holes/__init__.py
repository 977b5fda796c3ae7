"""Filling what a removed person leaves, from the rest of the image."""
