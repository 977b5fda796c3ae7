# The full model of the paper (G1+G2+D).
_base_ = '../../_base_/market1501-128x64.py'
