"""The discriminator and the losses again, from the formulas alone, in float64 and with scipy.

Written for comparison, without anything of :mod:`invert`: convolutions are `scipy.signal`'s, the
resampling is an explicit filter and every second pixel, gradients are central differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.signal import correlate2d

TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8
Tensors = Mapping[str, np.ndarray]


def conv(x: np.ndarray, weight: np.ndarray, pad: int) -> np.ndarray:
    """[O, H, W] of [I, H, W]: sums over inputs of 2D correlations, with gain 1/√fan-in."""
    weight = weight / np.sqrt(weight[0].size)
    x = np.pad(x, [(0, 0), (pad, pad), (pad, pad)])
    return np.stack(
        [sum(correlate2d(a, k, "valid") for a, k in zip(x, w, strict=True)) for w in weight]
    )


def lrelu(x: np.ndarray) -> np.ndarray:
    """Leaky ReLU with its gain √2."""
    return np.where(x > 0, x, 0.2 * x) * np.sqrt(2)


def blurred(x: np.ndarray, pad: int) -> np.ndarray:
    """Filtered by [1, 3, 3, 1] ⊗ [1, 3, 3, 1] / 64 after zeros on all sides."""
    x = np.pad(x, [(0, 0), (pad, pad), (pad, pad)])
    kernel = np.outer(TAPS, TAPS)
    return np.stack([correlate2d(channel, kernel, "valid") for channel in x])


def discriminator(t: Tensors, images: np.ndarray, group: int) -> np.ndarray:
    """Logits [N] of images [N, 3, R, R]."""
    features = np.stack([features_of(t, image) for image in images])

    # The spread of each group, as one more channel; samples k, k + N / group, … are a group.
    count = len(features)
    parts = count // group
    spread = np.zeros((count, 1, 4, 4))
    for part in range(parts):
        members = features[part::parts]
        spread[part::parts] = np.sqrt(members.var(0) + 1e-8).mean()

    logits = []
    for x in np.concatenate([features, spread], 1):
        x = lrelu(conv(x, t["b4.conv.weight"], 1) + t["b4.conv.bias"][:, None, None]).ravel()
        w = t["b4.fc.weight"]
        x = lrelu(w @ x / np.sqrt(w.shape[1]) + t["b4.fc.bias"])
        w = t["b4.out.weight"]
        logits.append((w @ x / np.sqrt(w.shape[1]) + t["b4.out.bias"]).item())
    return np.array(logits)


def features_of(t: Tensors, image: np.ndarray) -> np.ndarray:
    """[C, 4, 4] of an image, by the residual blocks."""
    r, x = image.shape[1], image
    while r > 4:
        p = f"b{r}."
        if r == image.shape[1]:
            bias = t[p + "fromrgb.bias"][:, None, None]
            x = lrelu(conv(x, t[p + "fromrgb.weight"], 0) + bias)

        skip = conv(blurred(x, 1)[:, ::2, ::2], t[p + "skip.weight"], 0)
        y = lrelu(conv(x, t[p + "conv0.weight"], 1) + t[p + "conv0.bias"][:, None, None])
        y = conv(blurred(y, 2), t[p + "conv1.weight"], 0)[:, ::2, ::2]
        y = lrelu(y + t[p + "conv1.bias"][:, None, None])
        x = (skip + y) * np.sqrt(0.5)
        r //= 2
    return x


def gradient(
    function: Callable[[np.ndarray], float], x: np.ndarray, places: np.ndarray, step: float = 1e-5
) -> np.ndarray:
    """Central differences of a function of an array, at some of its flat places."""
    found = []
    for place in places:
        moved = x.astype(np.float64).copy()
        moved.flat[place] += step
        above = function(moved)
        moved.flat[place] -= 2 * step
        found.append((above - function(moved)) / (2 * step))
    return np.array(found)


def adam_step(
    value: np.ndarray, gradient: np.ndarray, lr: float, beta2: float, eps: float = 1e-8
) -> np.ndarray:
    """The first step of Adam with β1 = 0: m = g, v = (1 − β2) g², both corrected for their bias."""
    corrected = (1 - beta2) * gradient**2 / (1 - beta2)
    return value - lr * gradient / (np.sqrt(corrected) + eps)
