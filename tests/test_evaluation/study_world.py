"""Folders of images and answers of raters for the tests of the user study."""

import json
import runpy
from pathlib import Path

import cv2
import numpy as np

main = runpy.run_path(str(Path(__file__).parents[2] / 'tools' / 'user_study.py'))['main']


def make_images(folder, number, seed=0, size=(16, 32), suffix='.png'):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for index in range(number):
        blocks = rng.integers(0, 256, (8, 4, 3), dtype=np.uint8)
        image = cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / f'{folder.name}_{index}{suffix}'), image)
    return folder


def make_answers(study, rater, wrong_real=0, wrong_generated=0):
    """What the page writes: practice all wrong, then the first so many of each kind."""
    key = json.loads((study / 'key.json').read_text())
    half = key['protocol']['num_practice'] // 2
    real, generated = (
        [image['id'] for image in key['images'] if image['kind'] == kind]
        for kind in ('real', 'generated')
    )

    def trials(ids, kind, other, wrong):
        for rank, image in enumerate(ids):
            practice = rank < half
            yield {
                'image': image,
                'kind': kind,
                'practice': practice,
                'answer': other if practice or rank - half < wrong else kind,
                'exposure_ms': key['protocol']['exposure_ms'] + 3.2,
                'response_ms': 700.5,
            }

    shown = [*trials(real, 'real', 'generated', wrong_real)]
    shown += trials(generated, 'generated', 'real', wrong_generated)
    shown.sort(key=lambda trial: not trial['practice'])
    return {
        'format': 'pg2aug user study answers 1',
        'study_id': key['study_id'],
        'protocol': key['protocol'],
        'rater': rater,
        'started': '2026-01-01T10:00:00.000Z',
        'finished': '2026-01-01T10:05:00.000Z',
        'trials': shown,
    }
