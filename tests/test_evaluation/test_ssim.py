import numpy as np
import pytest
from skimage.metrics import structural_similarity

from pg2aug.evaluation import mask_ssim, ssim


@pytest.fixture
def images():
    """Two images of noise, the second near the first; not square."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (24, 17, 3), dtype=np.uint8)
    other = np.clip(image + rng.integers(-60, 61, image.shape), 0, 255).astype(np.uint8)
    return image, other


@pytest.fixture
def mask():
    mask = np.zeros((24, 17), np.uint8)
    mask[6:20, 4:12] = 1
    return mask


def slow_ssim(image, other):
    """Wang et al. (2004), equation 13, on every whole 7x7 window of every channel."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for channel in range(3):
        a, b = image[..., channel].astype(float), other[..., channel].astype(float)
        for y in range(a.shape[0] - 6):
            for x in range(a.shape[1] - 6):
                p, q = a[y : y + 7, x : x + 7].ravel(), b[y : y + 7, x : x + 7].ravel()
                (vp, cov), (_, vq) = np.cov(p, q)
                mp, mq = p.mean(), q.mean()
                luminance = (2 * mp * mq + c1) / (mp**2 + mq**2 + c1)
                values.append(luminance * (2 * cov + c2) / (vp + vq + c2))
    return np.mean(values)


def test_ssim_of_an_image_with_itself_is_1(images, mask):
    assert ssim(images[0], images[0]) == 1
    assert mask_ssim(images[0], images[0], mask) == (1, 1)


def test_ssim_is_that_of_uniform_windows_averaged_over_channels(images):
    assert ssim(*images) == pytest.approx(slow_ssim(*images), abs=1e-9)


def test_mask_ssim_is_that_of_images_times_the_mask_over_the_whole_frame(images, mask):
    masked = [image * mask[..., None] for image in images]
    whole, inside = mask_ssim(*images, mask)
    assert whole == pytest.approx(structural_similarity(*masked, channel_axis=2), abs=1e-12)
    assert inside < whole < 1


def test_over_the_mask_only_its_pixels_count(images, mask):
    everywhere = np.ones_like(mask)
    assert mask_ssim(*images, everywhere) == pytest.approx((ssim(*images),) * 2)
    _, similarity = structural_similarity(
        *(image * mask[..., None] for image in images), channel_axis=2, full=True
    )
    assert mask_ssim(*images, mask)[1] == pytest.approx(similarity[mask > 0].mean())


def test_a_changed_background_changes_no_mask_metric(images, mask):
    changed = images[0].copy()
    changed[mask == 0] = 255 - changed[mask == 0]
    assert mask_ssim(changed, images[1], mask) == mask_ssim(*images, mask)
    assert ssim(changed, images[1]) != ssim(*images)
    changed[10, 8] = 255 - changed[10, 8]
    assert mask_ssim(changed, images[1], mask) != mask_ssim(*images, mask)


def test_an_empty_mask_has_no_mean(images, mask):
    whole, inside = mask_ssim(*images, np.zeros_like(mask))
    assert whole == 1
    assert np.isnan(inside)
