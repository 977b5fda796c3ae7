"""What the experiment runs on: people to train on, people to judge on, and what is asked for."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common.people import make_people, read_poses
from pg2aug.figures import RARE_FAMILIES
from pg2aug.poses import PoseBank, Skeleton

TEST_FIRST_PERSON, JUDGE_FIRST_PERSON, PEOPLE_PER_SEED = 1_000_000, 2_000_000, 10_000
RARE_SHARE_TRAIN, RARE_SHARE_JUDGE = 0.03, 0.5
TEST_PEOPLE, IMAGES_PER_PERSON = 20, 16


@dataclass(frozen=True)
class Person:
    """An annotated person.

    Attributes:
        image_path: File of the image.
        keypoints: (K, 2) pixels.
        visible: (K,) 0 where unlabelled.
        bbox: (4,) x1, y1, x2, y2.
        rare: Whether the pose is one of the rare ones.
        family: Its kind of pose.
    """

    image_path: Path
    keypoints: np.ndarray
    visible: np.ndarray
    bbox: np.ndarray
    rare: bool
    family: str

    def read(self) -> np.ndarray:
        """The image, (H, W, 3) uint8 BGR."""
        return cv2.imread(str(self.image_path))


@dataclass(frozen=True)
class Split:
    """Annotation file and image folder, as (root, ann_file, img_prefix) of an MMPose dataset."""

    root: Path
    ann_file: str
    img_prefix: str

    def options(self) -> dict[str, str]:
        """Options that make an MMPose data set of it."""
        return {
            'data_root': f'{self.root}/',
            'ann_file': self.ann_file,
            'data_prefix.img': self.img_prefix,
        }

    def content(self) -> dict[str, Any]:
        """The annotation file."""
        return json.loads((self.root / self.ann_file).read_text())


@dataclass(frozen=True)
class World:
    """Everything that a run needs to know of its data.

    Attributes:
        judge: True images of all poses, for the judge.
        train: True images for the generators, by seed.
        test: People whom neither has seen (or frames, where there is one person).
        rare_families: Values of ``pose_family`` that count as rare; None to take the rarest third
            of the test poses, seen from the training poses.
    """

    judge: Split
    train: dict[int, Split]
    test: Split
    rare_families: tuple[str, ...] | None

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the poses."""
        return Skeleton.from_coco_category(self.test.content()['categories'][0])

    def trials(self, seed: int, per_person: int) -> list[tuple[Person, Person]]:
        """(source, target) of the same person: a common source, rare and common targets.

        Args:
            seed: Of the choice, and of the training set where rarity is measured against it.
            per_person: Targets of a person, of each kind, at most.
        """
        rng = np.random.default_rng((seed, 1))
        pairs = []
        for people in self._people(seed).values():
            common = [person for person in people if not person.rare]
            for kind in (True, False):
                targets = [person for person in people if person.rare == kind]
                for index in rng.permutation(len(targets))[:per_person]:
                    sources = [person for person in common if person is not targets[index]]
                    pairs.append((sources[rng.integers(len(sources))], targets[index]))
        return pairs

    def _people(self, seed: int) -> dict[int, list[Person]]:
        content = self.test.content()
        images = {image['id']: image['file_name'] for image in content['images']}
        annotations = content['annotations']
        poses = read_poses(annotations)
        if self.rare_families is None:
            rare = self._rarest_third(poses, seed)
        else:
            rare = [a['pose_family'] in self.rare_families for a in annotations]
        people = defaultdict(list)
        for annotation, keypoints, visible, is_rare in zip(annotations, *poses, rare, strict=True):
            x, y, w, h = annotation['bbox']
            people[annotation['person_id']].append(
                Person(
                    self.test.root / self.test.img_prefix / images[annotation['image_id']],
                    keypoints,
                    visible.astype(np.float32),
                    np.array([x, y, x + w, y + h]),
                    bool(is_rare),
                    annotation.get('pose_family') or ('rarest third' if is_rare else 'others'),
                )
            )
        return people

    def _rarest_third(self, poses: tuple[np.ndarray, np.ndarray], seed: int) -> np.ndarray:
        reference = read_poses(self.train[seed].content()['annotations'])
        rarity = PoseBank.from_poses(*poses, self.skeleton, reference=reference).rarity
        return rarity > np.nanquantile(rarity, 2 / 3)


def figures_world(folder: Path, seeds: list[int], judge_people: int, people: int) -> World:
    """Procedural people; made where they are not there yet.

    Args:
        folder: To write into.
        seeds: Each gets people of its own to train the generators on, a few in rare poses.
        judge_people: People whom the judge learns from, half of the images in rare poses.
        people: People whom a generator learns from.
    """
    judge = _figures(folder, 'judge', judge_people, JUDGE_FIRST_PERSON, RARE_SHARE_JUDGE)
    test = _figures(folder, 'test', TEST_PEOPLE, TEST_FIRST_PERSON, RARE_SHARE_JUDGE)
    train = {
        seed: _figures(folder, f'train{seed}', people, seed * PEOPLE_PER_SEED, RARE_SHARE_TRAIN)
        for seed in seeds
    }
    return World(judge, train, test, RARE_FAMILIES)


def balance4view_world(root: Path, seeds: list[int]) -> World:
    """One real man: trained on the first frames of each view, judged on the last."""
    if not root.is_dir():
        raise SystemExit(f'{root} does not exist: pass --data-root with the balance4view frames')
    train = Split(root, 'person_keypoints_train.json', 'images/')
    test = Split(root, 'person_keypoints_val.json', 'images/')
    return World(train, dict.fromkeys(seeds, train), test, None)


def _figures(folder: Path, name: str, people: int, first: int, rare_share: float) -> Split:
    path = make_people(folder, name, people, IMAGES_PER_PERSON, rare_share=rare_share, first=first)
    return Split(folder, path.name, f'images/{name}/')
