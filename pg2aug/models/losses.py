"""Losses of PG2 as pure functions."""

import torch
from torch import Tensor
from torch.nn import functional as F

MATTE_WEIGHT = 0.1
"""Weight of the matte outside the body: the least difference in colour that is worth covering."""


def masked_l1(prediction: Tensor, target: Tensor, mask: Tensor, mask_weight: float = 1.0) -> Tensor:
    """Pose-mask loss, equations 1 and 4 of the paper: ``mean(|prediction - target| * (1 + mask))``.

    Args:
        prediction: (N, 3, H, W).
        target: (N, 3, H, W).
        mask: (N, 1, H, W), 1 on the body of the target pose and 0 outside.
        mask_weight: Factor on the mask; with 0 it is the plain L1 loss.

    Returns:
        Scalar.
    """
    return ((prediction - target).abs() * (1 + mask_weight * mask)).mean()


def matte_l1(
    prediction: Tensor,
    target: Tensor,
    background: Tensor,
    mask: Tensor,
    core: Tensor,
    mask_weight: float = 1.0,
) -> Tensor:
    """Pose-mask loss of a person and its matte, laid over the scene without the person.

    Where the body must be, the colours alone have to be right and the matte full; elsewhere the
    matte is as small as it can be without spoiling the picture, so that clothes, which differ
    from the background, are covered and the background is not.

    Args:
        prediction: (N, 4, H, W), the person's colours and its matte in [0, 1].
        target: (N, 3, H, W), the person in the scene.
        background: (N, 3, H, W), the scene without the person, as far as it can be known.
        mask: (N, 1, H, W), 1 on the body of the target pose and 0 outside.
        core: (N, 1, H, W) in [0, 1], where there is nothing but the person.
        mask_weight: Factor on the mask, see :func:`masked_l1`.

    Returns:
        Scalar.
    """
    person, matte = prediction[:, :3], prediction[:, 3:]
    loss = masked_l1(torch.lerp(background, person, matte), target, mask, mask_weight)
    loss = loss + ((person - target).abs() * core).mean()
    missing, needless = core * (1 - matte), (1 - core) * matte
    return loss + missing.mean() + MATTE_WEIGHT * needless.mean()


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
