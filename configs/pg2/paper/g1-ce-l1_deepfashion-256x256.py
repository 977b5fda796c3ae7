# G1-CE-L1 of Table 1: the pose comes as coordinates.
_base_ = './g1-l1_deepfashion-256x256.py'

model = dict(generator1=dict(pose_embedding='coordinates'))
