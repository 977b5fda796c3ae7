"""What is trained and tested on: people, pose banks, and the true render of their poses."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common.files import locked, write_json
from benchmarks.common.people import make_people, read_poses
from benchmarks.common.tools import run_tool
from pg2aug.figures import (
    RARE_FAMILIES,
    Figure,
    Pose,
    draw_family,
    figure_annotation,
    figure_rng,
    render_figure,
    sample_pose,
)
from pg2aug.poses import PoseBank, Skeleton

IMAGES_PER_PERSON = 3
PEOPLE_PER_SEED, FIRST_OF_BANK, FIRST_OF_TEST = 100_000, 50_000_000, 90_000_000
BANK_PEOPLE, BANK_IMAGES, BANK_RARE_SHARE = 500, 4, 0.5
TEST_PEOPLE, TEST_IMAGES, TEST_RARE_SHARE = 100, 10, 0.5
RARER_THAN = 0.9
FEW_ALPHA, FEW_NOVEL = 4.0, 3000
"""Of the bank of a training set that itself has the rare poses, which are too few otherwise."""


@dataclass(frozen=True)
class World:
    """A training set, and the poses that there are for it.

    Attributes:
        folder: Where all of it is, made when it is first asked for.
        seed: Of the people.
        images: Training images, three of each person.
        rare_share: Share of them in which the pose is a rare one.
        external: Whether the poses come from other people, of whom there are no images. Otherwise
            they are those of the training set.
        size: (width, height) of the images.
    """

    folder: Path
    seed: int
    images: int
    rare_share: float
    external: bool
    size: tuple[int, int]

    @property
    def first_person(self) -> int:
        """Number of the first person of the training set."""
        return self.seed * PEOPLE_PER_SEED

    def train(self) -> Path:
        """Annotation file of the training set; the images are beside it in images/train."""
        people = self.images // IMAGES_PER_PERSON
        return self._people('train', people, IMAGES_PER_PERSON, self.rare_share, self.first_person)

    def poses(self) -> Path:
        """Annotation file of the poses to synthesise people in; no images, if they are external."""
        if not self.external:
            return self.train()
        path = self.folder / 'poses.json'
        if not path.exists():
            first = FIRST_OF_BANK + self.first_person
            people = self._people('bank', BANK_PEOPLE, BANK_IMAGES, BANK_RARE_SHARE, first)
            write_json(path, json.loads(people.read_text()) | {'images': []})
        return path

    @property
    def alpha(self) -> float:
        """Of the weights of pose bank and oversampling."""
        return 2.0 if self.external else FEW_ALPHA

    def bank(self, uniform: bool = False, novel: bool = True) -> Path:
        """Pose bank of :meth:`poses`, made as a user makes it; rare is what the training set lacks.

        Args:
            uniform: Whether all poses are drawn alike.
            novel: Whether new poses are made up where the training set has all there are.
        """
        alpha = 0.0 if uniform else self.alpha
        made_up = novel and not self.external
        path = self.folder / f'bank_{alpha:g}{"_novel" if made_up else ""}.npz'
        if not path.exists():
            options = ['--alpha', alpha, '--out', path]
            options += ['--num-novel', FEW_NOVEL] if made_up else []
            options += ['--reference', self.train()] if self.external else []
            run_tool('build_pose_bank.py', self.poses(), *options)
        return path

    def oversampled(self, number: int) -> list[int]:
        """Indices of training images, drawn by the weights that the bank gives their poses."""
        content = json.loads(self.train().read_text())
        bank = PoseBank.from_annotations([self.train()], alpha=self.alpha)
        index = _locate(bank, content['annotations'])
        rng = np.random.default_rng((self.seed, 2))
        return index[rng.choice(len(bank), number, p=bank.weights)].tolist()

    def render(self, number: int) -> Path:
        """Annotation file of true images of training people in poses drawn from the bank.

        Each is a training image, with its person, light and background, rendered in another pose:
        what a perfect PG2Augment would make of it.

        Args:
            number: Of images.
        """
        path = self.folder / 'person_keypoints_render.json'
        if not path.exists():
            self._render(number, path)
        return path

    def _render(self, number: int, path: Path) -> None:
        # Of a made-up pose there is nothing to render.
        bank = PoseBank.load(self.bank(novel=False))
        of_poses = json.loads(self.poses().read_text())['annotations']
        located = _locate(bank, of_poses)
        content = json.loads(self.train().read_text())
        rng = np.random.default_rng((self.seed, 3))
        folder = path.parent / 'images' / 'render'
        folder.mkdir(parents=True, exist_ok=True)
        images, annotations = [], []
        rare_share = BANK_RARE_SHARE if self.external else self.rare_share
        for drawn in rng.choice(len(bank), number, p=bank.weights):
            pose = drawn_pose(origin(of_poses, located[drawn]), rare_share)
            scene = origin(content['annotations'], rng.integers(len(content['images'])))
            figure = render_in(scene, self.rare_share, pose, self.size)
            identifier = len(images) + 1
            name = f'{identifier:06d}.jpg'
            cv2.imwrite(str(folder / name), figure.image, (cv2.IMWRITE_JPEG_QUALITY, 95))
            images.append(content['images'][0] | {'id': identifier, 'file_name': name})
            annotations.append(figure_annotation(identifier, figure))
        write_json(path, content | {'images': images, 'annotations': annotations})

    def test(self) -> 'TestSet':
        """The test set, the same for all worlds, with what is rare seen from this one."""
        folder = self.folder.parent / 'test'
        with locked(folder):
            path = make_people(
                folder, 'test', TEST_PEOPLE, TEST_IMAGES, self.size, TEST_RARE_SHARE, FIRST_OF_TEST
            )
        return TestSet(path, self.train())

    def _people(self, name: str, people: int, images: int, rare: float, first: int) -> Path:
        return make_people(self.folder, name, people, images, self.size, rare, first)


@dataclass(frozen=True)
class TestSet:
    """Images of people whom nobody has trained on.

    Attributes:
        path: Annotation file; the images are beside it in images/test.
        train: Annotation file of the training set, against which rarity is measured.
    """

    path: Path
    train: Path

    @cached_property
    def content(self) -> dict[str, Any]:
        """The annotation file."""
        return json.loads(self.path.read_text())

    def subsets(self) -> dict[str, set[int]]:
        """Annotation ids: 'rare' and 'common' families, the 'rarest' tenth, and each family."""
        families: dict[str, set[int]] = {'rare': set(), 'common': set()}
        for annotation in self.content['annotations']:
            family = annotation['pose_family']
            kind = 'rare' if family in RARE_FAMILIES else 'common'
            for name in (kind, family):
                families.setdefault(name, set()).add(annotation['id'])
        return families | {'rarest': self._rarest()}

    def _rarest(self) -> set[int]:
        """The rarest tenth of the poses by the pose bank, seen from the training set."""
        test, reference = (
            read_poses(json.loads(p.read_text())['annotations']) for p in (self.path, self.train)
        )
        skeleton = Skeleton.from_coco_category(self.content['categories'][0])
        rarity = PoseBank.from_poses(*test, skeleton, reference=reference).rarity
        limit = np.nanquantile(rarity, RARER_THAN)
        pairs = zip(self.content['annotations'], rarity, strict=True)
        return {annotation['id'] for annotation, value in pairs if value > limit}


def _locate(bank: PoseBank, annotations: list[dict[str, Any]]) -> np.ndarray:
    """For each pose of a bank the index of its annotation: unfit annotations are left out of it."""
    keypoints, visible = read_poses(annotations)
    where = {
        pose.astype(np.float32).tobytes(): index
        for index, pose in enumerate(keypoints * (visible > 0)[..., None])
    }
    return np.array([where[pose.tobytes()] for pose in bank.keypoints])


def origin(annotations: list[dict[str, Any]], index: int) -> tuple[int, int]:
    """Person and number of the image that an annotation of make_figures is of."""
    person = annotations[index]['person_id']
    first = next(i for i, a in enumerate(annotations) if a['person_id'] == person)
    return person, int(index) - first


def drawn_pose(of: tuple[int, int], rare_share: float) -> Pose:
    """The pose of a person's image, drawn again."""
    rng = figure_rng(0, *of)
    return sample_pose(draw_family(rare_share, rng), rng)


def render_in(scene: tuple[int, int], rare_share: float, pose: Pose, size: Any) -> Figure:
    """A person's image, with its light and background, but in another pose."""
    rng = figure_rng(0, *scene)
    # As many draws as the image's own pose took.
    sample_pose(draw_family(rare_share, rng), rng)
    return render_figure(scene[0], pose.family, size, rng, pose=pose)
