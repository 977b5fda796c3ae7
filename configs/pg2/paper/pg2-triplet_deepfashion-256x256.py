# The authors' released code where it differs from the paper: D sees single images, and the
# condition image as one more fake; heatmaps in [-1, 1].
_base_ = './pg2_deepfashion-256x256.py'

model = dict(
    discriminator=dict(scheme='triplet'),
    data_preprocessor=dict(heatmap_background=-1.0))
