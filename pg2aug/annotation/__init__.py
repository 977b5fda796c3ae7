"""Poses of unlabelled images, estimated by a model of MMPose: a data set of your own."""

from pg2aug.annotation.annotate import annotate_images
from pg2aug.annotation.boxes import read_boxes
from pg2aug.annotation.identities import csv_identities, folder_identities
from pg2aug.estimators.image_estimator import ImageEstimator

__all__ = [
    'ImageEstimator',
    'annotate_images',
    'csv_identities',
    'folder_identities',
    'read_boxes',
]
