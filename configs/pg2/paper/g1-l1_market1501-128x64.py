# G1-L1 of Table 1: without the pose mask in the loss.
_base_ = './g1-mask_market1501-128x64.py'

model = dict(mask_weight=0)
