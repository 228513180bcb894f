"""TensorFlow pickles: conversion to the canonical convention, and networks of another make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from checkpoint_files import read_bytes, refuse_bytes, same_tensors
from pickle_writer import (
    FIXTURES,
    as_dict,
    call,
    node_of,
    root_of,
    write_pickle,
)
from torch import Tensor

from invert.checkpoints import read_checkpoint
from invert.errors import ModelFileError


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_numpy_values_are_read_from_every_protocol(protocol: int, tmp_path: Path) -> None:
    root = root_of("tf_tiny.pkl")
    const = np.random.default_rng(0).normal(size=(1, 16, 4, 4)).astype("f4", order="F")
    # an array and a scalar
    values = {"4x4/Const/const": const, "4x4/Conv/noise_strength": np.float32(0.25)}
    components = as_dict(root[2].state["components"])
    variables = components["synthesis"].state["variables"]
    components["synthesis"].state["variables"] = [
        (name, node_of(values[name], protocol) if name in values else node)
        for name, node in variables
    ]
    tensors = read_bytes(tmp_path, write_pickle(root)).tensors
    np.testing.assert_array_equal(tensors["synthesis.b4.const"], const[0])
    assert tensors["synthesis.b4.conv1.noise_strength"].item() == 0.25


def tensorflow_root(tensors: Mapping[str, Tensor], settings: Mapping[str, object]) -> tuple:
    """A (G, D, Gs) tuple with the given canonical weights, as TensorFlow stores them."""
    mapping: list[tuple[str, np.ndarray]] = []
    synthesis: list[tuple[str, np.ndarray]] = []
    for name, t in tensors.items():
        value = t.numpy()
        part, *path, last = name.split(".")
        if part == "mapping" and path:
            layer = "LabelEmbed" if path[0] == "embed" else path[0].replace("fc", "Dense")
            mapping.append((f"{layer}/{last}", value.T if last == "weight" else value))
        elif name == "synthesis.b4.const":
            synthesis.append(("4x4/Const/const", value[None]))
        elif part == "synthesis":
            size, layer = int(path[0][1:]), path[1]
            if last == "noise_const":
                k = 2 * int(np.log2(size)) - (5 if layer == "conv0" else 4)
                synthesis.append((f"noise{k}", value[None, None]))
                continue
            tf_layer = {
                "conv0": "Conv0_up",
                "conv1": "Conv" if size == 4 else "Conv1",
                "torgb": "ToRGB",
            }[layer]
            if path[2:] == ["affine"]:
                last = {"weight": "mod_weight", "bias": "mod_bias"}[last]
                value = value.T if last == "mod_weight" else value - 1
            elif last == "weight":
                value = value.transpose(2, 3, 1, 0)
                value = value[::-1, ::-1] if layer == "conv0" else value
            synthesis.append((f"{size}x{size}/{tf_layer}/{last}", value))

    def network(name: str, variables: list, components: dict) -> object:
        state = {
            "version": 4,
            "name": name,
            "static_kwargs": dict(settings),
            "components": components,
            "build_module_src": "raise SystemExit",
            "build_func_name": "G_main",
            "variables": [(key, node_of(np.array(value, order="C"))) for key, value in variables],
        }
        return call("dnnlib.tflib.network.Network", state=state)

    parts = {
        "synthesis": network("G_synthesis", synthesis, {}),
        "mapping": network("G_mapping", mapping, {}),
    }
    w_avg = (
        [("dlatent_avg", tensors["mapping.w_avg"].numpy())] if "mapping.w_avg" in tensors else []
    )
    return (None, None, network("Gs", w_avg, parts))


@pytest.mark.parametrize("name", ["ada_tiny.pkl", "ada_tiny_conditional.pkl"])
def test_weights_written_the_tensorflow_way_convert_back_exactly(name: str, tmp_path: Path) -> None:
    tensors = dict(read_checkpoint(FIXTURES / name).tensors)
    for key in tensors:
        if key.startswith("synthesis") and key.endswith("affine.bias"):
            tensors[key] = (tensors[key] * 1024).round() / 1024  # so that - 1 and + 1 lose no bit
    assert same_tensors(
        read_bytes(tmp_path, write_pickle(tensorflow_root(tensors, {}))).tensors, tensors
    )


def test_tensorflow_settings_become_the_config(tmp_path: Path) -> None:
    tensors = read_checkpoint(FIXTURES / "ada_tiny.pkl").tensors
    settings = {
        "conv_clamp": 256,
        "mapping_lrmul": 0.02,
        "resample_kernel": [1, 2, 1],
        "truncation_psi": 0.5,
    }
    checkpoint = read_bytes(tmp_path, write_pickle(tensorflow_root(tensors, settings)))
    assert checkpoint.config == {
        "conv_clamp": 256.0,
        "mapping_lr_multiplier": 0.02,
        "resample_filter": [1, 2, 1],
    }
    assert checkpoint.details["assumed"] == {}


@pytest.mark.parametrize(
    ("settings", "assumed"),
    [
        ({}, {"conv_clamp", "mapping_lr_multiplier"}),
        ({"conv_clamp": None}, {"mapping_lr_multiplier"}),
        ({"mapping_lrmul": 0.01}, {"conv_clamp"}),
    ],
)
def test_settings_that_a_tensorflow_network_lacks_are_assumed_and_can_be_given(
    settings: dict, assumed: set[str], tmp_path: Path
) -> None:
    tensors = read_checkpoint(FIXTURES / "ada_tiny.pkl").tensors
    path = tmp_path / "tf.pkl"
    path.write_bytes(write_pickle(tensorflow_root(tensors, settings)))
    assert read_checkpoint(path).details["assumed"].keys() == assumed
    for name, value in (("conv_clamp", 256.0), ("mapping_lr_multiplier", 0.02)):
        if name in assumed:
            assert read_checkpoint(path, config={name: value}).config[name] == value
        else:
            with pytest.raises(ModelFileError, match=f"the file itself says {name} (none|0.01)"):
                read_checkpoint(path, config={name: value})


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (
            {"architecture": "resnet"},
            "supported: .*this is a network with architecture 'resnet'",
        ),
        ({"nonlinearity": "relu"}, "this is a network with nonlinearity 'relu'"),
        ({"use_noise": False}, "this is a network with use_noise False"),
        (
            {"fused_modconv": True, "normalize_latents": False},
            "built with fused_modconv, normalize_latents",
        ),
        ({"resample_kernel": 3}, "resample_kernel should be a list of taps"),
        ({"resample_kernel": ["x", 1]}, "a tap of resample_kernel should be a number"),
        ({"mapping_lrmul": float("nan")}, "mapping_lrmul should be a number"),
    ],
)
def test_settings_that_cannot_be_expressed_are_refused_by_name(
    settings: dict, match: str, tmp_path: Path
) -> None:
    refuse_bytes(
        tmp_path,
        write_pickle(tensorflow_root(read_checkpoint(FIXTURES / "ada_tiny.pkl").tensors, settings)),
        match,
    )


def tf_change(change: Callable[[dict, dict], None]) -> bytes:
    """tf_tiny.pkl after `change(state of Gs, state of its synthesis network)`."""
    root = root_of("tf_tiny.pkl")
    state = root[2].state
    change(state, as_dict(state["components"])["synthesis"].state)
    return write_pickle(root)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda gs, syn: gs.update(version=3), "TensorFlow network of version 3"),
        (lambda gs, syn: gs["components"].clear(), "components missing"),
        (lambda gs, syn: gs["components"].update(mapping=None), "a tuple whose mapping is None"),
        (lambda gs, syn: syn.update(components={"x": None}), "synthesis has components of its own"),
        (lambda gs, syn: gs.update(variables=None), "variables of Gs should be a list"),
        (
            lambda gs, syn: gs.update(variables=[("a",)]),
            r"a variable of Gs should be \(name, value\)",
        ),
        (lambda gs, syn: syn["variables"].append(syn["variables"][0]), "noise0 stands twice"),
        (
            lambda gs, syn: syn["variables"].append(("noise00", syn["variables"][0][1])),
            "noise00 and another variable",
        ),
        (
            lambda gs, syn: syn["variables"].append(("x", syn["variables"][0][1])),
            "variables synthesis/x",
        ),
        (
            lambda gs, syn: syn["variables"].pop(),
            r"synthesis.b32.torgb.affine.bias: expected \[8\], found nothing",
        ),
        (
            lambda gs, syn: syn["variables"].append(("y", 3)),
            "y should be built by numpy.core.multiarray",
        ),
        (
            lambda gs, syn: gs.update(static_kwargs=None),
            "static_kwargs of Gs should be a dict, this is None",
        ),
    ],
)
def test_tensorflow_networks_of_another_make_are_refused(
    change: Callable, match: str, tmp_path: Path
) -> None:
    refuse_bytes(tmp_path, tf_change(change), match)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.zeros(3, dtype=">f4"), "byte order '>'"),
        (np.zeros(3, dtype="c8"), "type 'c8'"),
        (np.array([None]), "type 'O8'"),
        (np.int32(3), "expected float weights, dlatent_avg is int32"),
        (np.zeros(3, dtype="f4"), r"mapping.w_avg: expected \[16\], found \[3\]"),
    ],
)
def test_arrays_of_other_types_or_shapes_are_refused(
    value: object, match: str, tmp_path: Path
) -> None:
    refuse_bytes(
        tmp_path,
        tf_change(lambda gs, syn: gs.update(variables=[("dlatent_avg", node_of(value))])),
        match,
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda node: setattr(node, "state", None), "an array without contents"),
        (lambda node: setattr(node, "state", (1, [16], *node.state[2:])), "no proper shape"),
        (
            lambda node: setattr(node, "state", (1, (17,), *node.state[2:])),
            "needs 68 bytes, the file has 64",
        ),
        (lambda node: setattr(node, "state", (*node.state[:4], "\u20ac")), "text instead of bytes"),
        (lambda node: setattr(node, "state", (*node.state[:4], 5)), "should hold bytes, this is 5"),
        (lambda node: setattr(node.state[2], "state", None), "byte order None"),
    ],
)
def test_damaged_arrays_are_refused(change: Callable, match: str, tmp_path: Path) -> None:
    node = node_of(np.zeros(16, dtype="f4"))
    change(node)
    refuse_bytes(
        tmp_path, tf_change(lambda gs, syn: gs.update(variables=[("dlatent_avg", node)])), match
    )


def test_a_damaged_numpy_scalar_is_refused(tmp_path: Path) -> None:
    node = call("numpy.core.multiarray.scalar", 1, 2, 3)
    refuse_bytes(
        tmp_path,
        tf_change(lambda gs, syn: gs.update(variables=[("dlatent_avg", node)])),
        "no proper numpy scalar",
    )


def test_a_tuple_that_is_no_tensorflow_file_is_refused(tmp_path: Path) -> None:
    refuse_bytes(
        tmp_path,
        write_pickle((1, 2)),
        r"a pickle of a tuple of length 2; TensorFlow files hold \(G, D, Gs\)",
    )
    refuse_bytes(tmp_path, write_pickle((1, 2, 3)), "a tuple whose Gs is 3")
    refuse_bytes(tmp_path, write_pickle([1, 2, 3]), "this is a pickle of a list of length 3")
