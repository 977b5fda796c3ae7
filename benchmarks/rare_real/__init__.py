"""The same on what real images are at hand."""
