# PG2 as in the paper on procedural people (tools/make_figures.py), small enough for a demo on a CPU.
_base_ = '../_base_/pg2.py'

data_root = 'demo/figures/'
size = (48, 64)
stage1_iters = 1600
stage2_iters = 400

model = dict(
    size=size,
    num_keypoints=17,
    generator1=dict(num_blocks=4, base_channels=32),
    generator2=dict(num_blocks=2, base_channels=32),
    discriminator=dict(channels=(32, 64, 128)),
    l1_weight=50)

# Twenty times the paper's rate for a twentieth of its iterations; less where networks compete.
optim_wrapper = dict(
    optimizer=dict(lr=4e-4),
    generator2=dict(optimizer=dict(lr=1e-4)),
    discriminator=dict(optimizer=dict(lr=1e-4)))

dataset = dict(
    type='pg2aug.PersonPairDataset',
    size=size,
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='person_keypoints_train.json',
        data_prefix=dict(img='images/train/')))
train_dataloader = dict(batch_size=16, num_workers=1, dataset=dataset)

custom_hooks = [
    dict(
        type='pg2aug.SampleSheetHook',
        interval=300,
        scale=3,
        dataset=dict(
            type='pg2aug.PersonPairDataset',
            size=size,
            flip=False,
            dataset=dict(
                type='CocoDataset',
                data_root=data_root,
                ann_file='person_keypoints_val.json',
                data_prefix=dict(img='images/val/'))))
]
