"""What is wrong in a COCO keypoint file."""
