"""Weights of other people's networks, from files on this machine, checked by their hash."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pg2aug.utils.files import file_sha256


@dataclass(frozen=True)
class PublishedWeights:
    """A file that scores of a protocol are made with.

    Attributes:
        name: File name and publisher.
        sha256: Hash of the file.
    """

    name: str
    sha256: str


INCEPTION = PublishedWeights(
    "torch-fidelity's weights-inception-2015-12-05-6726825d.pth",
    '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2',
)
ALEXNET = PublishedWeights(
    "torchvision's alexnet-owt-7be5be79.pth",
    '7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02',
)


def check_weights(
    path: str, published: PublishedWeights, option: str, other_weights: bool = False
) -> dict[str, Any]:
    """Check that a file is the published one. Nothing is ever downloaded.

    Args:
        path: The file.
        published: What it should be.
        option: Name of the option that gave the path, for errors.
        other_weights: Whether another file is accepted.

    Returns:
        ``file`` (its name), ``sha256`` and ``published``, whether it is the published file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the hash is another, and other weights are not accepted.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'{option}={path!r} does not exist: give {published.name} on this machine, or leave '
            f'{option} out; nothing is downloaded'
        )
    found = file_sha256(path)
    if found != published.sha256 and not other_weights:
        raise ValueError(
            f'{option}={path!r} is not {published.name}: its sha256 is {found}, not '
            f'{published.sha256}. Fetch that file again, or, for scores that compare with nobody '
            "else's, accept this one with other_weights=True (--other-weights)"
        )
    return dict(file=Path(path).name, sha256=found, published=found == published.sha256)


def note_weights(weights: Mapping[str, Any] | None, note: str) -> str:
    """A note on a score, and before it what is to be kept in mind with its weights.

    Args:
        weights: What :func:`check_weights` says of them; None for none.
        note: The note so far, which may be empty.
    """
    other = weights is not None and not weights['published']
    return '; '.join(filter(None, ['weights are not the published ones' * other, note]))
