# DeepFashion In-shop, with what pg2aug convert deepfashion writes into train/ and
# test/.
_base_ = './pg2.py'

data_root = 'data/deepfashion/'
size = (256, 256)  # width, height
metainfo = dict(from_file='configs/_base_/datasets/coco_openpose.py')
stage1_iters = 30000
stage2_iters = 20000

model = dict(
    size=size,
    num_keypoints=18,
    generator1=dict(num_blocks=6),
    generator2=dict(num_blocks=4),
    discriminator=dict(channels=(64, 128, 256, 512, 512)),
    l1_weight=50,
    data_preprocessor=dict(metainfo=metainfo))

# The whole image is the person's box, and no margin is added: the pixels are the files' own.
train_dataset = dict(
    type='pg2aug.PersonPairDataset',
    size=size,
    padding=1.0,
    pairs='train/pairs.csv',
    dataset=dict(
        type='CocoDataset',
        metainfo=metainfo,
        data_root=data_root,
        ann_file='train/person_keypoints.json',
        data_prefix=dict(img='img/')))
test_dataset = dict(
    type='pg2aug.PersonPairDataset',
    size=size,
    padding=1.0,
    flip=False,
    pairs='test/pairs.csv',
    dataset=dict(
        type='CocoDataset',
        metainfo=metainfo,
        data_root=data_root,
        ann_file='test/person_keypoints.json',
        data_prefix=dict(img='img/')))

train_dataloader = dict(batch_size=8, num_workers=2, dataset=train_dataset)
test_dataloader = dict(
    batch_size=8,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=test_dataset)
test_evaluator = dict(type='pg2aug.SynthesisMetric')
test_cfg = dict()

custom_hooks = [dict(type='pg2aug.SampleSheetHook', interval=1000, dataset=test_dataset)]
