# Procedural people (pg2aug demo-data), at a size that two CPU cores train in minutes.
_base_ = './pg2.py'

data_root = 'demo/figures/'
size = (48, 64)  # width, height
stage1_iters = 2400
stage2_iters = 800

model = dict(
    size=size,
    num_keypoints=17,
    generator1=dict(num_blocks=4, base_channels=32),
    generator2=dict(num_blocks=2, base_channels=32),
    discriminator=dict(channels=(32, 64, 128)),
    l1_weight=50)

# Twenty times the paper's rate for a tenth of its iterations; the paper's where G2 and D compete,
# for at a higher one D wins and the refined image falls apart.
optim_wrapper = dict(
    optimizer=dict(lr=4e-4),
    generator2=dict(optimizer=dict(lr=2e-5)),
    discriminator=dict(optimizer=dict(lr=2e-5)))

train_dataset = dict(
    type='pg2aug.PersonPairDataset',
    size=size,
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='person_keypoints_train.json',
        data_prefix=dict(img='images/train/')))
test_dataset = dict(
    type='pg2aug.PersonPairDataset',
    size=size,
    flip=False,
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='person_keypoints_val.json',
        data_prefix=dict(img='images/val/')))

# No worker: on two cores it would take more from the convolutions' threads than it gives.
train_dataloader = dict(
    batch_size=8, num_workers=0, persistent_workers=False, dataset=train_dataset)
test_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=test_dataset)
test_evaluator = dict(type='pg2aug.SynthesisMetric')
test_cfg = dict()

custom_hooks = [
    dict(type='pg2aug.SampleSheetHook', interval=400, scale=3, dataset=test_dataset)]
