# The estimator of rare_real.py: that of rare_pose.py, in batches that fit 60 images.
_base_ = ['./rare_pose_figures-128x96.py']

train_dataloader = dict(batch_size=16)
