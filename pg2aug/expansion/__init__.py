"""Offline expansion of a dataset: new images and a COCO file."""
