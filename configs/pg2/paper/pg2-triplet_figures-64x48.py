# The authors' released code where it differs from the paper: D sees single images, and the
# condition image as one more fake; heatmaps in [-1, 1]; G2 skips no full resolution.
_base_ = './pg2_figures-64x48.py'

model = dict(
    generator2=dict(skip_full_resolution=False),
    discriminator=dict(scheme='triplet'),
    data_preprocessor=dict(heatmap_background=-1.0))
