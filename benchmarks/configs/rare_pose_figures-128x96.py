# The estimator of rare_pose.py: the demo's, with MMPose's usual augmentation and no PG2Augment.
_base_ = ['../../configs/pose/td-hm_res18-small_pg2aug_figures-128x96.py']

codec = dict(
    type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1.5, unbiased=True)
# Wider than the demo's, and as fine as so small an image needs: features of 6x8.
model = dict(
    backbone=dict(stem_channels=24, base_channels=24, strides=(1, 2, 2, 1)),
    head=dict(
        in_channels=192,
        deconv_out_channels=(64, 64),
        deconv_kernel_sizes=(4, 4),
        decoder=codec),
    # MMPose's running accuracy cannot read 16 bits.
    train_cfg=dict(compute_acc=False))

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody'),
    dict(type='RandomBBoxTransform'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
# No worker: two trainings at a time keep two cores busy. Infinite: MMEngine sleeps for two seconds at
# the end of every pass.
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline))
val_dataloader = None
val_evaluator = None
val_cfg = None
test_dataloader = dict(
    num_workers=0, dataset=dict(data_prefix=dict(img='images/test/')))
test_evaluator = dict(_delete_=True, type='DumpResults', out_file_path='')

train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=800)
optim_wrapper = dict(type='pg2aug.AutocastOptimWrapper', optimizer=dict(lr=1e-3))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=800, by_epoch=False)]
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(_delete_=True, type='CheckpointHook', by_epoch=False, interval=800))
log_processor = dict(by_epoch=False)
custom_hooks = []
