# The full model of the paper (G1+G2+D).
_base_ = '../../_base_/deepfashion-256x256.py'
