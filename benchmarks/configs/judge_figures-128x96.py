# The judge of label_fidelity.py: the demo's estimator, twice as wide, trained on true images alone.
_base_ = ['../../configs/pose/td-hm_res18-small_pg2aug_figures-128x96.py']

codec = _base_.codec
model = dict(
    backbone=dict(stem_channels=32, base_channels=32),
    head=dict(in_channels=256, deconv_out_channels=(128, 128, 128)),
    # MMPose's running accuracy cannot read 16 bits.
    train_cfg=dict(compute_acc=False))

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', shift_prob=0.2),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

train_cfg = dict(max_epochs=30)
optim_wrapper = dict(type='pg2aug.AutocastOptimWrapper', optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=30, by_epoch=True, convert_to_iter_based=True)
]
default_hooks = dict(logger=dict(interval=50))
custom_hooks = []
