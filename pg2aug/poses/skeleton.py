"""The one source of joint names, limbs, flip pairs, torso and head."""

import re
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

JointKey = tuple[str, tuple[str, ...]]

_SIDES = {'left': 'left', 'l': 'left', 'right': 'right', 'r': 'right'}
_SHOWN = 8
_OPPOSITE = {'left': 'right', 'right': 'left'}
MAX_JOINTS = 2000
"""Whole bodies have 133; what is done with a skeleton takes the square of its joints."""

_MANY = 200
_HEAD_WORDS = re.compile(
    'beak|cheek|chin|ear|earbase|eye|face|forehead|head|jaw|lip|mouth|muzzle|nose|snout'
)
_WORDS = re.compile(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+')
# Names without a separator; the list keeps 'leg' or 'rib' from being read as a side and a rest.
_COMPACT = re.compile(
    r'(left|right|l|r)(shoulder|elbow|wrist|hand|hip|knee|ankle|foot|toe|heel|eye|ear)', re.I
)


@dataclass(frozen=True)
class Skeleton:
    """What the code needs to know of a set of K joints.

    Attributes:
        keypoint_names: K names, unique, in the order of the keypoint arrays.
        limbs: Pairs of joint indices, at least one: they are what pose masks and pose scales need.
        flip_indices: K indices; ``flip_indices[k]`` is the mirrored joint of k, k itself if none.
        torso: Left shoulder, right shoulder, right hip, left hip (a polygon in order), or empty
            where the skeleton lacks one of them.
        head: Joints of the head (nose, eyes, ears, top of the head, face marks), or empty.

    Raises:
        ValueError: If there is no limb, a name is repeated, an index is out of range, or
            ``flip_indices`` does not swap joints in pairs.
    """

    keypoint_names: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    flip_indices: tuple[int, ...]
    torso: tuple[int, ...] = ()
    head: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        names, joints = self.keypoint_names, range(len(self.keypoint_names))
        if len(names) > MAX_JOINTS:
            raise ValueError(
                f'{len(names)} keypoint names, more than the {MAX_JOINTS} joints that a skeleton '
                f'may have: {_values(names[:3])} ...'
            )
        if not all(isinstance(name, str) for name in names):
            raise ValueError(f'keypoint names must be texts, got {_values(names)}')
        if len(set(names)) != len(names):
            twice = [name for name, count in Counter(names).items() if count > 1]
            raise ValueError(f'keypoint names must be unique, got {_values(twice)} more than once')
        if not all(isinstance(limb, tuple) and len(limb) == 2 for limb in self.limbs):
            raise ValueError(f'limbs must be pairs of joints, got {_values(self.limbs)}')
        if not self.limbs:
            raise ValueError(
                f'the skeleton of {len(names)} joints has no limbs, which pose masks and pose '
                "scales need: add links as 'skeleton_info' to the MMPose metainfo, or as "
                "1-based pairs 'skeleton' to the COCO category. Faces and clothes have none, and "
                'cannot be put into poses'
            )
        used = [joint for limb in self.limbs for joint in limb] + [*self.torso, *self.head]
        outside = [
            joint
            for joint in [*used, *self.flip_indices]
            if not isinstance(joint, int) or joint not in joints
        ]
        if outside:
            raise ValueError(
                f'joint indices {_values(outside)} are outside 0..{len(names) - 1}; '
                "COCO's 'skeleton' counts joints from 1"
            )
        flip = self.flip_indices
        if len(flip) != len(names):
            raise ValueError(
                f'flip_indices must swap {len(names)} joints in pairs, got {_values(flip)}'
            )
        odd = next((k for k in joints if flip[flip[k]] != k), None)
        if odd is not None:
            one, other = names[odd], names[flip[odd]]
            raise ValueError(
                f'flip_indices must swap {len(names)} joints in pairs: the opposite of {one!r} is '
                f'{other!r}, but the opposite of {other!r} is {names[flip[flip[odd]]]!r}. Name the '
                "opposite on both sides, as 'swap' in the keypoint_info of MMPose's metainfo"
            )

    @property
    def num_keypoints(self) -> int:
        """Number of joints K."""
        return len(self.keypoint_names)

    @cached_property
    def crown(self) -> tuple[int, ...]:
        """Joints of the head at the top of the skull: ``head_top``, or no more than ``head``."""
        keys = [set(joint_key(name)[1]) for name in self.keypoint_names]
        return tuple(k for k in self.head if keys[k] in ({'head'}, {'head', 'top'}))

    @cached_property
    def mask_limbs(self) -> tuple[tuple[int, int], ...]:
        """The limbs, and what closes the body where the skeleton has no limb for it.

        The sides and the bottom of the torso; from a neck to the ears and from ear to ear, which
        are all that is seen of a head from behind. MMPose's skeleton of OpenPose has none of them,
        and the authors of PG2 draw all.
        """
        keys = [joint_key(name) for name in self.keypoint_names]
        closing = list(zip(self.torso[1:], (*self.torso[2:], *self.torso[:1]), strict=True))
        neck_and_ears = [('', ('neck',)), ('left', ('ear',)), ('right', ('ear',))]
        if all(key in keys for key in neck_and_ears):
            closing += combinations(map(keys.index, neck_and_ears), 2)
        known = {frozenset(limb) for limb in self.limbs}
        return (*self.limbs, *(limb for limb in closing if frozenset(limb) not in known))

    @cached_property
    def attachments(self) -> tuple[tuple[int, int], ...]:
        """Wrists and the roots of their hands: one place, which whole-body skeletons do not link.

        They are no limbs: a hand without labels is no reason to leave a person out.
        """
        keys = [joint_key(name) for name in self.keypoint_names]
        pairs = [((side, ('wrist',)), (side, ('hand', 'root'))) for side in _OPPOSITE]
        return tuple(
            (keys.index(wrist), keys.index(root))
            for wrist, root in pairs
            if wrist in keys and root in keys
        )

    @cached_property
    def tips(self) -> tuple[int, ...]:
        """Wrists and ankles, beyond which there is more of the person.

        Where a skeleton has no four joints of these names, those off the head at which a limb ends.
        """
        keys = [joint_key(name)[1] for name in self.keypoint_names]
        named = tuple(k for k, words in enumerate(keys) if words in (('wrist',), ('ankle',)))
        if len(named) == 4:
            return named
        ends = Counter(joint for limb in self.limbs for joint in limb)
        return tuple(k for k, count in sorted(ends.items()) if count == 1 and k not in self.head)

    @classmethod
    def from_metainfo(cls, metainfo: Mapping[str, Any]) -> 'Skeleton':
        """Read MMPose's parsed metainfo (``dataset.metainfo`` or a checkpoint's ``dataset_meta``).

        Raises:
            ValueError: If a key is missing, or the data set defines no skeleton links.
        """
        required = ('keypoint_id2name', 'skeleton_links', 'flip_indices')
        missing = [key for key in required if key not in metainfo]
        if missing:
            raise ValueError(
                f'metainfo lacks {missing} (it has {sorted(metainfo)}): pass a parsed metainfo, '
                "a dataset's `metainfo` or the result of mmpose's parse_pose_metainfo"
            )
        # A json round trip turns the integer keys into strings.
        id2name = {int(key): str(name) for key, name in metainfo['keypoint_id2name'].items()}
        names = tuple(id2name[key] for key in sorted(id2name))
        limbs = tuple((int(a), int(b)) for a, b in metainfo['skeleton_links'])
        return _with_parts(names, limbs, tuple(int(k) for k in metainfo['flip_indices']))

    @classmethod
    def from_coco_category(cls, category: Mapping[str, Any]) -> 'Skeleton':
        """Read a COCO category: ``keypoints`` (names) and ``skeleton`` (1-based links).

        Flip pairs come from the names: ``left_eye``, ``L_Eye``, ``Eye_Left``, ``eyeL``, ``leye``.
        A joint whose name has no side (``nose``, but ``face-12`` too) is its own mirror.

        Raises:
            ValueError: If names or links are missing, or a sided joint has no opposite.
        """
        label = category.get('name', category.get('id'))
        names = tuple(str(name) for name in category.get('keypoints') or ())
        if not names:
            raise ValueError(
                f"category {label!r} has no 'keypoints': it is no keypoint category, or the "
                'file is no COCO keypoint file'
            )
        links = category.get('skeleton') or ()
        try:
            limbs = tuple((int(a) - 1, int(b) - 1) for a, b in links)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"'skeleton' of category {label!r} must be pairs of joint numbers, counted from 1, "
                f'got {reprlib.repr(links)}'
            ) from error
        return _with_parts(names, limbs, _flip_indices(names))


def joint_key(name: str) -> JointKey:
    """Split a joint name into its side and the rest, whatever the spelling.

    Returns:
        ``(side, words)``: side is 'left', 'right' or ''; words are lower case and sorted, so that
        ``L_Eye``, ``left eye`` and ``EyeLeft`` are equal, and so are ``head_top`` and ``top_head``.
    """
    compact = _COMPACT.fullmatch(name)
    words = list(compact.groups()) if compact else _WORDS.findall(name)
    words = [word.lower() for word in words] or [name]
    side = next((_SIDES[word] for word in words if word in _SIDES), '')
    return side, tuple(sorted(word for word in words if word not in _SIDES))


def describe_differences(expected: Skeleton, found: Skeleton | Sequence[str]) -> str:
    """Name the joints in which two skeletons differ, the first of them; empty where they agree.

    Spelling is ignored (see :func:`joint_key`), limbs and colours do not matter; of the second the
    joints' names are enough.
    """
    ours, theirs = expected.keypoint_names, found
    if isinstance(theirs, Skeleton):
        theirs = theirs.keypoint_names
    if len(ours) != len(theirs):
        lacking = _names_not_in(ours, theirs)
        extra = _names_not_in(theirs, ours)
        return (
            f'{len(ours)} joints expected, {len(theirs)} found '
            f'(lacking: {_listed(lacking)}; not expected: {_listed(extra)})'
        )
    pairs = zip(ours, theirs, strict=True)
    return _some(
        [
            f'joint {k} is {b!r}, not {a!r}'
            for k, (a, b) in enumerate(pairs)
            if joint_key(a) != joint_key(b)
        ]
    )


def check_same_joints(
    expected: Skeleton, found: Skeleton | Sequence[str], context: str, remedy: str = ''
) -> None:
    """Raise where two skeletons do not have the same joints in the same order.

    Args:
        expected: The skeleton in use.
        found: The skeleton of ``context``, or the names of its joints.
        context: Names where ``found`` comes from, e.g. ``'pose bank poses.npz'``.
        remedy: What to do about it.

    Raises:
        ValueError: With ``context``, the joints that differ, see above, and the remedy.
    """
    differences = describe_differences(expected, found)
    if differences:
        advice = remedy and f'; {remedy}'
        raise ValueError(f'{context} has another skeleton: {differences}{advice}')


def _values(values: Sequence[Any]) -> str:
    """Values as a message shows them: not thousands of them."""
    if len(values) <= _MANY:
        return repr(values)
    return f'{", ".join(map(repr, values[:_MANY]))} and {len(values) - _MANY} more'


def _some(items: Sequence[str]) -> str:
    """The first items, and how many more there are: some skeletons have 294 joints."""
    more = f' and {len(items) - _SHOWN} more' if len(items) > _SHOWN else ''
    return ', '.join(items[:_SHOWN]) + more


def _listed(names: Sequence[str]) -> str:
    return f'[{_some(list(map(repr, names)))}]' if names else 'none'


def _names_not_in(names: Sequence[str], others: Sequence[str]) -> list[str]:
    keys = {joint_key(name) for name in others}
    return [name for name in names if joint_key(name) not in keys]


def _flip_indices(names: tuple[str, ...]) -> tuple[int, ...]:
    keys = [joint_key(name) for name in names]
    counts, places = Counter(keys), {key: index for index, key in enumerate(keys)}
    flip = []
    for index, (side, words) in enumerate(keys):
        opposite = (_OPPOSITE.get(side, side), words)
        if side and counts[opposite] != 1:
            raise ValueError(
                f'joint {names[index]!r} must have exactly one opposite joint, found '
                f'{counts[opposite]} among {_listed(names)}: rename the joints of the category, or '
                'use an MMPose metainfo, which names the pairs'
            )
        flip.append(places[opposite] if side else index)
    return tuple(flip)


def _with_parts(
    names: tuple[str, ...], limbs: tuple[tuple[int, int], ...], flip_indices: tuple[int, ...]
) -> Skeleton:
    keys = [joint_key(name) for name in names]
    corners = [('left', 'shoulder'), ('right', 'shoulder'), ('right', 'hip'), ('left', 'hip')]
    corner_keys = [(side, (part,)) for side, part in corners]
    torso = tuple(keys.index(key) for key in corner_keys if key in keys)
    head = tuple(k for k, (_, words) in enumerate(keys) if any(map(_HEAD_WORDS.fullmatch, words)))
    return Skeleton(names, limbs, flip_indices, torso if len(torso) == 4 else (), head)
