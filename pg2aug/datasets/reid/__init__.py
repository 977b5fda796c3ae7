"""Data sets of person re-identification and of person image generation, as COCO files."""
