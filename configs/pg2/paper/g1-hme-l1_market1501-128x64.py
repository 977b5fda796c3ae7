# G1-HME-L1 of Table 1: the heatmaps have an encoder of their own.
_base_ = './g1-l1_market1501-128x64.py'

model = dict(generator1=dict(pose_embedding='heatmaps'))
