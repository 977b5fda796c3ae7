# The same, but it learns the person only: both images are cut out of their background.
_base_ = './pg2_figures-64x48.py'

model = dict(data_preprocessor=dict(foreground=True))
