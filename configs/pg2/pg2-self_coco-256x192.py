# The recommended generator at twice the resolution, about four times the operations.
_base_ = './pg2-self_coco-128x96.py'

size = (192, 256)

model = dict(size=size)
train_dataloader = dict(dataset=dict(size=size))

custom_hooks = _base_.custom_hooks
custom_hooks[0]['scale'] = 1
custom_hooks[0]['dataset']['size'] = size
