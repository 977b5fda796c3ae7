# The judge of label_fidelity.py: the demo's estimator, trained on true images alone.
_base_ = ['../../configs/pose/td-hm_res18-small_pg2aug_figures-128x96.py']

data_root = 'work_dirs/label_fidelity/judge_data/'
codec = _base_.codec
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]

train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=20, val_interval=20)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=20, by_epoch=True, convert_to_iter_based=True)]
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=20))
custom_hooks = []
