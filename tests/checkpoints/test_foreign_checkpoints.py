"""Files of other projects that are read although something in them is missing or strange."""

from __future__ import annotations

import argparse
import collections
import datetime
import functools
import logging
import pathlib
import pickle
import re
import types
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import DEFAULT_CONFIG, identity, read_bytes, same_tensors, saved
from foreign_files import (
    Persistent,
    ada_module,
    ada_state,
    canonical,
    foreign_modules,
    rosinality_module,
    rosinality_state,
    write,
)
from pickle_writer import FIXTURES, call, node_of, write_pickle
from shell import Shell, refused, succeeded
from torch import nn

from invert.checkpoints import Checkpoint, fingerprint, read_checkpoint, write_checkpoint
from invert.checkpoints.nodes import Global
from invert.errors import ModelFileError, ModelFileWarning


def ada_file(path: Path, state: dict) -> Path:
    """A torch.save file of a state dict; read with the assumptions of state dicts."""
    return saved(path, {"G_ema": state})


# -- what is not needed does not matter


UNNEEDED = {
    "a path": pathlib.PurePosixPath("/x"),
    "a default dict": collections.defaultdict(float, fid=3.0),
    "a counter": collections.Counter("aab"),
    "a deque": collections.deque([1, 2]),
    "a namespace": argparse.Namespace(lr=0.1),
    "a simple namespace": types.SimpleNamespace(lr=0.1),
    "a numpy scalar": np.float64(0.1),
    "a numpy array": np.arange(3),
    "a numpy generator": np.random.RandomState(0),
    "a time": datetime.datetime(2020, 1, 1),
    "a partial": functools.partial(nn.BatchNorm2d, eps=1e-3),
    "a pattern": re.compile("x"),
    "a logger": logging.getLogger("x"),
    "an id": uuid.UUID(int=3),
    "a frozen set": frozenset({"a"}),
    "a type": torch.float16,
    "a device": torch.device("cpu"),
    "a size": torch.Size([1]),
    "a slice": slice(1, 2),
    "bytes": bytearray(b"x"),
    "a method": collections.Counter("a").most_common,
    "an optimizer": torch.optim.Adam([nn.Parameter(torch.ones(2))]),
    "a module": nn.Sequential(nn.Conv2d(1, 1, 3), nn.Identity()),
    "a class": nn.ReLU,
    "keys that are objects": {pathlib.PurePosixPath("/x"): 1},
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("what", UNNEEDED)
def test_objects_that_are_not_needed_do_not_matter(
    what: str, protocol: int, tmp_path: Path
) -> None:
    content = {
        "g_ema": rosinality_state(canonical()),
        "args": {"opts": UNNEEDED[what]},
        "augment": UNNEEDED[what],
    }
    expected = {name: t for name, t in canonical().items() if name != "mapping.w_avg"}
    stream_of_torch = tmp_path / "m"
    torch.save(content, stream_of_torch, pickle_protocol=protocol)
    for data in (pickle.dumps(content, protocol), stream_of_torch.read_bytes()):
        assert same_tensors(read_bytes(tmp_path, data).tensors, expected)


# -- which generator


def test_the_average_is_taken_wherever_it_is_marked(tmp_path: Path) -> None:
    average = rosinality_state(canonical())
    trained = {name: t + 1 for name, t in average.items() if "kernel" not in name}
    for content in (
        {"generator": trained, "generator_ema": average},
        {"model": trained, "ema": {"model": average}},
        {f"net.{name}": t for name, t in trained.items()}
        | {f"net_avg.{name}": t for name, t in average.items()},
    ):
        found = read_checkpoint(saved(tmp_path / "m", content))
        assert torch.equal(found.tensors["synthesis.b4.const"], canonical()["synthesis.b4.const"])


def test_averages_of_other_things_do_not_hide_the_generator(tmp_path: Path) -> None:
    beside = {
        "ema": {"decay": torch.ones(1)},
        "running_stats": {"mean": torch.ones(1)},
        "ema_decay": 0.99,
    }
    found = read_checkpoint(
        saved(tmp_path / "m", {"generator": rosinality_state(canonical()), **beside})
    )
    assert found.details["found_at"] == "generator"


def test_several_generators_of_which_none_is_marked_are_refused(tmp_path: Path) -> None:
    state = rosinality_state(canonical())
    for content in (
        {"a": state, "b": dict(state)},
        {f"{part}.{name}": t for part in "ab" for name, t in state.items()},
    ):
        with pytest.raises(
            ModelFileError, match=r"several generators, and no telling which to take \(a, b\)"
        ):
            read_checkpoint(saved(tmp_path / "m", content))


def test_only_the_trained_generator_is_refused(tmp_path: Path) -> None:
    with foreign_modules():
        path = write(
            tmp_path / "m", {"G": Persistent(ada_module(canonical())), "D": None}, "torch zip"
        )
    with pytest.raises(
        ModelFileError, match=r"G_ema, the averaged generator, is missing \(found G, D\)"
    ):
        read_checkpoint(path)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    state = ada_state(canonical())
    state["module.mapping.w_avg"] = state["mapping.w_avg"] + 1
    with pytest.raises(ModelFileError, match=r"mapping\.w_avg stands twice in the file"):
        read_checkpoint(saved(tmp_path / "m", state))


# -- number types


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_modules_of_other_float_types_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    with foreign_modules():
        path = write(tmp_path / "m", ada_module(canonical()).to(dtype), "torch zip")
    expected = {name: t.to(dtype).float() for name, t in canonical().items()}
    assert same_tensors(read_checkpoint(path).tensors, expected)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_state_dict_of_numpy_arrays_is_read(protocol: int, tmp_path: Path) -> None:
    state = {name: t.numpy() for name, t in ada_state(canonical()).items()}
    found = read_bytes(tmp_path, pickle.dumps({"G_ema": state}, protocol))
    assert same_tensors(found.tensors, canonical())


# -- what the file does not say


def test_missing_noise_maps_are_drawn_from_a_seed_and_said(tmp_path: Path) -> None:
    for k, state in enumerate((rosinality_state(canonical()), ada_state(canonical()))):
        kept = {
            name: t
            for name, t in state.items()
            if "noise_const" not in name and "noises." not in name
        }
        path = saved(tmp_path / str(k), {"g_ema": kept})
        with pytest.warns(
            ModelFileWarning, match=rf"{path}: 7 of 7 noise maps are not in the file.*seed 0"
        ):
            first = read_checkpoint(path)
        with pytest.warns(ModelFileWarning):
            again = read_checkpoint(path)
        assert identity(first) == identity(again)
        assert first.details["assumed"]["noise_maps"].startswith("7 of 7")
        noise = first.tensors["synthesis.b32.conv1.noise_const"]
        assert noise.shape == (32, 32)
        assert 0.8 < noise.std() < 1.2
        assert not torch.equal(noise, first.tensors["synthesis.b32.conv0.noise_const"])


def test_one_missing_noise_map_leaves_the_others_alone(tmp_path: Path) -> None:
    state = ada_state(canonical())
    del state["synthesis.b8.conv1.noise_const"]
    with pytest.warns(ModelFileWarning, match="1 of 7 noise maps"):
        found = read_checkpoint(ada_file(tmp_path / "m", state)).tensors
    changed = [name for name in found if not torch.equal(found[name], canonical()[name])]
    assert changed == ["synthesis.b8.conv1.noise_const"]


def test_a_small_file_cannot_ask_for_large_noise_maps(tmp_path: Path) -> None:
    state = {name: t for name, t in ada_state(canonical()).items() if "noise_const" not in name}
    state["synthesis.b65536.conv1.noise_strength"] = torch.zeros(())
    with pytest.raises(ModelFileError, match=r"expected synthesis blocks 4, 8, 16"):
        read_checkpoint(ada_file(tmp_path / "m", state))


@pytest.mark.parametrize("kind", [dict, argparse.Namespace])
def test_the_multiplier_of_the_training_arguments_is_taken(kind: Callable, tmp_path: Path) -> None:
    content = {"g_ema": rosinality_state(canonical()), "args": kind(lr_mlp=0.1, size=32)}
    found = read_checkpoint(saved(tmp_path / "m", content))
    assert found.config == {**DEFAULT_CONFIG, "mapping_lr_multiplier": 0.1}
    assert "mapping_lr_multiplier" not in found.details["assumed"]


def test_the_multiplier_of_a_pickled_module_is_taken(tmp_path: Path) -> None:
    with foreign_modules():
        path = write(tmp_path / "m", rosinality_module(canonical(), lr_mul=0.1), "torch zip")
    assert read_checkpoint(path).config["mapping_lr_multiplier"] == 0.1


def test_weights_of_another_scale_than_the_assumed_multiplier_are_said(tmp_path: Path) -> None:
    for state in (rosinality_state, ada_state):
        scaled = {
            name: t / (100 if ".weight" in name and "mapping" in name else 1)
            for name, t in canonical().items()
        }
        path = saved(tmp_path / "m", {"g_ema": state(scaled)})
        with pytest.warns(
            ModelFileWarning, match=r"weights look like (0\.9|1)\S*; 0\.01 is assumed"
        ):
            assert read_checkpoint(path).config["mapping_lr_multiplier"] == 0.01
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = read_checkpoint(path, config={"mapping_lr_multiplier": 1.0})
        assert found.config["mapping_lr_multiplier"] == 1.0


def test_what_a_state_dict_does_not_say_can_be_given_and_what_it_says_cannot(run: Shell) -> None:
    saved(run.folder / "a.pt", ada_state(canonical()))
    succeeded(
        run(
            "convert-network",
            "a.pt",
            "b.safetensors",
            "--conv-clamp",
            "256",
            "--lr-multiplier",
            "0.02",
        )
    )
    found = read_checkpoint(run.folder / "b.safetensors")
    assert found.config == {**DEFAULT_CONFIG, "conv_clamp": 256, "mapping_lr_multiplier": 0.02}
    assert found.details["assumed"]["conv_clamp"] == "256.0, as it was given"
    result = run("convert-network", "b.safetensors", "c.safetensors", "--conv-clamp", "256")
    refused(result, 4, "the file itself says conv_clamp 256")
    refused(
        run("convert-network", "a.pt", "c.safetensors", "--conv-clamp", "-1"),
        4,
        "a positive number",
    )


@pytest.mark.parametrize("name", ["rosinality_tiny.pt", "tf_tiny.pkl"])
def test_a_clamp_can_be_given_for_files_of_code_that_has_none(name: str, run: Shell) -> None:
    plain = read_checkpoint(FIXTURES / name)
    assert plain.config == DEFAULT_CONFIG
    assert plain.details["assumed"]["conv_clamp"].startswith("none")
    assert "assumed.conv_clamp" in succeeded(run("info", FIXTURES / name))
    succeeded(run("convert-network", FIXTURES / name, "c.safetensors", "--conv-clamp", "256"))
    clamped = read_checkpoint("c.safetensors")
    assert clamped.config == {**DEFAULT_CONFIG, "conv_clamp": 256}
    assert clamped.details["assumed"]["conv_clamp"] == "256.0, as it was given"


def test_a_module_without_clamp_says_so(run: Shell) -> None:
    command = "convert-network", FIXTURES / "ada_tiny.pkl", "c.safetensors", "--conv-clamp", "256"
    refused(run(*command), 4, "the file itself says conv_clamp none; leave the option out")


def test_what_is_assumed_of_a_state_dict_is_in_its_details(tmp_path: Path) -> None:
    details = read_checkpoint(saved(tmp_path / "m", {"G_ema": ada_state(canonical())})).details
    assert details["container"] == "a torch.save file"
    assert details["found_at"] == "G_ema"
    assert details["assumed"].keys() == {"conv_clamp", "mapping_lr_multiplier"}
    with foreign_modules():
        path = write(tmp_path / "m", ada_module(canonical()), "torch zip")
    assert read_checkpoint(path).details["assumed"] == {}


# -- the same network is the same


def test_the_fingerprint_is_that_of_the_plain_file_in_every_layout(tmp_path: Path) -> None:
    content = {"g_ema": rosinality_state(canonical()), "latent_avg": canonical()["mapping.w_avg"]}
    plain = fingerprint(canonical(), DEFAULT_CONFIG)
    assert identity(read_checkpoint(saved(tmp_path / "a", content))) == plain
    assert identity(read_bytes(tmp_path, pickle.dumps(ada_state(canonical()), 2))) == plain
    read = read_checkpoint(saved(tmp_path / "b", {"G_ema": ada_state(canonical())}))
    write_checkpoint(tmp_path / "c.safetensors", read)
    again = read_checkpoint(tmp_path / "c.safetensors")
    assert isinstance(again, Checkpoint)
    assert identity(again) == plain
    assert again.details["assumed"] == read.details["assumed"]


def test_a_pickled_class_of_any_name_and_age_is_read(tmp_path: Path) -> None:
    """`copyreg._reconstructor` is how classes were pickled before protocol 2."""
    with foreign_modules():
        node = node_of_module(ada_module(canonical()))
    older = call(
        "copyreg._reconstructor",
        node.function,
        Global("builtins", "object"),
        None,
        state=node.state,
    )
    named = call("my.fork.of.networks.Synthesizer", state=node.state)
    for each in (older, named):
        assert same_tensors(read_bytes(tmp_path, write_pickle(each)).tensors, canonical())


def node_of_module(module: nn.Module):
    from io import BytesIO

    from invert.checkpoints.pickle_machine import read_pickle

    return read_pickle(BytesIO(pickle.dumps(module, 4)), frozenset(), strict=False).root


def test_the_writer_of_nodes_is_faithful() -> None:
    assert node_of({"a": [1]}) == {"a": [1]}
