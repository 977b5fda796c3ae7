# The estimator of rare_pose.py: the demo's, with MMPose's usual augmentation and no PG2Augment.
_base_ = ['../../configs/pose/td-hm_res18-small_pg2aug_figures-128x96.py']

codec = _base_.codec
# MMPose's running accuracy cannot read 16 bits.
model = dict(train_cfg=dict(compute_acc=False))

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
# No worker: two trainings at a time keep two cores busy.
train_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline))
val_dataloader = None
val_evaluator = None
val_cfg = None
test_dataloader = dict(num_workers=0, dataset=dict(data_prefix=dict(img='images/test/')))
test_evaluator = dict(_delete_=True, type='DumpResults', out_file_path='')

train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=800)
optim_wrapper = dict(type='pg2aug.AutocastOptimWrapper', optimizer=dict(lr=2e-3))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=800, by_epoch=False)]
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(_delete_=True, type='CheckpointHook', by_epoch=False, interval=800))
log_processor = dict(by_epoch=False)
custom_hooks = []
