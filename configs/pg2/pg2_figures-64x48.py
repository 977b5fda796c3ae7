# PG2 as in the paper on procedural people (tools/make_figures.py), small enough for a demo on a CPU.
_base_ = '../_base_/pg2.py'

data_root = 'demo/figures/'
size = (48, 64)
stage1_iters = 700
stage2_iters = 100

model = dict(
    size=size,
    num_keypoints=17,
    generator1=dict(num_blocks=4, base_channels=32),
    generator2=dict(num_blocks=2, base_channels=32),
    discriminator=dict(channels=(32, 64, 128)),
    l1_weight=50)

# Twenty times the paper's rate for a twentieth of its iterations; the paper's where G2 and D
# compete, for at a higher one D wins and the refined image falls apart.
optim_wrapper = dict(
    optimizer=dict(lr=4e-4),
    generator2=dict(optimizer=dict(lr=2e-5)),
    discriminator=dict(optimizer=dict(lr=2e-5)))

dataset = dict(
    type='pg2aug.PersonPairDataset',
    size=size,
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='person_keypoints_train.json',
        data_prefix=dict(img='images/train/')))
# No worker: on two cores it would take more from the convolutions' threads than it gives.
train_dataloader = dict(
    batch_size=16, num_workers=0, persistent_workers=False, dataset=dataset)

custom_hooks = [
    dict(
        type='pg2aug.SampleSheetHook',
        interval=250,
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
