"""The network gives what each format's original implementation gave, to 1e-4 for images of standard
deviation 2.

The rest is rounding: the originals modulate weights, we modulate activations, and sums run in
another order.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pickle_writer import FIXTURES
from torch import Tensor

from invert.checkpoints import read_checkpoint
from invert.networks.stylegan2 import StyleGAN2

TOLERANCE = 1e-4
ADA = ("ada_tiny", "ada_tiny_conditional", "ada_tiny_fp16clamp")
SIZES = (4, 8, 16, 32)


class Case:
    """A fixture's network and the outputs of its original."""

    def __init__(self, name: str) -> None:
        path = next(path for path in FIXTURES.glob(f"{name}.p*"))
        checkpoint = read_checkpoint(path)
        self.network = StyleGAN2(checkpoint.tensors, **checkpoint.config)
        with np.load(FIXTURES / f"{name}_expected.npz") as file:
            self.expected = {key: torch.from_numpy(file[key]) for key in file}

    def w(self) -> Tensor:
        return self.network.mapping(self.expected["z"], self.expected.get("c"))

    def noise(self, mode: str) -> list[Tensor | None]:
        count = self.network.num_ws - 1
        return [self.network.noise_const(i + 1) if mode == "const" else None for i in range(count)]

    def image(self, ws: Tensor, mode: str = "const") -> Tensor:
        start = self.network.start().expand(len(ws), -1, -1, -1)
        return self.network.synthesize(start, None, list(ws.unbind(1)), self.noise(mode))

    def features(self, ws: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """(features, RGB sum) after the block of that resolution."""
        start = self.network.start().expand(len(ws), -1, -1, -1)
        styles, stop = list(ws.unbind(1)), 2 * int(np.log2(size)) - 2  # the layer after the block
        x, rgb = self.network.run(start, None, styles, self.noise("const"), 1, stop)
        if size == SIZES[-1]:
            rgb = self.network.finish(x, rgb, styles[-1])
        assert rgb is not None
        return x, rgb

    def close(self, value: Tensor, key: str) -> None:
        torch.testing.assert_close(value, self.expected[key], rtol=0, atol=TOLERANCE)

    def repeated(self, w: Tensor) -> Tensor:
        return w[:, None].repeat(1, self.network.num_ws, 1)


@pytest.fixture(scope="module", params=ADA)
def ada(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


@pytest.fixture(scope="module")
def rosinality() -> Case:
    return Case("rosinality_tiny")


@pytest.mark.parametrize("name", [*ADA, "rosinality_tiny"])
def test_the_expected_images_are_neither_small_nor_flat(name: str) -> None:
    assert 1 < Case(name).expected["img_const"].std() < 4


def test_ada_styles_are_the_originals_with_and_without_truncation(ada: Case) -> None:
    w = ada.w()
    ada.close(ada.repeated(w), "ws")
    assert ada.network.w_avg is not None
    ada.close(ada.repeated(ada.network.w_avg.lerp(w, 0.7)), "ws_psi07")


@pytest.mark.parametrize("mode", ["const", "none"])
def test_ada_images_are_the_originals_for_both_noise_modes(ada: Case, mode: str) -> None:
    ada.close(ada.image(ada.expected["ws"], mode), f"img_{mode}")


def test_ada_images_of_extended_styles_are_the_originals(ada: Case) -> None:
    ada.close(ada.image(ada.expected["wplus"]), "img_wplus_const")


@pytest.mark.parametrize("size", SIZES)
def test_ada_features_and_rgb_after_every_block_are_the_originals(ada: Case, size: int) -> None:
    x, rgb = ada.features(ada.expected["wplus"], size)
    ada.close(x, f"feature_after_b{size}")
    ada.close(rgb, f"rgb_after_b{size}")


def test_the_clamp_of_the_fixture_is_applied_and_matters_when_it_is_tight() -> None:
    case = Case("ada_tiny_fp16clamp")
    checkpoint = read_checkpoint(FIXTURES / "ada_tiny_fp16clamp.pkl")
    assert checkpoint.config["conv_clamp"] == 256
    tight = StyleGAN2(checkpoint.tensors, **{**checkpoint.config, "conv_clamp": 0.5})
    case.network = tight
    x, _ = case.features(case.expected["ws"], 16)
    assert x.abs().max() <= 0.5


def test_rosinality_styles_are_the_originals(rosinality: Case) -> None:
    rosinality.close(rosinality.w(), "w")


def test_rosinality_images_are_the_originals(rosinality: Case) -> None:
    w = rosinality.expected["w"]
    rosinality.close(rosinality.image(rosinality.repeated(w)), "img_const")
    assert rosinality.network.w_avg is not None
    truncated = rosinality.network.w_avg.lerp(w, 0.7)
    rosinality.close(rosinality.image(rosinality.repeated(truncated)), "img_psi07_const")
    rosinality.close(rosinality.image(rosinality.expected["wplus"]), "img_wplus_const")


def test_the_tensorflow_file_gives_the_images_of_the_same_network_in_pytorch() -> None:
    case = Case("ada_tiny")
    checkpoint = read_checkpoint(FIXTURES / "tf_tiny.pkl")
    case.network = StyleGAN2(checkpoint.tensors, **checkpoint.config)
    case.close(case.repeated(case.w()), "ws")
    case.close(case.image(case.expected["ws"]), "img_const")
