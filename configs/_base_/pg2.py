# What every PG2 training shares: optimiser, schedule, logging. Leaves give the sizes and the data.
default_scope = 'mmengine'

# pg2aug train passes these on to the model and the training loop.
stage1_iters = 22000
stage2_iters = 14000

model = dict(
    type='pg2aug.PG2',
    data_preprocessor=dict(
        type='pg2aug.PG2DataPreprocessor',
        metainfo=dict(from_file='configs/_base_/datasets/coco.py')),
    generator1=dict(num_blocks=5, base_channels=128),
    generator2=dict(num_blocks=3, base_channels=128),
    discriminator=dict(channels=(64, 128, 256, 512)),
    l1_weight=10)

# One pass over the weights a step; on the CPU it needs torch 2.4.
optim_wrapper = dict(
    constructor='pg2aug.PG2OptimWrapperConstructor',
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=2e-5, betas=(0.5, 0.999), fused=True))

train_dataloader = dict(
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'))

# With a fixed seed a resumed run sees the batches that the interrupted one would have seen.
randomness = dict(seed=0)
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')
env_cfg = dict(
    cudnn_benchmark=True,  # all batches have one size
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    checkpoint=dict(
        type='pg2aug.SafeCheckpointHook', by_epoch=False, interval=1000, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'))
log_processor = dict(type='LogProcessor', by_epoch=False, window_size=50)
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
