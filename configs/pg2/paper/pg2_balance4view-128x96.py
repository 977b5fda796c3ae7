# PG2 on real frames of one man, four cameras (benchmarks/README.md, "Data that is not here"), at a
# size that a CPU trains.
_base_ = '../../_base_/pg2.py'

data_root = 'data/balance4view/'
stage1_iters = 4000
stage2_iters = 1500

model = dict(
    size=(96, 128),
    num_keypoints=17,
    generator1=dict(base_channels=32),
    generator2=dict(base_channels=32, skip_full_resolution=False),
    discriminator=dict(channels=(32, 64, 128, 256)),
    l1_weight=50)

# Ten times the paper's rate for a sixth of its iterations; the paper's where G2 and D compete, for
# at a higher one D wins and the refined image falls apart.
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    generator2=dict(optimizer=dict(lr=2e-5)),
    discriminator=dict(optimizer=dict(lr=2e-5)))

dataset = dict(
    type='pg2aug.PersonPairDataset',
    size=(96, 128),
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='person_keypoints_train.json',
        data_prefix=dict(img='images/')))
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dataset)

custom_hooks = [
    dict(
        type='pg2aug.SampleSheetHook',
        interval=500,
        scale=2,
        dataset=dict(
            type='pg2aug.PersonPairDataset',
            size=(96, 128),
            flip=False,
            dataset=dict(
                type='CocoDataset',
                data_root=data_root,
                ann_file='person_keypoints_val.json',
                data_prefix=dict(img='images/'))))
]
