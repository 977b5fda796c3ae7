# A config of MMPose as it is, and below it all that PG2Augment needs.
_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_mobilenetv2_8xb64-210e_coco-256x192.py']

# Also what lets MMPose import beside mmcv-lite.
custom_imports = dict(imports=['pg2aug'])

# Right after LoadImage.
train_pipeline = _base_.train_pipeline
train_pipeline.insert(
    1,
    dict(
        type='PG2Augment',
        # Trained on the same people by pg2aug train. Without any training:
        # generator=dict(type='LimbWarpGenerator', size=(96, 128),
        #                metainfo=dict(from_file='configs/_base_/datasets/coco.py')),
        generator=dict(
            config='work_dirs/pg2-self_coco-128x96/pg2-self_coco-128x96.py',
            checkpoint='work_dirs/pg2-self_coco-128x96/iter_22000.pth'),
        pose_bank='bank.npz',
        neighbours='data/coco/annotations/person_keypoints_train2017.json',
        max_view_change=60,
        prob=0.3))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# Synthesise in batches, on the device of the pose estimator.
custom_hooks = [*_base_.custom_hooks, dict(type='PG2Hook')]
