# G1-L1 of Table 1: without the pose mask in the loss.
_base_ = './g1-mask_deepfashion-256x256.py'

model = dict(mask_weight=0)
