# The person only, its limbs laid into the target pose first, and with a matte of its own.
_base_ = './pg2-foreground_figures-64x48.py'

model = dict(data_preprocessor=dict(aligned=True, matte=True))
