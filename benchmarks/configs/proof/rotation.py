# The baseline, with rotations up to 180 degrees, not MMPose's 80.
_base_ = ['./baseline.py']

train_pipeline = _base_.train_pipeline
next(t for t in train_pipeline if t['type'] == 'RandomBBoxTransform').update(rotate_factor=180.0)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
