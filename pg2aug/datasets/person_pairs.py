"""One person in two poses, from any MMPose dataset with an identity per instance."""

import os
from collections.abc import Sequence
from logging import INFO, WARNING
from typing import Any, Literal

import numpy as np
import torch
from mmengine.logging import print_log
from numpy.typing import NDArray
from torch.utils.data import Dataset

from pg2aug.datasets.crop import flip_crop, inside_crop
from pg2aug.datasets.instances import IdentityRule, Instances, find_instances
from pg2aug.datasets.pairing import OrderedPairs, RepeatedInstances, sample_pair_indices
from pg2aug.datasets.pairs_file import read_pairs
from pg2aug.datasets.person_crops import PersonCrop, PersonCrops
from pg2aug.datasets.topdown import build_topdown_dataset
from pg2aug.datasets.via_poses import ViaPoses
from pg2aug.poses import PoseBank, Skeleton, check_same_joints
from pg2aug.poses.read.coco import BUILD_A_BANK
from pg2aug.registry import DATASETS
from pg2aug.utils.arguments import check_megabytes


@DATASETS.register_module()
class PersonPairDataset(Dataset[dict[str, Any]]):
    """Pairs (condition, target) of the same person in two poses.

    With ``pairing='identity'`` they are all ordered pairs of different instances of an identity, or
    those that the file ``pairs`` lists. With ``pairing='self'``, for datasets without identities,
    condition and target are the same image, the condition mirrored in half of the pairs, and a pose
    ``via`` which the condition is to be sent through: :class:`pg2aug.models.PG2DataPreprocessor`
    lays its limbs into that pose.

    Item ``i`` depends on ``i`` and the arguments alone, so that a resumed training sees what an
    uninterrupted one would have seen. Items work with torch's ``default_collate``:

    - ``condition_image``, ``target_image``: ``(3, h, w)`` uint8 tensor, BGR crop.
    - ``condition_keypoints``, ``target_keypoints``: ``(K, 2)`` float32 tensor in the crop frame.
    - ``condition_visible``, ``target_visible``: ``(K,)`` float32 tensor, greater than 0 where the
      joint is labelled and inside the crop; elsewhere the keypoints are 0.
    - ``condition_radius``, ``target_radius``: float32, radius of the person's limbs in crop pixels.
    - ``via_keypoints``, ``via_visible``, ``via_radius``: likewise, with ``pairing='self'`` only.
    - ``person_id``: the identity, or ``condition_id`` where there are none; ``condition_id``,
      ``target_id``: the annotations' ids.

    Args:
        dataset: Config of a top-down MMPose dataset, with or without the prefix ``mmpose.``. Its
            pipeline is not used.
        size: ``(width, height)`` of the crops.
        padding: Factor on the person's box, see :func:`~pg2aug.datasets.crop.crop_matrix`.
        identity_key: Name of the identity in the raw annotation, else in MMPose's data info. Values
            that stand for nobody (-1, an empty string, 'unknown', ...; see
            :data:`pg2aug.datasets.instances.NO_IDENTITY`) are left out and counted.
        identity_within_folder: Whether the same identity in two image folders is two people, as
            with PoseTrack's ``track_id``, which starts again with every video.
        min_visible: Labelled joints that make an instance usable.
        flip: Whether to append the mirrored copy of every pair (both images and both poses), which
            doubles the length; the second half is the first half mirrored.
        num_pairs: Number of pairs to draw, before mirroring; if None all, which is every instance
            with as many poses as the bank has if ``pairing='self'``.
        seed: Seed of that draw, and of the poses ``via``.
        pairing: 'identity' or 'self'.
        pose_bank: File of the poses ``via``, see :class:`PG2Augment`; the dataset's own poses, rare
            ones more often, if None.
        backend_args: Arguments of MMEngine's file backend for the images.
        pairs: CSV of the pairs to use, in its order: the header ``from,to``, then names of images,
            see :func:`~pg2aug.datasets.pairs_file.read_pairs`. A relative path is below the
            ``data_root`` of ``dataset``, as its ``ann_file`` is. Pairs with an unusable instance
            are left out and counted. Both images must show the same person, which is not checked
            where no annotation has an identity.
        cache_mb: Memory in MB (2**20 bytes) for crops that are kept once they were made, so that an
            image is read and decoded once; 0 keeps none. Data loader workers that are forked share
            it. Where it does not hold all persons, the crops of the others are made each time.

    Raises:
        FileNotFoundError: If the annotation file, the folder of images or the file ``pairs`` does
            not exist.
        MemoryError: If the memory for crops cannot be reserved.
        ValueError: If the config is no top-down MMPose dataset, an identity is neither an integer
            nor a string, there is no pair, ``num_pairs`` exceeds their number, a line of ``pairs``
            is not two names of images of one and the same person, or ``cache_mb`` is no finite
            number from 0 on.
    """

    def __init__(
        self,
        dataset: dict[str, Any],
        size: tuple[int, int],
        padding: float = 1.25,
        identity_key: str = 'person_id',
        identity_within_folder: bool = False,
        min_visible: int = 4,
        flip: bool = True,
        num_pairs: int | None = None,
        seed: int = 0,
        pairing: Literal['identity', 'self'] = 'identity',
        pose_bank: str | None = None,
        backend_args: dict[str, Any] | None = None,
        pairs: str | None = None,
        cache_mb: float = 1024,
    ) -> None:
        if pairing not in ('identity', 'self'):
            raise ValueError(f"pairing must be 'identity' or 'self', got {pairing!r}")
        if pose_bank is not None and pairing != 'self':
            raise ValueError("pose_bank is for pairing='self' only")
        if pairs is not None and pairing == 'self':
            raise ValueError("pairs is for pairing='identity' only: a self-pair is of one image")
        check_megabytes('PersonPairDataset: cache_mb', cache_mb, 'set 0 to keep no crops')
        self.pairing = pairing
        self.dataset = build_topdown_dataset(dataset, backend_args)
        self.size = (int(size[0]), int(size[1]))
        self.padding = padding
        self.flip = flip
        self.skeleton = Skeleton.from_metainfo(self.dataset.metainfo)

        rule = IdentityRule(None if pairing == 'self' else identity_key, identity_within_folder)
        if pairs is not None and not rule.applies_to(self.dataset):
            rule = IdentityRule(None)
        least = 2 if pairing == 'identity' and pairs is None else 1
        instances = find_instances(self.dataset, rule, min_visible, least)
        self._identities, self._ids = instances.identities, instances.ids
        self._keypoints, self._visible = instances.keypoints, instances.visible
        self._identity_of = instances.identity_of
        self._pairs: Sequence[tuple[int, int]] = OrderedPairs(instances.sizes)
        self._via: ViaPoses | None = None
        dropped = instances.dropped
        if pairing == 'self':
            bank = self._load_bank(pose_bank, seed)
            self._via = ViaPoses(bank, self.skeleton, self.size, padding, seed)
            self._pairs = RepeatedInstances(len(self._ids), len(bank))
        elif pairs is not None:
            path = os.path.join(self.dataset.data_root or '', pairs)
            self._pairs, omitted = self._listed_pairs(path, instances, rule.key is not None)
            dropped += f'; {omitted}'
        self._crops = PersonCrops(
            self.dataset,
            instances.indices,
            self.size,
            padding,
            self.skeleton,
            backend_args,
            int(cache_mb * 2**20),
        )
        num_images = len({instances.image_names[index] for index in instances.indices})
        self._log_summary(num_images, dropped)
        if rule.key is not None:
            _warn_of_one(instances, rule.key)
        self._chosen: NDArray[np.int64] | None = None
        if num_pairs is not None:
            self._chosen = sample_pair_indices(len(self._pairs), num_pairs, seed)

    @property
    def metainfo(self) -> dict[str, Any]:
        """The wrapped dataset's metainfo, and ``crop`` with the size and padding of the crops.

        MMEngine's Runner stores it in checkpoints as ``dataset_meta``.
        """
        crop = {'size': self.size, 'padding': self.padding}
        return {**self.dataset.metainfo, 'crop': crop}

    def __len__(self) -> int:
        return self._num_unflipped * (2 if self.flip else 1)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f'item {index} of a PersonPairDataset of length {len(self)}')
        flipped, rank = divmod(index, self._num_unflipped)
        rank = rank if self._chosen is None else int(self._chosen[rank])
        pair = self._pairs[rank]
        item: dict[str, Any] = {'person_id': self._identities[self._identity_of[pair[0]]]}
        via, mirrored = self._draw_via(rank, pair[0])
        item.update(via)
        crops = {member: self._crops[member] for member in dict.fromkeys(pair)}
        for role, member in zip(('condition', 'target'), pair, strict=True):
            flip = bool(flipped) != (mirrored and role == 'condition')
            tensors = self._to_tensors(crops[member], flip)
            item.update({f'{role}_{name}': value for name, value in tensors.items()})
            item[f'{role}_id'] = self._ids[member]
        return item

    def _draw_via(self, rank: int, member: int) -> tuple[dict[str, torch.Tensor], bool]:
        if self._via is None:
            return {}, False
        *via, mirrored = self._via.draw(rank, self._keypoints[member], self._visible[member])
        names = ('via_keypoints', 'via_visible', 'via_radius')
        return {n: torch.as_tensor(value) for n, value in zip(names, via, strict=True)}, mirrored

    def _load_bank(self, pose_bank: str | None, seed: int) -> PoseBank:
        if pose_bank is not None:
            bank = PoseBank.load(pose_bank)
            context = f'pose_bank {pose_bank!r}'
            check_same_joints(self.skeleton, bank.skeleton, context, BUILD_A_BANK)
            return bank
        return PoseBank.from_poses(self._keypoints, self._visible, self.skeleton, seed=seed)

    @property
    def _num_unflipped(self) -> int:
        return len(self._pairs) if self._chosen is None else len(self._chosen)

    def _to_tensors(self, crop: PersonCrop, flipped: bool) -> dict[str, torch.Tensor]:
        image, keypoints, visible, radius = crop
        if flipped:
            flip_indices = self.skeleton.flip_indices
            image, keypoints, visible = flip_crop(image, keypoints, visible, flip_indices)
        shown = (visible > 0) & inside_crop(keypoints, self.size)
        return {
            'image': torch.from_numpy(image.transpose(2, 0, 1).copy()),
            'keypoints': torch.from_numpy(np.where(shown[:, None], keypoints, 0)),
            'visible': torch.from_numpy(np.where(shown, visible, 0)),
            'radius': torch.tensor(radius, dtype=torch.float32),
        }

    def _log_summary(self, num_images: int, dropped: str) -> None:
        print_log(
            f'PersonPairDataset ({self.dataset.ann_file}): {num_images} images, '
            f'{len(self._identities)} identities, {len(self._ids)} usable instances, '
            f'{len(self._pairs)} pairs; instances dropped: {dropped}; crops of '
            f'{self._crops.num_kept} instances are kept in memory',
            logger='current',
            level=INFO,
        )

    def _listed_pairs(self, path: str, instances: Instances, checked: bool) -> tuple[Any, str]:
        """The pairs of a file that can be used, and what is to be said of the others."""
        file = read_pairs(path, instances.image_names)
        pairs = file.select(instances, checked)
        omitted = f'{len(file.lines) - len(pairs)} of the {len(file.lines)} pairs of {path!r}'
        unchecked = '' if checked else '; nothing tells whether a pair shows one person'
        return pairs, f'{omitted} dropped with them{unchecked}'


def _warn_of_one(instances: Instances, key: str) -> None:
    """Warn where most instances are of one identity: it may stand for people who are not known."""
    most = max(instances.sizes)
    if most > 0.5 * len(instances.indices):
        identity = instances.identities[instances.sizes.index(most)]
        print_log(
            f'{key}={identity!r} has {most} of {len(instances.indices)} usable instances: if it is '
            'not one person, but stands for people who are not known, remove it from these '
            "annotations, or use pairing='self'",
            logger='current',
            level=WARNING,
        )
