# G1-poseMaskLoss of Table 1: stage I of the full model.
_base_ = './pg2_figures-64x48.py'

stage2_iters = 0

model = dict(generator2=None, discriminator=None)
