"""StyleGAN2-ADA pickles: what is carried over, and generators that cannot be expressed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoint_files import read_bytes, refuse_bytes
from pickle_writer import (
    FIXTURES,
    ada_state,
    as_dict,
    root_of,
    tensor_node,
    write_pickle,
)

from invert.checkpoints import read_checkpoint
from invert.errors import ModelFileError


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_and_layouts_become_contiguous_float32(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    root = root_of("ada_tiny.pkl")
    state = ada_state(root, "synthesis", "b8", "conv1")
    weight = torch.randn(16, 16, 3, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    buffer = torch.zeros(weight.numel() + 5, dtype=dtype)
    # channels last, behind an offset
    view = buffer[5:].as_strided((16, 16, 3, 3), (144, 1, 48, 16), 5)
    view.copy_(weight)
    as_dict(state["_parameters"])["weight"] = tensor_node(view)
    found = read_bytes(tmp_path, write_pickle(root)).tensors["synthesis.b8.conv1.weight"]
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    assert torch.equal(found, weight.float())


def ada_change(change: Callable[[dict], object]) -> bytes:
    root = root_of("ada_tiny.pkl")
    change(root)
    return write_pickle(root)


def setting(value: object, name: str, *path: str) -> Callable[[dict], object]:
    return lambda root: ada_state(root, *path).update({name: value})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda root: root.pop("G_ema"),
            r"G_ema, the averaged generator, is missing",
        ),
        (lambda root: root.update(G_ema=None), "G_ema, the averaged generator, is missing"),
        (
            lambda root: root.update(G_ema=root["G_ema"].args),
            "G_ema should be built by torch_utils",
        ),
        (
            lambda root: root["G_ema"].args[0].update(class_name="TriPlaneGenerator"),
            "is a TriPlaneGenerator",
        ),
        (
            lambda root: root["G_ema"].args[0].update(type="function"),
            "G_ema is not described as a class",
        ),
        (
            lambda root: root["G_ema"].args[0].update(version=5),
            "of version 5 instead of 6",
        ),
        (
            lambda root: root["G_ema"].args[0].update(state=7),
            "the state of G_ema should be a dict, this is 7",
        ),
        (
            lambda root: ada_state(root, "synthesis")["_modules"].update(
                input=ada_state(root, "mapping")["_modules"]["fc0"]
            ),
            "supported: .*; this is StyleGAN3",
        ),
        (
            lambda root: ada_state(root, "synthesis", "b8")["_modules"].update(
                attention=ada_state(root, "synthesis", "b8")["_modules"]["conv1"]
            ),
            "a generator with a module synthesis.b8.attention",
        ),
        (
            setting("orig", "architecture", "synthesis", "b16"),
            "architecture 'orig' instead of 'skip'",
        ),
        (
            setting("relu", "activation", "synthesis", "b8", "conv0"),
            "activation 'relu' instead of 'lrelu'",
        ),
        (
            setting("relu", "activation", "mapping", "fc1"),
            "'relu' instead of 'lrelu' in mapping.fc1",
        ),
        (
            setting(False, "use_noise", "synthesis", "b8", "conv1"),
            "use_noise False instead of True",
        ),
        (setting(1, "up", "synthesis", "b8", "conv0"), "up 1 instead of 2"),
        (
            setting(64, "conv_clamp", "synthesis", "b8", "conv0"),
            "whose layers differ in conv_clamp",
        ),
        (
            setting("x", "conv_clamp", "synthesis", "b8", "conv0"),
            "conv_clamp of .* should be a number",
        ),
        (setting(1.0, "act_gain", "synthesis", "b8", "conv0"), "act_gain 1 instead of 1.41421"),
        (setting(1.0, "weight_gain", "synthesis", "b8", "torgb"), "weight_gain 1 instead of 0.25"),
        (setting(2, "bias_gain", "synthesis", "b8", "torgb", "affine"), "bias_gain 2 instead of 1"),
        (
            setting(0.5, "weight_gain", "mapping", "fc0"),
            "weight_gain 0.5 instead of 0.0025 in mapping.fc0",
        ),
        (
            setting({7: None}, "_buffers", "mapping"),
            "_buffers has entries that no torch module has",
        ),
        (setting({"x" * 101: None}, "_buffers", "mapping"), "mapping._buffers has entries"),
        (setting({"a\nb": 3}, "_modules", "mapping"), r"mapping\.a\\nb should be built by"),
        (setting(None, "_modules", "mapping"), "mapping._modules should be a dict, this is None"),
        (
            setting({"v": 3}, "_buffers", "mapping"),
            "mapping.v should be built by torch._utils",
        ),
    ],
)
def test_generators_that_cannot_be_expressed_are_refused_by_name(
    change: Callable, match: str, tmp_path: Path
) -> None:
    refuse_bytes(tmp_path, ada_change(change), match)


def test_the_resnet_architecture_is_refused_by_name() -> None:
    with pytest.raises(
        ModelFileError, match=r"ada_tiny_resnet.pkl: supported: .*architecture 'resnet'"
    ):
        read_checkpoint(FIXTURES / "ada_tiny_resnet.pkl")


def parameters(root: object, *path: str) -> dict:
    return as_dict(ada_state(root, *path)["_parameters"])


def test_missing_and_misshapen_tensors_are_listed_up_to_five(tmp_path: Path) -> None:
    def drop_biases(root: dict) -> None:
        for r in (4, 8, 16, 32):
            for layer in ("conv1", "torgb"):
                parameters(root, "synthesis", f"b{r}", layer).pop("bias")

    message = refuse_bytes(tmp_path, ada_change(drop_biases), "not a StyleGAN2 generator: ")
    assert message.count("found nothing") == 5
    assert "(and 3 more)" in message
    wrong = tensor_node(torch.zeros(16, 4, 8))
    refuse_bytes(
        tmp_path,
        ada_change(lambda root: parameters(root, "synthesis", "b4").update(const=wrong)),
        r"synthesis.b4.const: expected \[16, 4, 4\], found \[16, 4, 8\]",
    )
    extra = {f"extra{k}": tensor_node(torch.zeros(1)) for k in range(7)}
    refuse_bytes(
        tmp_path,
        ada_change(lambda root: parameters(root, "mapping").update(extra)),
        r"unexpected mapping.extra0, .*mapping.extra4 \(and 2 more\)",
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nonfinite_weights_are_refused_unless_allowed(value: float, tmp_path: Path) -> None:
    strength = tensor_node(torch.tensor(value))
    path = tmp_path / "model.pkl"
    path.write_bytes(
        ada_change(
            lambda root: parameters(root, "synthesis", "b8", "conv0").update(
                noise_strength=strength
            )
        )
    )
    with pytest.raises(
        ModelFileError, match=r"infinity in synthesis\.b8\.conv0\.noise_strength; --allow-nonfinite"
    ):
        read_checkpoint(path)
    found = read_checkpoint(path, allow_nonfinite=True).tensors["synthesis.b8.conv0.noise_strength"]
    assert not torch.isfinite(found)


@pytest.mark.parametrize("taps", [[1, 2, 1, 4], [1, 4, 6, 4, 1, 0], [0.3, 0.1, 0.35, 0.25]])
@pytest.mark.parametrize("separable", [False, True])
def test_the_resampling_filter_is_carried(taps: list, separable: bool, tmp_path: Path) -> None:
    kernel = torch.tensor(taps, dtype=torch.float32)
    kernel = kernel / kernel.sum()
    node = tensor_node(kernel if separable else torch.outer(kernel, kernel))

    def change(root: dict) -> None:
        for r in (4, 8, 16, 32):
            as_dict(ada_state(root, "synthesis", f"b{r}")["_buffers"])["resample_filter"] = node
            if r > 4:
                as_dict(ada_state(root, "synthesis", f"b{r}", "conv0")["_buffers"])[
                    "resample_filter"
                ] = node

    found = torch.tensor(
        read_bytes(tmp_path, ada_change(change)).config["resample_filter"], dtype=torch.float32
    )
    torch.testing.assert_close(found / found.sum(), kernel, rtol=0, atol=1e-6)


def test_integer_taps_stay_integers_and_missing_filters_mean_the_default(tmp_path: Path) -> None:
    def without_filters(root: dict) -> None:
        for r in (4, 8, 16, 32):
            as_dict(ada_state(root, "synthesis", f"b{r}")["_buffers"]).pop("resample_filter")
            if r > 4:
                as_dict(ada_state(root, "synthesis", f"b{r}", "conv0")["_buffers"]).pop(
                    "resample_filter"
                )

    found = read_bytes(tmp_path, ada_change(without_filters)).config["resample_filter"]
    assert found == [1, 3, 3, 1]
    assert all(type(tap) is int for tap in found)
