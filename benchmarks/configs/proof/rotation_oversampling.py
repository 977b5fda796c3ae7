# Rotations, and three of ten samples from the rarest tenth of what is there: the arm to beat.
_base_ = ['./rotation.py']

share = 0.3
coco = _base_.train_dataloader.dataset
rarest = dict(coco, ann_file='annotations/train_others_rarest.json')
train_dataloader = dict(
    sampler=dict(
        _delete_=True,
        type='MultiSourceSampler',
        batch_size=_base_.train_dataloader.batch_size,
        source_ratio=[1 - share, share]),
    dataset=dict(
        _delete_=True,
        type='CombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        datasets=[coco, rarest],
        pipeline=[]))
