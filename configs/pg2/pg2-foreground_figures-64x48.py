# It learns the person only: both images are cut out of their background. Fewer, larger batches, as
# the demo trains it; benchmarks.label_fidelity measured it with 750 + 50 iterations.
_base_ = './paper/pg2_figures-64x48.py'

stage1_iters = 700
stage2_iters = 100

model = dict(
    generator2=dict(skip_full_resolution=False),
    data_preprocessor=dict(foreground=True))
train_dataloader = dict(batch_size=16)
