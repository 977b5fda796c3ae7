# G1+D of Table 1, one stage: G1 learns from the mask loss and D at once, for as long as the full
# model trains in all (the paper does not say how long).
_base_ = './pg2_figures-64x48.py'

stage1_iters = 0
stage2_iters = 3200

model = dict(generator2=None)
