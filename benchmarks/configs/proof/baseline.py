# HRNet-w32 as MMPose has it, on COCO without the people in the rarest poses; tested on given boxes.
_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py']

# Also what lets MMPose import beside mmcv-lite.
custom_imports = dict(imports=['pg2aug'])

train_dataloader = dict(dataset=dict(ann_file='annotations/train_others.json'))
val_dataloader = dict(dataset=dict(bbox_file=None))
test_dataloader = dict(dataset=dict(bbox_file=None))
