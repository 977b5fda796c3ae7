"""What is trained and tested on: real frames of one man before four cameras."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common.files import locked, write_json
from benchmarks.rare_pose.worlds import TestSet, World

VIEWS = (1, 2, 3, 4)
STANDING, STARTING, LEANING, LATE = range(15), range(15, 25), range(25, 70), range(80, 100)
"""Frames: he stands, starts to move, leans over with a leg in the air, balances, arms out."""

BANKS = {'motion_bank': LEANING, 'coco_bank': None}
"""Regimes: poses of the three cameras' leaning frames without images, or of COCO's people."""


SCALE = 0.5
"""Of the frames, 540x960 pixels, in which he is 400 high: the estimator sees 128."""


@dataclass(frozen=True)
class RealWorld(World):
    """The frames in which the man stands, to train on.

    Attributes:
        data: Folder of balance4view and coco_ccby.
        view: The camera that is held out: of its frames in which he moves, neither images nor poses
            are used but to test.
        regime: One of :data:`BANKS`.
    """

    data: Path
    view: int
    regime: str

    @cached_property
    def content(self) -> dict[str, Any]:
        """All annotations; each has its ``frame``, each id is one annotation's."""
        parts = [
            json.loads((self.data / 'balance4view' / f'person_keypoints_{part}.json').read_text())
            for part in ('train', 'val')
        ]
        images = {i['file_name']: i for part in parts for i in part['images']}
        names = {(n, i['id']): i['file_name'] for n, p in enumerate(parts) for i in p['images']}
        annotations = []
        for number, part in enumerate(parts):
            for annotation in part['annotations']:
                name = names[number, annotation['image_id']]
                frame = int(Path(name).stem.split('_')[1])
                annotations.append(annotation | {'file_name': name, 'frame': frame})
        numbers = {name: number for number, name in enumerate(sorted(images), 1)}
        return parts[0] | {
            'images': [
                i | {'id': numbers[name], **{k: round(i[k] * SCALE) for k in ('width', 'height')}}
                for name, i in sorted(images.items())
            ],
            'annotations': [
                _scaled(a) | {'id': numbers[a['file_name']], 'image_id': numbers[a['file_name']]}
                for a in annotations
            ],
        }

    def train(self) -> Path:
        """The frames in which he stands, of all cameras."""
        chosen = [a for a in self.content['annotations'] if a['frame'] in STANDING]
        return self._part('train', chosen)

    def poses(self) -> Path:
        """Poses without images: of other frames of the other cameras, or of COCO's people."""
        path = self.folder / 'poses.json'
        if not path.exists():
            frames = BANKS[self.regime]
            poses = (
                self._coco()
                if frames is None
                else [a for a in self._others() if a['frame'] in frames]
            )
            write_json(path, self.content | {'images': [], 'annotations': poses})
        return path

    def render(self, number: int) -> Path:
        """The other cameras' frames that the poses of the motion's bank are of.

        Args:
            number: Ignored; there are as many as there are.
        """
        return self._part('render', [a for a in self._others() if a['frame'] in LEANING])

    def test(self) -> 'RealTestSet':
        """The frames of the held-out camera in which he moves, and of all those that came last."""
        chosen = []
        for annotation in self.content['annotations']:
            unseen = annotation['camera_id'] == self.view
            frames = {'starting': STARTING, 'leaning': LEANING} if unseen else {}
            late = 'late, held-out camera' if unseen else 'late, other cameras'
            for family, of_family in {**frames, late: LATE}.items():
                if annotation['frame'] in of_family:
                    chosen.append(annotation | {'pose_family': family})
        return RealTestSet(self._part('test', chosen), self.train())

    def _others(self) -> list[dict[str, Any]]:
        return [a for a in self.content['annotations'] if a['camera_id'] != self.view]

    def _coco(self) -> list[dict[str, Any]]:
        files = sorted((self.data / 'coco_ccby' / 'annotations').glob('person_keypoints_*.json'))
        return [a for path in files for a in json.loads(path.read_text())['annotations']]

    def _part(self, name: str, annotations: list[dict[str, Any]]) -> Path:
        """Annotation file of some frames; the images stay where they are, behind a link."""
        path = self.folder / f'person_keypoints_{name}.json'
        if not path.exists():
            link = self.folder / 'images' / name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(self._frames())
            chosen = {a['image_id'] for a in annotations}
            images = [i for i in self.content['images'] if i['id'] in chosen]
            write_json(path, self.content | {'images': images, 'annotations': annotations})
        return path

    def _frames(self) -> Path:
        """All frames, smaller, for all worlds."""
        folder = self.folder.parent / 'frames'
        with locked(folder):
            for image in self.content['images']:
                path = folder / image['file_name']
                if not path.exists():
                    frame = cv2.imread(str(self.data / 'balance4view' / 'images' / path.name))
                    size = (image['width'], image['height'])
                    frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
                    cv2.imwrite(str(path), frame, (cv2.IMWRITE_JPEG_QUALITY, 95))
        return folder


def _scaled(annotation: dict[str, Any]) -> dict[str, Any]:
    """An annotation in the smaller frames; coordinates are of pixel centres."""
    triples = np.array(annotation['keypoints'], float).reshape(-1, 3)
    labelled = triples[:, 2] > 0
    triples[labelled, :2] = (triples[labelled, :2] + 0.5) * SCALE - 0.5
    return annotation | {
        'keypoints': triples.ravel().tolist(),
        'bbox': [value * SCALE for value in annotation['bbox']],
        'area': annotation['area'] * SCALE**2,
    }


@dataclass(frozen=True)
class RealTestSet(TestSet):
    """Frames that nobody has trained on."""

    def subsets(self) -> dict[str, set[int]]:
        """Annotation ids: 'common' as he starts, 'rare' all else; 'rarest' tenth; each family."""
        families: dict[str, set[int]] = {}
        for annotation in self.content['annotations']:
            families.setdefault(annotation['pose_family'], set()).add(annotation['id'])
        common = families['starting']
        rare = set().union(*families.values()) - common
        return families | {'rare': rare, 'common': common, 'rarest': self._rarest()}
