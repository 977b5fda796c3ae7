# The recommended generator for one's own data: no identities needed, trained on the very people it
# will augment. Give data_root, or the paths of any COCO-style set in dataset.
_base_ = '../_base_/pg2.py'

data_root = 'data/coco/'
size = (96, 128)
stage1_iters = 20000
stage2_iters = 2000

model = dict(
    size=size,
    num_keypoints=17,
    generator1=dict(base_channels=32),
    generator2=dict(base_channels=32),
    discriminator=dict(channels=(32, 64, 128, 256)),
    l1_weight=50,
    data_preprocessor=dict(foreground=True, aligned=True, matte=True),
)

optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    generator2=dict(optimizer=dict(lr=2e-5)),
    discriminator=dict(optimizer=dict(lr=2e-5)),
)

# People who show most of themselves, sent through rare poses of each other.
dataset = dict(
    type='pg2aug.PersonPairDataset',
    size=size,
    pairing='self',
    min_visible=12,
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='annotations/person_keypoints_train2017.json',
        data_prefix=dict(img='train2017/'),
    ),
)
train_dataloader = dict(batch_size=16, num_workers=2, dataset=dataset)

custom_hooks = [
    dict(
        type='pg2aug.SampleSheetHook',
        interval=1000,
        scale=2,
        dataset=dict(
            type='pg2aug.PersonPairDataset',
            size=size,
            pairing='self',
            min_visible=12,
            flip=False,
            dataset=dict(
                type='CocoDataset',
                data_root=data_root,
                ann_file='annotations/person_keypoints_val2017.json',
                data_prefix=dict(img='val2017/'),
            ),
        ),
    )
]
