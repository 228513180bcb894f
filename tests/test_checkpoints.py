"""Generator checkpoints: every format becomes the same names and values, and what cannot be expressed is refused."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from pickle_writer import (
    FIXTURES,
    ada_state,
    as_dict,
    call,
    node_of,
    root_of,
    tensor_node,
    write_pickle,
)
from safetensors import safe_open
from torch import Tensor

from invert.checkpoints import Checkpoint, fingerprint, read_checkpoint, write_checkpoint
from invert.checkpoints.safe_torch import load_tensors
from invert.errors import ModelFileError

DEFAULT_CONFIG = {"conv_clamp": None, "mapping_lr_multiplier": 0.01, "resample_filter": [1, 3, 3, 1]}
READABLE = {
    "ada_tiny.pkl": "stylegan2-ada-pytorch",
    "ada_tiny_conditional.pkl": "stylegan2-ada-pytorch",
    "ada_tiny_fp16clamp.pkl": "stylegan2-ada-pytorch",
    "tf_tiny.pkl": "stylegan2-tensorflow",
    "rosinality_tiny.pt": "rosinality",
}


def same_tensors(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def identity(checkpoint: Checkpoint) -> str:
    return fingerprint(checkpoint.tensors, checkpoint.config)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Checkpoint]:
    def read_bytes(data: bytes) -> Checkpoint:
        path = tmp_path / "model.bin"  # never a telling extension
        path.write_bytes(data)
        return read_checkpoint(path)

    return read_bytes


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[[bytes, str], str]:
    """Asserts that the bytes are refused in one line that starts with the path and matches; returns the message."""

    def refuse_bytes(data: bytes, match: str) -> str:
        path = tmp_path / "model.bin"
        path.write_bytes(data)
        with pytest.raises(ModelFileError, match=match) as caught:
            read_checkpoint(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        return message

    return refuse_bytes


# ---- what is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READABLE)
def test_every_format_gives_canonical_float32_tensors(name: str) -> None:
    checkpoint = read_checkpoint(FIXTURES / name)
    assert checkpoint.architecture == "stylegan2"
    assert checkpoint.format == READABLE[name]
    assert len(checkpoint.tensors) == (68 if "conditional" in name else 66)
    assert {t.dtype for t in checkpoint.tensors.values()} == {torch.float32}
    assert all(t.is_contiguous() and t.device.type == "cpu" for t in checkpoint.tensors.values())
    assert not any("resample_filter" in name or "kernel" in name for name in checkpoint.tensors)
    clamp = {"conv_clamp": 256.0} if "fp16clamp" in name else {}
    assert checkpoint.config == {**DEFAULT_CONFIG, **clamp}
    json.dumps(dict(checkpoint.details), allow_nan=False)


def test_the_same_network_is_the_same_through_tensorflow_and_pytorch() -> None:
    ada, tf = (read_checkpoint(FIXTURES / name) for name in ("ada_tiny.pkl", "tf_tiny.pkl"))
    assert same_tensors(ada.tensors, tf.tensors)
    assert identity(ada) == identity(tf)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ["ada_tiny.pkl", "tf_tiny.pkl"])
def test_the_pickle_protocol_does_not_matter(name: str, protocol: int, read: Callable) -> None:
    again = read(write_pickle(root_of(name), protocol))
    assert identity(again) == identity(read_checkpoint(FIXTURES / name))
    assert again.details["pickle_protocol"] == protocol


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_numpy_values_are_read_from_every_protocol(protocol: int, read: Callable) -> None:
    root = root_of("tf_tiny.pkl")
    values = {
        "4x4/Const/const": np.asfortranarray(np.random.default_rng(0).normal(size=(1, 16, 4, 4)).astype("f4"))
    }
    values["4x4/Conv/noise_strength"] = np.float32(0.25)  # a numpy scalar, not an array
    components = as_dict(root[2].state["components"])  # type: ignore[index]
    variables = components["synthesis"].state["variables"]
    components["synthesis"].state["variables"] = [
        (name, node_of(values[name], protocol) if name in values else node) for name, node in variables
    ]
    tensors = read(write_pickle(root)).tensors
    np.testing.assert_array_equal(tensors["synthesis.b4.const"], values["4x4/Const/const"][0])
    assert tensors["synthesis.b4.conv1.noise_strength"].item() == 0.25


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_and_memory_layouts_become_contiguous_float32(
    dtype: torch.dtype, read: Callable
) -> None:
    root = root_of("ada_tiny.pkl")
    state = ada_state(root, "synthesis", "b8", "conv1")
    weight = torch.randn(16, 16, 3, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    buffer = torch.zeros(weight.numel() + 5, dtype=dtype)
    view = buffer[5:].as_strided((16, 16, 3, 3), (144, 1, 48, 16), 5)  # channels last, behind an offset
    view.copy_(weight)
    as_dict(state["_parameters"])["weight"] = tensor_node(view)
    found = read(write_pickle(root)).tensors["synthesis.b8.conv1.weight"]
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    assert torch.equal(found, weight.float())


def test_source_code_in_the_file_is_ignored_and_its_hash_reported(read: Callable) -> None:
    root = root_of("ada_tiny.pkl")
    source = "raise SystemExit('executed')"
    root["G_ema"].args[0]["module_src"] = source  # type: ignore[index]
    digest = hashlib.sha256(source.encode()).hexdigest()
    assert digest in read(write_pickle(root)).details["ignored_source_sha256"]
    root = root_of("tf_tiny.pkl")
    root[2].state["build_module_src"] = source  # type: ignore[index]
    assert digest in read(write_pickle(root)).details["ignored_source_sha256"]


def test_details_name_the_class_and_the_training_set() -> None:
    details = read_checkpoint(FIXTURES / "ada_tiny.pkl").details
    assert details["class_name"] == "Generator"
    assert details["training_set_kwargs"]["resolution"] == 32
    assert details["init_kwargs"]["synthesis_kwargs"] == {"channel_base": 256, "channel_max": 16}
    assert read_checkpoint(FIXTURES / "tf_tiny.pkl").details["name"] == "Gs"


def test_details_keep_what_json_can_say_of_hostile_settings(read: Callable) -> None:
    root = root_of("ada_tiny.pkl")
    shared: object = [1]
    for _ in range(30):
        shared = [shared, shared]
    assert isinstance(root, dict)
    root["training_set_kwargs"] = {
        "nan": float("nan"),
        "huge": 1 << 100,
        "surrogate": "\udcff",
        "bytes": b"x",
        "scalar": node_of(np.float64(0.5)),
        "bad scalar": node_of(np.bool_(True)),
        7: "number",
        "none": None,
        "many": list(range(5000)),
        "after": 1,
    }
    details = read(write_pickle(root)).details["training_set_kwargs"]
    json.dumps(details, allow_nan=False).encode()
    assert details["scalar"] == 0.5
    assert details["none"] is None
    assert details["surrogate"] == "\\udcff"
    assert not {"nan", "huge", "bytes", "bad scalar", "after"} & details.keys()
    assert len(details["many"]) < 2000
    root["training_set_kwargs"] = {"deep": [[[[[[[[[["bottom"]]]]]]]]]]}
    assert "bottom" not in json.dumps(read(write_pickle(root)).details)


# ---- TensorFlow ---------------------------------------------------------------------------------------------------


def tensorflow_root(tensors: Mapping[str, Tensor], settings: Mapping[str, object]) -> tuple:
    """A (G, D, Gs) tuple with the given canonical weights, written the way TensorFlow stores them."""
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
            tf_layer = {"conv0": "Conv0_up", "conv1": "Conv" if size == 4 else "Conv1", "torgb": "ToRGB"}[
                layer
            ]
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
            "variables": [(key, node_of(np.ascontiguousarray(value))) for key, value in variables],
        }
        return call("dnnlib.tflib.network.Network", state=state)

    parts = {"synthesis": network("G_synthesis", synthesis, {}), "mapping": network("G_mapping", mapping, {})}
    w_avg = [("dlatent_avg", tensors["mapping.w_avg"].numpy())] if "mapping.w_avg" in tensors else []
    return (None, None, network("Gs", w_avg, parts))


@pytest.mark.parametrize("name", ["ada_tiny.pkl", "ada_tiny_conditional.pkl"])
def test_weights_written_the_tensorflow_way_convert_back_exactly(name: str, read: Callable) -> None:
    tensors = dict(read_checkpoint(FIXTURES / name).tensors)
    for key in tensors:
        if key.startswith("synthesis") and key.endswith("affine.bias"):
            tensors[key] = (tensors[key] * 1024).round() / 1024  # so that - 1 and + 1 lose no bit
    assert same_tensors(read(write_pickle(tensorflow_root(tensors, {}))).tensors, tensors)


def test_tensorflow_settings_become_the_config(read: Callable) -> None:
    tensors = read_checkpoint(FIXTURES / "ada_tiny.pkl").tensors
    settings = {"conv_clamp": 256, "mapping_lrmul": 0.02, "resample_kernel": [1, 2, 1], "truncation_psi": 0.5}
    checkpoint = read(write_pickle(tensorflow_root(tensors, settings)))
    assert checkpoint.config == {
        "conv_clamp": 256.0,
        "mapping_lr_multiplier": 0.02,
        "resample_filter": [1, 2, 1],
    }


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (
            {"architecture": "resnet"},
            "supported: .*this is a network with architecture 'resnet' instead of 'skip'",
        ),
        ({"nonlinearity": "relu"}, "this is a network with nonlinearity 'relu'"),
        ({"use_noise": False}, "this is a network with use_noise False"),
        ({"fused_modconv": True, "normalize_latents": False}, "built with fused_modconv, normalize_latents"),
        ({"resample_kernel": 3}, "resample_kernel should be a list of taps"),
        ({"resample_kernel": ["x", 1]}, "a tap of resample_kernel should be a number"),
        ({"mapping_lrmul": float("nan")}, "mapping_lrmul should be a number"),
    ],
)
def test_tensorflow_settings_that_cannot_be_expressed_are_refused_by_name(
    settings: dict, match: str, refuse: Callable
) -> None:
    refuse(write_pickle(tensorflow_root(read_checkpoint(FIXTURES / "ada_tiny.pkl").tensors, settings)), match)


def tf_change(change: Callable[[dict, dict], None]) -> bytes:
    """tf_tiny.pkl after `change(state of Gs, state of its synthesis network)`."""
    root = root_of("tf_tiny.pkl")
    state = root[2].state  # type: ignore[index]
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
        (lambda gs, syn: gs.update(variables=[("a",)]), r"a variable of Gs should be \(name, value\)"),
        (lambda gs, syn: syn["variables"].append(syn["variables"][0]), "noise0 stands twice"),
        (lambda gs, syn: syn["variables"].append(("x", syn["variables"][0][1])), "variables synthesis/x"),
        (
            lambda gs, syn: syn["variables"].pop(),
            r"synthesis.b32.torgb.affine.bias: expected \[8\], found nothing",
        ),
        (lambda gs, syn: syn["variables"].append(("y", 3)), "y should be built by numpy.core.multiarray"),
        (lambda gs, syn: gs.update(static_kwargs=None), "static_kwargs of Gs should be a dict, this is None"),
    ],
)
def test_tensorflow_networks_of_another_make_are_refused(
    change: Callable, match: str, refuse: Callable
) -> None:
    refuse(tf_change(change), match)


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
def test_arrays_that_are_not_little_endian_floats_of_the_right_shape_are_refused(
    value: object, match: str, refuse: Callable
) -> None:
    refuse(tf_change(lambda gs, syn: gs.update(variables=[("dlatent_avg", node_of(value))])), match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda node: setattr(node, "state", None), "an array without contents"),
        (lambda node: setattr(node, "state", (1, [16], *node.state[2:])), "no proper shape"),
        (lambda node: setattr(node, "state", (1, (17,), *node.state[2:])), "needs 68 bytes, the file has 64"),
        (lambda node: setattr(node, "state", (*node.state[:4], "\u20ac")), "text instead of bytes"),
        (lambda node: setattr(node, "state", (*node.state[:4], 5)), "should hold bytes, this is 5"),
        (lambda node: setattr(node.state[2], "state", None), "byte order None"),
    ],
)
def test_damaged_arrays_are_refused(change: Callable, match: str, refuse: Callable) -> None:
    node = node_of(np.zeros(16, dtype="f4"))
    change(node)
    refuse(tf_change(lambda gs, syn: gs.update(variables=[("dlatent_avg", node)])), match)


def test_a_damaged_numpy_scalar_is_refused(refuse: Callable) -> None:
    node = call("numpy.core.multiarray.scalar", 1, 2, 3)
    refuse(tf_change(lambda gs, syn: gs.update(variables=[("dlatent_avg", node)])), "no proper numpy scalar")


def test_a_tuple_that_is_no_tensorflow_file_is_refused(refuse: Callable) -> None:
    refuse(write_pickle((1, 2)), r"a pickle of a tuple of length 2; TensorFlow files hold \(G, D, Gs\)")
    refuse(write_pickle((1, 2, 3)), "a tuple whose Gs is 3")
    refuse(write_pickle([1, 2, 3]), "this is a pickle of a list of length 3")


# ---- rosinality ---------------------------------------------------------------------------------------------------


def rosinality_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with the given canonical weights, named and shaped the way rosinality does."""
    state: dict[str, Tensor] = {}
    for name, t in tensors.items():
        part, *path, last = name.split(".")
        if part == "mapping" and path:
            state[f"style.{int(path[0][2:]) + 1}.{last}"] = t
        elif name == "synthesis.b4.const":
            state["input.input"] = t[None]
        elif part == "synthesis":
            n, layer = int(np.log2(int(path[0][1:]))) - 3, path[1]
            block = {
                "conv0": f"convs.{2 * n}",
                "conv1": f"convs.{2 * n + 1}" if n >= 0 else "conv1",
                "torgb": f"to_rgbs.{n}" if n >= 0 else "to_rgb1",
            }[layer]
            if last == "noise_const":
                state[f"noises.noise_{2 * n + (1 if layer == 'conv0' else 2)}"] = t[None, None]
            elif path[2:] == ["affine"]:
                state[f"{block}.conv.modulation.{last}"] = t
            elif last == "noise_strength":
                state[f"{block}.noise.weight"] = t.reshape(1)
            elif last == "weight":
                state[f"{block}.conv.weight"] = t[None]
            elif layer == "torgb":
                state[f"{block}.bias"] = t.reshape(1, 3, 1, 1)
            else:
                state[f"{block}.activate.bias"] = t
    kernel = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    for n in range(3):
        state[f"convs.{2 * n}.conv.blur.kernel"] = torch.outer(kernel, kernel)
        state[f"to_rgbs.{n}.upsample.kernel"] = torch.outer(kernel, kernel)
    return state


@pytest.fixture
def canonical() -> dict[str, Tensor]:
    return dict(read_checkpoint(FIXTURES / "ada_tiny.pkl").tensors)


def saved(path: Path, value: object, *, legacy: bool = False) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_weights_written_the_rosinality_way_convert_back_exactly(
    legacy: bool, canonical: dict[str, Tensor], tmp_path: Path
) -> None:
    content = {"g_ema": rosinality_state(canonical), "latent_avg": canonical["mapping.w_avg"]}
    checkpoint = read_checkpoint(saved(tmp_path / "m", content, legacy=legacy))
    assert checkpoint.format == "rosinality"
    assert same_tensors(checkpoint.tensors, canonical)
    assert identity(checkpoint) == identity(read_checkpoint(FIXTURES / "tf_tiny.pkl"))


def test_a_training_file_gives_g_ema_without_w_avg_and_reports_its_arguments(
    canonical: dict[str, Tensor], tmp_path: Path
) -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))])
    optimizer.param_groups[0]["params"][0].sum().backward()
    optimizer.step()
    args = argparse.Namespace(size=32, latent=16, path="somewhere", r1=10.0)
    content = {"g_ema": rosinality_state(canonical), "g_optim": optimizer.state_dict(), "args": args}
    checkpoint = read_checkpoint(saved(tmp_path / "m", content))
    assert "mapping.w_avg" not in checkpoint.tensors
    assert same_tensors({**checkpoint.tensors, "mapping.w_avg": canonical["mapping.w_avg"]}, canonical)
    assert checkpoint.details["training_args"] == vars(args)


def test_the_decoder_of_an_encoder_file_is_taken(canonical: dict[str, Tensor], tmp_path: Path) -> None:
    state = {f"decoder.{name}": t for name, t in rosinality_state(canonical).items()}
    state["encoder.weight"] = torch.zeros(2)
    content = {
        "state_dict": state,
        "latent_avg": canonical["mapping.w_avg"].repeat(8, 1),
        "opts": {"size": 32},
    }
    checkpoint = read_checkpoint(saved(tmp_path / "m", content))
    assert same_tensors(checkpoint.tensors, canonical)
    assert checkpoint.details["training_args"] == {"size": 32}


def test_a_bare_state_dict_is_read(canonical: dict[str, Tensor], tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path / "m", rosinality_state(canonical)))
    del canonical["mapping.w_avg"]
    assert same_tensors(checkpoint.tensors, canonical)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: {"g": state}, r"g_ema, the averaged generator, is missing \(found g\)"),
        (lambda state: [state], "a torch.save file of a list"),
        (lambda state: {"state_dict": {"encoder.x": torch.zeros(1)}}, "this is a network with no decoder"),
        (lambda state: {"g_ema": {"weight": torch.zeros(1)}}, "this is a network with weight"),
        (lambda state: {"g_ema": 3}, "not a dict of tensors"),
        (lambda state: {"g_ema": state, "latent_avg": 3}, "latent_avg is not a tensor"),
        (
            lambda state: {"g_ema": state, "latent_avg": torch.arange(32.0).view(2, 16)},
            r"w_avg: expected \[16\]",
        ),
        (lambda state: {"g_ema": state | {"iwt.ll": torch.zeros(1)}}, "this is a generator with iwt.ll"),
        (lambda state: {"g_ema": state | {"convs.0.bias": torch.zeros(1)}}, "a generator with convs.0.bias"),
        (lambda state: {"g_ema": state | {"style.1.bias": torch.zeros(16).int()}}, "style.1.bias is int32"),
        (
            lambda state: {"g_ema": state | {"conv1.conv.weight": torch.zeros(2, 16, 16, 3, 3)}},
            r"b4.conv1.weight: expected .* found \[2, 16, 16, 3, 3\]",
        ),
        (
            lambda state: {"g_ema": state | {"to_rgb1.bias": torch.zeros(1, 4, 1, 1)}},
            r"b4.torgb.bias: expected \[3\], found \[4\]",
        ),
        (
            lambda state: {"g_ema": state | {"to_rgbs.0.upsample.kernel": torch.ones(2, 2)}},
            "to_rgbs.0.upsample.kernel differs from the other resampling filters",
        ),
        (
            lambda state: {"g_ema": state | {"to_rgbs.0.upsample.kernel": torch.eye(4)}},
            "to_rgbs.0.upsample.kernel is not a separable symmetric filter",
        ),
        (
            lambda state: {"g_ema": state | {"to_rgbs.0.upsample.kernel": torch.zeros(4, 4)}},
            "to_rgbs.0.upsample.kernel is no resampling filter",
        ),
    ],
)
def test_other_torch_files_are_refused(
    change: Callable, match: str, canonical: dict[str, Tensor], tmp_path: Path
) -> None:
    with pytest.raises(ModelFileError, match=match):
        read_checkpoint(saved(tmp_path / "m", change(rosinality_state(canonical))))


def test_many_views_of_one_storage_are_refused_before_they_are_copied(
    canonical: dict[str, Tensor], tmp_path: Path
) -> None:
    state = rosinality_state(canonical)
    big = torch.zeros(1 << 20)
    content = {"g_ema": state | {f"x{k}": big.view(1024, 1024) for k in range(100)}}
    with pytest.raises(ModelFileError, match="ask for more bytes than the file has"):
        read_checkpoint(saved(tmp_path / "m", content))


# ---- StyleGAN2-ADA ------------------------------------------------------------------------------------------------


def ada_change(change: Callable[[dict], object]) -> bytes:
    root = root_of("ada_tiny.pkl")
    change(root)  # type: ignore[arg-type]
    return write_pickle(root)


def setting(value: object, name: str, *path: str) -> Callable[[dict], object]:
    return lambda root: ada_state(root, *path).update({name: value})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda root: root.pop("G_ema"),
            r"G_ema, the averaged generator, is missing \(found training_set_kwargs, G",
        ),
        (lambda root: root.update(G_ema=None), "G_ema, the averaged generator, is missing"),
        (
            lambda root: root.update(G_ema=root["G_ema"].args),
            "G_ema should be built by torch_utils.persistence",
        ),
        (
            lambda root: root["G_ema"].args[0].update(class_name="TriPlaneGenerator"),
            "this is a TriPlaneGenerator",
        ),
        (lambda root: root["G_ema"].args[0].update(type="function"), "G_ema is not described as a class"),
        (
            lambda root: root["G_ema"].args[0].update(version=5),
            "a persistent object of version 5 instead of 6",
        ),
        (
            lambda root: root["G_ema"].args[0].update(state=7),
            "the state of G_ema should be a dict, this is 7",
        ),
        (
            lambda root: ada_state(root, "synthesis")["_modules"].update(input=root["G_ema"]),
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
            "architecture 'orig' instead of 'skip' in synthesis.b16",
        ),
        (setting("relu", "activation", "synthesis", "b8", "conv0"), "activation 'relu' instead of 'lrelu'"),
        (
            setting("relu", "activation", "mapping", "fc1"),
            "activation 'relu' instead of 'lrelu' in mapping.fc1",
        ),
        (setting(False, "use_noise", "synthesis", "b8", "conv1"), "use_noise False instead of True"),
        (setting(1, "up", "synthesis", "b8", "conv0"), "up 1 instead of 2"),
        (setting(64, "conv_clamp", "synthesis", "b8", "conv0"), "whose layers differ in conv_clamp"),
        (setting("x", "conv_clamp", "synthesis", "b8", "conv0"), "conv_clamp of .* should be a number"),
        (setting(1.0, "act_gain", "synthesis", "b8", "conv0"), "act_gain 1 instead of 1.41421"),
        (setting(1.0, "weight_gain", "synthesis", "b8", "torgb"), "weight_gain 1 instead of 0.25"),
        (setting(2, "bias_gain", "synthesis", "b8", "torgb", "affine"), "bias_gain 2 instead of 1"),
        (setting(0.5, "weight_gain", "mapping", "fc0"), "weight_gain 0.5 instead of 0.0025 in mapping.fc0"),
        (setting({7: None}, "_buffers", "mapping"), "mapping._buffers has entries that no torch module has"),
        (setting({"x" * 101: None}, "_buffers", "mapping"), "mapping._buffers has entries"),
        (setting(None, "_modules", "mapping"), "mapping._modules should be a dict, this is None"),
        (
            setting({"v": 3}, "_buffers", "mapping"),
            "mapping.v should be built by torch._utils._rebuild_tensor_v2",
        ),
    ],
)
def test_generators_that_cannot_be_expressed_are_refused_by_name(
    change: Callable, match: str, refuse: Callable
) -> None:
    refuse(ada_change(change), match)


def test_the_resnet_architecture_is_refused_by_name() -> None:
    with pytest.raises(ModelFileError, match=r"ada_tiny_resnet.pkl: supported: .*architecture 'resnet'"):
        read_checkpoint(FIXTURES / "ada_tiny_resnet.pkl")


def parameters(root: object, *path: str) -> dict:
    return as_dict(ada_state(root, *path)["_parameters"])


def test_missing_and_misshapen_tensors_are_listed_up_to_five(refuse: Callable) -> None:
    def drop_biases(root: dict) -> None:
        for r in (4, 8, 16, 32):
            for layer in ("conv1", "torgb"):
                parameters(root, "synthesis", f"b{r}", layer).pop("bias")

    message = refuse(ada_change(drop_biases), "not a StyleGAN2 generator: ")
    assert message.count("found nothing") == 5
    assert "(and 3 more)" in message
    wrong = tensor_node(torch.zeros(16, 4, 8))
    refuse(
        ada_change(lambda root: parameters(root, "synthesis", "b4").update(const=wrong)),
        r"synthesis.b4.const: expected \[16, 4, 4\], found \[16, 4, 8\]",
    )
    extra = {f"extra{k}": tensor_node(torch.zeros(1)) for k in range(7)}
    refuse(
        ada_change(lambda root: parameters(root, "mapping").update(extra)),
        r"unexpected mapping.extra0, .*mapping.extra4 \(and 2 more\)",
    )


def test_tensors_without_elements_and_labels_without_room_are_refused(
    canonical: dict[str, Tensor], tmp_path: Path, refuse: Callable
) -> None:
    refuse(
        ada_change(
            lambda root: parameters(root, "synthesis", "b4").update(const=tensor_node(torch.zeros(0)))
        ),
        "synthesis.b4.const",
    )
    with pytest.raises(ModelFileError, match="mapping.fc0.weight has no room for z"):
        write_checkpoint(
            tmp_path / "m",
            stylegan2(
                canonical
                | {"mapping.embed.weight": torch.zeros(16, 4), "mapping.embed.bias": torch.zeros(16)}
            ),
        )
    with pytest.raises(ModelFileError, match="no weights in synthesis.layer1"):
        write_checkpoint(
            tmp_path / "m", Checkpoint("mobile-stylegan", "invert", {}, {"synthesis.layer1": torch.zeros(0)})
        )
    with pytest.raises(ModelFileError, match="no weights in the file"):
        write_checkpoint(tmp_path / "m", Checkpoint("mobile-stylegan", "invert", {}, {}))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nonfinite_weights_are_refused_unless_allowed(value: float, tmp_path: Path) -> None:
    strength = tensor_node(torch.tensor(value))
    path = tmp_path / "model.pkl"
    path.write_bytes(
        ada_change(lambda root: parameters(root, "synthesis", "b8", "conv0").update(noise_strength=strength))
    )
    with pytest.raises(
        ModelFileError, match="NaN or infinity in synthesis.b8.conv0.noise_strength; --allow-nonfinite"
    ):
        read_checkpoint(path)
    found = read_checkpoint(path, allow_nonfinite=True).tensors["synthesis.b8.conv0.noise_strength"]
    assert not torch.isfinite(found)


@pytest.mark.parametrize("taps", [[1, 2, 1, 4], [1, 4, 6, 4, 1, 0], [0.3, 0.1, 0.35, 0.25]])
@pytest.mark.parametrize("separable", [False, True])
def test_a_resampling_filter_is_carried_and_only_where_it_is_used(
    taps: list, separable: bool, read: Callable
) -> None:
    kernel = torch.tensor(taps, dtype=torch.float32)
    kernel = kernel / kernel.sum()
    node = tensor_node(kernel if separable else torch.outer(kernel, kernel))

    def change(root: dict) -> None:
        for r in (4, 8, 16, 32):
            as_dict(ada_state(root, "synthesis", f"b{r}")["_buffers"])["resample_filter"] = node
            if r > 4:
                as_dict(ada_state(root, "synthesis", f"b{r}", "conv0")["_buffers"])["resample_filter"] = node

    found = torch.tensor(read(ada_change(change)).config["resample_filter"], dtype=torch.float32)
    torch.testing.assert_close(found / found.sum(), kernel, rtol=0, atol=1e-6)


def test_integer_taps_stay_integers_and_missing_filters_mean_the_default(read: Callable) -> None:
    def without_filters(root: dict) -> None:
        for r in (4, 8, 16, 32):
            as_dict(ada_state(root, "synthesis", f"b{r}")["_buffers"]).pop("resample_filter")
            if r > 4:
                as_dict(ada_state(root, "synthesis", f"b{r}", "conv0")["_buffers"]).pop("resample_filter")

    found = read(ada_change(without_filters)).config["resample_filter"]
    assert found == [1, 3, 3, 1]
    assert all(type(tap) is int for tap in found)


# ---- ours ---------------------------------------------------------------------------------------------------------


def stylegan2(tensors: Mapping[str, Tensor], config: Mapping[str, object] = DEFAULT_CONFIG) -> Checkpoint:
    return Checkpoint("stylegan2", "invert", config, tensors, {})


@pytest.mark.parametrize("name", READABLE)
def test_conversion_to_safetensors_keeps_tensors_config_and_fingerprint(name: str, tmp_path: Path) -> None:
    original = read_checkpoint(FIXTURES / name)
    write_checkpoint(tmp_path / "a", original)
    converted = read_checkpoint(tmp_path / "a")
    assert converted.format == "invert"
    assert same_tensors(converted.tensors, original.tensors)
    assert converted.config == original.config
    assert converted.details == {**original.details, "converted_from": original.format}
    assert identity(converted) == identity(original)
    write_checkpoint(tmp_path / "b", converted)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_metadata_is_one_sorted_json_key(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a", read_checkpoint(FIXTURES / "ada_tiny.pkl"))
    with safe_open(tmp_path / "a", framework="pt") as file:
        metadata = file.metadata()
    assert metadata.keys() == {"invert"}
    content = json.loads(metadata["invert"])
    assert content.keys() == {"architecture", "config", "details", "version"}
    assert metadata["invert"] == json.dumps(content, sort_keys=True)


def test_other_architectures_pass_through_unchanged(tmp_path: Path) -> None:
    tensors = {"synthesis.layer1.weight": torch.ones(2, 3), "anything": torch.zeros(1)}
    write_checkpoint(tmp_path / "a", Checkpoint("mobile-stylegan", "invert", {}, tensors, {"licence": "x"}))
    checkpoint = read_checkpoint(tmp_path / "a")
    assert checkpoint.architecture == "mobile-stylegan"
    assert same_tensors(checkpoint.tensors, tensors)
    assert checkpoint.details == {"licence": "x"}


def test_an_invalid_checkpoint_is_not_written_and_the_old_file_stays(
    canonical: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(
        ModelFileError, match="supported architectures: stylegan2, mobile-stylegan; this is 'stylegan1'"
    ):
        write_checkpoint(path, Checkpoint("stylegan1", "invert", {}, canonical))
    with pytest.raises(ModelFileError, match="unexpected synthesis.bx.conv1.weight"):
        write_checkpoint(path, stylegan2(canonical | {"synthesis.bx.conv1.weight": torch.zeros(1)}))
    del canonical["mapping.fc1.bias"]
    with pytest.raises(ModelFileError, match=r"mapping.fc1.bias: expected \[16\], found nothing"):
        write_checkpoint(path, stylegan2(canonical))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_fingerprint_depends_on_every_name_shape_value_and_setting(canonical: dict[str, Tensor]) -> None:
    original = fingerprint(canonical, DEFAULT_CONFIG)
    assert re.fullmatch(r"[0-9a-f]{64}", original)
    bias = canonical["synthesis.b8.torgb.bias"]
    changed = [
        {**canonical, "synthesis.b8.torgb.bias": bias + 1e-7},
        {**canonical, "synthesis.b8.torgb.bias": bias[None]},
        {name: t for name, t in canonical.items() if name != "mapping.w_avg"},
        {name.replace("w_avg", "w_mean"): t for name, t in canonical.items()},
    ]
    configs = [{**DEFAULT_CONFIG, "conv_clamp": 256.0}, {**DEFAULT_CONFIG, "resample_filter": [1, 2, 1]}]
    prints = [fingerprint(t, DEFAULT_CONFIG) for t in changed] + [fingerprint(canonical, c) for c in configs]
    assert len({original, *prints}) == 7


def test_the_fingerprint_ignores_order_memory_layout_and_spelling_of_numbers(
    canonical: dict[str, Tensor],
) -> None:
    shuffled = {name: canonical[name] for name in sorted(canonical, reverse=True)}
    shuffled["synthesis.b8.conv1.weight"] = shuffled["synthesis.b8.conv1.weight"].to(
        memory_format=torch.channels_last
    )
    config = {"resample_filter": (1.0, 3.0, 3, 1), "mapping_lr_multiplier": 0.01, "conv_clamp": None}
    assert fingerprint(shuffled, config) == fingerprint(canonical, DEFAULT_CONFIG)


# ---- torch.save files of other kinds ------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
def test_load_tensors_returns_plain_data_and_tensors(legacy: bool, tmp_path: Path) -> None:
    base = torch.arange(12.0)
    content = {
        "tensors": {
            "a": base.view(3, 4),
            "b": base[2:5],
            "half": torch.ones(2, 2).half(),
            "flag": torch.tensor(True),
        },
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "strided": torch.arange(6.0).view(2, 3).T,
        "empty": torch.zeros(0, 3),
        "values": [1, 2.5, "text", None, True, (1, 2), {3}, b"bytes", torch.Size([2])],
    }
    found = load_tensors(saved(tmp_path / "m", content, legacy=legacy))
    assert isinstance(found, dict)
    for name, tensor in content["tensors"].items():
        assert torch.equal(found["tensors"][name], tensor)
    for name in ("parameter", "strided", "empty"):
        assert torch.equal(found[name], content[name])
    assert found["values"] == content["values"]


def test_load_tensors_admits_only_the_classes_it_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path / "m", {"args": argparse.Namespace(size=32)})
    with pytest.raises(ModelFileError, match=r"m: the pickle names argparse.Namespace"):
        load_tensors(path)
    found = load_tensors(path, allow=(argparse.Namespace,))
    assert found == {"args": argparse.Namespace(size=32)}


def test_load_tensors_refuses_files_that_torch_save_did_not_write(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"a torch.save file was expected, this is a bare pickle"):
        load_tensors(FIXTURES / "ada_tiny.pkl")
    with pytest.raises(ModelFileError, match="no such file; check the path"):
        load_tensors(tmp_path / "missing")


def test_load_tensors_refuses_torch_with_known_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "m", {"a": 1})
    monkeypatch.setattr(torch, "__version__", "2.9.1")
    with pytest.raises(
        ModelFileError, match=r"torch 2\.9\.1 has known holes .*CVE-2025-32434.*install torch 2\.10"
    ):
        load_tensors(path)
    monkeypatch.setattr(torch, "__version__", "2.10.0+cpu")
    assert load_tensors(path) == {"a": 1}
