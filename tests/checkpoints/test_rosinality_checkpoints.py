"""rosinality files and their relatives: conversion to the canonical convention, and refusals."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoint_files import identity, same_tensors, saved
from foreign_files import rosinality_state
from pickle_writer import (
    FIXTURES,
)
from torch import Tensor

from invert.checkpoints import read_checkpoint
from invert.errors import ModelFileError


@pytest.fixture
def canonical() -> dict[str, Tensor]:
    return dict(read_checkpoint(FIXTURES / "ada_tiny.pkl").tensors)


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
    content = {
        "g_ema": rosinality_state(canonical),
        "g_optim": optimizer.state_dict(),
        "args": args,
    }
    checkpoint = read_checkpoint(saved(tmp_path / "m", content))
    assert "mapping.w_avg" not in checkpoint.tensors
    assert same_tensors(
        {**checkpoint.tensors, "mapping.w_avg": canonical["mapping.w_avg"]}, canonical
    )
    assert checkpoint.details["training_args"] == vars(args)


def test_the_decoder_of_an_encoder_file_is_taken(
    canonical: dict[str, Tensor], tmp_path: Path
) -> None:
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
        (
            lambda state: {"state_dict": {"encoder.x": torch.zeros(1)}},
            "this is a network with no decoder",
        ),
        (lambda state: {"g_ema": {"weight": torch.zeros(1)}}, "this is a network with weight"),
        (lambda state: {"g_ema": 3}, "not a dict of tensors"),
        (lambda state: {"g_ema": state, "latent_avg": 3}, "latent_avg is not a tensor"),
        (
            lambda state: {"g_ema": state, "latent_avg": torch.arange(32.0).view(2, 16)},
            r"w_avg: expected \[16\]",
        ),
        (
            lambda state: {"g_ema": state | {"convs.00.noise.weight": torch.zeros(1)}},
            "convs.00.noise.weight and another",
        ),
        (
            lambda state: {"g_ema": state | {"iwt.ll": torch.zeros(1)}},
            "this is a generator with iwt.ll",
        ),
        (lambda state: {"g_ema": state | {"convs.0.bias": torch.zeros(1)}}, "with convs.0.bias"),
        (lambda state: {"g_ema": state | {"style.1.bias": torch.zeros(16).int()}}, "bias is int32"),
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
