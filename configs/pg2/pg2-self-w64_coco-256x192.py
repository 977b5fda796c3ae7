# Twice as wide as well: about sixteen times the operations of pg2-self_coco-128x96.
_base_ = './pg2-self_coco-256x192.py'

model = dict(generator1=dict(base_channels=64), generator2=dict(base_channels=64))
