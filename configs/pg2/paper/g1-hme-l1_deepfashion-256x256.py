# G1-HME-L1 of Table 1: the heatmaps have an encoder of their own.
_base_ = './g1-l1_deepfashion-256x256.py'

model = dict(generator1=dict(pose_embedding='heatmaps'))
