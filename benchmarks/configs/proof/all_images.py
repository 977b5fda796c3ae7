# Rotations, and the people in the rarest poses too: what no synthesis can beat.
_base_ = ['./rotation.py']

train_dataloader = dict(dataset=dict(ann_file='annotations/person_keypoints_train2017.json'))
