"""Losses of PG2 as pure functions."""

import torch
from torch import Tensor
from torch.nn import functional as F


def masked_l1(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Pose-mask loss, equations 1 and 4 of the paper: ``mean(|prediction - target| * (1 + mask))``.

    Args:
        prediction: (N, 3, H, W).
        target: (N, 3, H, W).
        mask: (N, 1, H, W), 1 on the body of the target pose and 0 outside.

    Returns:
        Scalar.
    """
    return ((prediction - target).abs() * (1 + mask)).mean()


def adversarial_loss(logits: Tensor, real: bool) -> Tensor:
    """Binary cross-entropy of the discriminator's logits against one answer for the whole batch.

    Args:
        logits: (N, 1), before any sigmoid.
        real: Whether the discriminator should have said "real".

    Returns:
        Scalar.
    """
    logits = logits.float()  # mixed precision: a sigmoid in 16 bits saturates early
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))
