# The same without identities: each image is its own pair, sent through another pose and back.
_base_ = './pg2-aligned_figures-64x48.py'

train_dataloader = dict(dataset=dict(pairing='self'))
