"""The people, the annotation file and the images that an expansion starts from."""
