"""Doing what a plan says: one generator call for a batch, checked, put into images."""
