# The same without learning: limbs laid into the pose as they are.
_base_ = ['./pg2.py']

limb_warp = dict(
    type='LimbWarpGenerator',
    metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
    size=(96, 128))
train_pipeline = _base_.train_pipeline
train_pipeline[1]['generator'] = limb_warp
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
