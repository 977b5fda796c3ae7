"""The persons of a dataset, cropped: made when first needed, and kept in bounded memory."""

import mmap
from collections.abc import Mapping, Sequence
from multiprocessing import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pg2aug.datasets.crop import Image, crop_matrix, crop_person, transform_keypoints
from pg2aug.datasets.topdown import keypoint_flags, load_image, person_bbox
from pg2aug.poses import Skeleton, person_limb_radius

if TYPE_CHECKING:
    from mmpose.datasets.datasets.base import BaseCocoStyleDataset


class PersonCrop(NamedTuple):
    """A person in its crop, not mirrored.

    Attributes:
        image: ``(h, w, 3)`` uint8 BGR.
        keypoints: ``(K, 2)`` float32 in the crop frame, inside it or not.
        visible: ``(K,)`` float32, greater than 0 where labelled; COCO's flags, if known.
        radius: Of the person's limbs in crop pixels, float32.
    """

    image: Image
    keypoints: NDArray[np.float32]
    visible: NDArray[np.float32]
    radius: np.float32


class PersonCrops(Sequence[PersonCrop]):
    """Crops of the members of a dataset, the first of which are kept once they were made.

    What is kept is shared with the processes that are forked later, workers of a data loader for
    instance: what one of them makes, all have. A spawned process keeps crops of its own.

    Args:
        dataset: Top-down MMPose dataset.
        indices: (M,) the dataset's index of each member.
        size: ``(width, height)`` of the crops.
        padding: Factor on the person's box.
        skeleton: Of the persons.
        backend_args: Arguments of MMEngine's file backend for the images.
        max_bytes: Memory for crops to keep. It is reserved at once, and used crop by crop.

    Raises:
        MemoryError: If so much cannot be reserved.
    """

    def __init__(
        self,
        dataset: 'BaseCocoStyleDataset',
        indices: NDArray[np.int64],
        size: tuple[int, int],
        padding: float,
        skeleton: Skeleton,
        backend_args: dict[str, Any] | None,
        max_bytes: int,
    ) -> None:
        self._dataset = dataset
        self._indices = indices
        self._size = size
        self._padding = padding
        self._skeleton = skeleton
        self._backend_args = backend_args
        self._max_bytes = max_bytes
        self._reserve()

    def _reserve(self) -> None:
        width, height = self._size
        joints = self._skeleton.num_keypoints
        record = np.dtype(
            [
                ('image', np.uint8, (height, width, 3)),
                ('keypoints', np.float32, (joints, 2)),
                ('visible', np.float32, (joints,)),
                ('radius', np.float32),
            ]
        )
        count = min(len(self), self._max_bytes // (record.itemsize + 1))
        self._kept = _shared_array(count, record)
        self._is_kept = _shared_array(count, np.dtype(np.bool_))
        # Entering it orders what is written before and read after, on any processor.
        self._order = Lock()

    @property
    def num_kept(self) -> int:
        """How many crops are kept at most."""
        return len(self._kept)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, member: int) -> PersonCrop:  # type: ignore[override]
        """The crop of a member, not to be changed.

        Raises:
            ValueError: If its image cannot be read or decoded.
        """
        if member >= self.num_kept:
            return self._make(self._dataset.get_data_info(int(self._indices[member])))
        with self._order:
            kept = self._is_kept[member]
        if not kept:
            crop = self._make(self._dataset.get_data_info(int(self._indices[member])))
            self._kept[member] = tuple(crop)
            with self._order:
                self._is_kept[member] = True
        return PersonCrop(*(self._kept[name][member] for name in PersonCrop._fields))

    def _make(self, info: Mapping[str, Any]) -> PersonCrop:
        image = load_image(info['img_path'], self._backend_args)
        bbox = person_bbox(info, (image.shape[1], image.shape[0]))
        matrix = crop_matrix(bbox, self._size, self._padding)
        keypoints = transform_keypoints(info['keypoints'][0], matrix)
        visible = keypoint_flags(info)
        radius = person_limb_radius(keypoints, visible, self._skeleton.limbs)
        return PersonCrop(
            crop_person(image, matrix, self._size), keypoints, visible, np.float32(radius)
        )

    def __getstate__(self) -> dict[str, Any]:
        own = ('_kept', '_is_kept', '_order')
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._reserve()


def _shared_array(count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeros that processes forked later share; pages take memory when they are first written."""
    size = count * dtype.itemsize
    try:
        memory = mmap.mmap(-1, max(size, 1))
    except OSError as error:
        raise MemoryError(
            f'cannot reserve {size / 2**20:.0f} MB for crops: set cache_mb of PersonPairDataset '
            'lower, or to 0'
        ) from error
    return np.frombuffer(memory, dtype, count)
