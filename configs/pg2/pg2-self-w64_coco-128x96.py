# Twice as wide, about four times the operations.
_base_ = './pg2-self_coco-128x96.py'

model = dict(generator1=dict(base_channels=64), generator2=dict(base_channels=64))
