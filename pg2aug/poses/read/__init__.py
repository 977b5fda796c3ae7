"""Reading poses: COCO files, 3-D keypoints, other skeletons."""
