"""Every checkpoint format gives the same names and values; ours keeps them; fingerprints tell
networks apart.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import DEFAULT_CONFIG, identity, read_bytes, same_tensors
from pickle_writer import (
    FIXTURES,
    node_of,
    root_of,
    write_pickle,
)
from safetensors import safe_open
from torch import Tensor

from invert.checkpoints import Checkpoint, fingerprint, read_checkpoint, write_checkpoint
from invert.errors import ModelFileError

READABLE = {
    "ada_tiny.pkl": "stylegan2-ada-pytorch",
    "ada_tiny_conditional.pkl": "stylegan2-ada-pytorch",
    "ada_tiny_fp16clamp.pkl": "stylegan2-ada-pytorch",
    "tf_tiny.pkl": "stylegan2-tensorflow",
    "rosinality_tiny.pt": "rosinality",
}


@pytest.fixture
def canonical() -> dict[str, Tensor]:
    return dict(read_checkpoint(FIXTURES / "ada_tiny.pkl").tensors)


def stylegan2(
    tensors: Mapping[str, Tensor], config: Mapping[str, object] = DEFAULT_CONFIG
) -> Checkpoint:
    return Checkpoint("stylegan2", "invert", config, tensors, {})


def mobile(
    tensors: Mapping[str, Tensor], details: Mapping[str, object] | None = None
) -> Checkpoint:
    return Checkpoint("mobile-stylegan", "invert", {}, tensors, details or {})


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
def test_the_pickle_protocol_does_not_matter(name: str, protocol: int, tmp_path: Path) -> None:
    again = read_bytes(tmp_path, write_pickle(root_of(name), protocol))
    assert identity(again) == identity(read_checkpoint(FIXTURES / name))
    assert again.details["pickle_protocol"] == protocol


def test_source_code_in_the_file_is_ignored_and_its_hash_reported(tmp_path: Path) -> None:
    root = root_of("ada_tiny.pkl")
    source = "raise SystemExit('executed')"
    root["G_ema"].args[0]["module_src"] = source
    digest = hashlib.sha256(source.encode()).hexdigest()
    assert digest in read_bytes(tmp_path, write_pickle(root)).details["ignored_source_sha256"]
    root = root_of("tf_tiny.pkl")
    root[2].state["build_module_src"] = source
    assert digest in read_bytes(tmp_path, write_pickle(root)).details["ignored_source_sha256"]


def test_details_name_the_class_and_the_training_set() -> None:
    details = read_checkpoint(FIXTURES / "ada_tiny.pkl").details
    assert details["class_name"] == "Generator"
    assert details["training_set_kwargs"]["resolution"] == 32
    assert details["init_kwargs"]["synthesis_kwargs"] == {"channel_base": 256, "channel_max": 16}
    assert read_checkpoint(FIXTURES / "tf_tiny.pkl").details["name"] == "Gs"


def test_details_keep_what_json_can_say_of_hostile_settings(tmp_path: Path) -> None:
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
    details = read_bytes(tmp_path, write_pickle(root)).details["training_set_kwargs"]
    json.dumps(details, allow_nan=False).encode()
    assert details["scalar"] == 0.5
    assert details["none"] is None
    assert details["surrogate"] == "\\udcff"
    assert not {"nan", "huge", "bytes", "bad scalar", "after"} & details.keys()
    assert len(details["many"]) < 2000
    root["training_set_kwargs"] = {"deep": [[[[[[[[[["bottom"]]]]]]]]]]}
    assert "bottom" not in json.dumps(read_bytes(tmp_path, write_pickle(root)).details)


@pytest.mark.parametrize("name", READABLE)
def test_conversion_to_safetensors_keeps_tensors_config_and_fingerprint(
    name: str, tmp_path: Path
) -> None:
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
    write_checkpoint(tmp_path / "a", mobile(tensors, {"licence": "x"}))
    checkpoint = read_checkpoint(tmp_path / "a")
    assert checkpoint.architecture == "mobile-stylegan"
    assert same_tensors(checkpoint.tensors, tensors)
    assert checkpoint.details == {"licence": "x"}


def test_an_invalid_checkpoint_is_not_written_and_the_old_file_stays(
    canonical: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(ModelFileError, match=r"supported architectures: .* this is 'stylegan1'"):
        write_checkpoint(path, Checkpoint("stylegan1", "invert", {}, canonical))
    with pytest.raises(ModelFileError, match=r"unexpected synthesis\.bx\.conv1"):
        write_checkpoint(path, stylegan2(canonical | {"synthesis.bx.conv1.weight": torch.zeros(1)}))
    del canonical["mapping.fc1.bias"]
    with pytest.raises(ModelFileError, match=r"mapping\.fc1\.bias: expected \[16\], found nothing"):
        write_checkpoint(path, stylegan2(canonical))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_fingerprint_depends_on_every_name_shape_value_and_setting(
    canonical: dict[str, Tensor],
) -> None:
    original = fingerprint(canonical, DEFAULT_CONFIG)
    assert re.fullmatch(r"[0-9a-f]{64}", original)
    bias = canonical["synthesis.b8.torgb.bias"]
    changed = [
        {**canonical, "synthesis.b8.torgb.bias": bias + 1e-7},
        {**canonical, "synthesis.b8.torgb.bias": bias[None]},
        {name: t for name, t in canonical.items() if name != "mapping.w_avg"},
        {name.replace("w_avg", "w_mean"): t for name, t in canonical.items()},
    ]
    configs = [
        {**DEFAULT_CONFIG, "conv_clamp": 256.0},
        {**DEFAULT_CONFIG, "resample_filter": [1, 2, 1]},
    ]
    prints = [fingerprint(t, DEFAULT_CONFIG) for t in changed] + [
        fingerprint(canonical, c) for c in configs
    ]
    assert len({original, *prints}) == 7


def test_the_fingerprint_ignores_order_memory_layout_and_spelling_of_numbers(
    canonical: dict[str, Tensor],
) -> None:
    shuffled = {name: canonical[name] for name in sorted(canonical, reverse=True)}
    shuffled["synthesis.b8.conv1.weight"] = shuffled["synthesis.b8.conv1.weight"].to(
        memory_format=torch.channels_last
    )
    config = {
        "resample_filter": (1.0, 3.0, 3, 1),
        "mapping_lr_multiplier": 0.01,
        "conv_clamp": None,
    }
    assert fingerprint(shuffled, config) == fingerprint(canonical, DEFAULT_CONFIG)


def test_networks_without_weights_or_without_room_for_z_are_not_written(
    canonical: dict[str, Tensor], tmp_path: Path
) -> None:
    embed = {"mapping.embed.weight": torch.zeros(16, 4), "mapping.embed.bias": torch.zeros(16)}
    with pytest.raises(ModelFileError, match=r"mapping\.fc0\.weight has no room for z"):
        write_checkpoint(tmp_path / "m", stylegan2(canonical | embed))
    with pytest.raises(ModelFileError, match=r"no weights in synthesis\.layer1"):
        write_checkpoint(tmp_path / "m", mobile({"synthesis.layer1": torch.zeros(0)}))
    with pytest.raises(ModelFileError, match="no weights in the file"):
        write_checkpoint(tmp_path / "m", mobile({}))
