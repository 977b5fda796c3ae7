# Rotations and PG2Augment with the recommended generator.
_base_ = ['./rotation.py']

generator = dict(
    config='work_dirs/proof/generator/pg2-self_coco-128x96.py',
    checkpoint='work_dirs/proof/generator/iter_22000.pth')

train_pipeline = _base_.train_pipeline
train_pipeline.insert(
    1,
    dict(
        type='PG2Augment',
        generator=generator,
        pose_bank='work_dirs/proof/bank.npz',
        neighbours='data/coco/annotations/person_keypoints_train2017.json',
        max_view_change=60,
        prob=0.3))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
custom_hooks = [*_base_.custom_hooks, dict(type='PG2Hook')]
