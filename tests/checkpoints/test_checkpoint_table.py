"""docs/checkpoints.md: every layout in every container, wrapped in every way, is the same network
as the plain file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from checkpoint_files import DEFAULT_CONFIG, same_tensors
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
from networks import small_mobile_tensors
from pickle_writer import root_of, write_pickle
from test_hostile_torch_checkpoints import archive, stream
from torch import Tensor, nn

from invert.checkpoints import fingerprint, read_checkpoint

DOCUMENT = Path(__file__).parents[2] / "docs" / "checkpoints.md"

CONTAINERS = (
    "bare pickle",
    "bare pickle, protocol 2",
    "torch zip",
    "old torch stream",
    "safetensors",
)
MODULES: dict[str, Callable[[Mapping[str, Tensor]], object]] = {
    "StyleGAN2-ADA module (`torch_utils.persistence`)": lambda tensors: Persistent(
        ada_module(tensors)
    ),
    "StyleGAN2-ADA module (plain class)": ada_module,
    "rosinality module": rosinality_module,
}
STATES: dict[str, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]] = {
    "StyleGAN2-ADA state dict (our names too)": ada_state,
    "rosinality state dict": rosinality_state,
    "our MobileStyleGAN state dict": lambda tensors: small_mobile_tensors(),
}


def other(value: object) -> object:
    """What may stand beside a generator of this kind: another network that is not needed."""
    return (
        nn.Sequential(nn.Conv2d(3, 4, 3))
        if not isinstance(value, dict)
        else {"weight": torch.zeros(2)}
    )


PLACES: dict[str, Callable[[object], object]] = {
    "alone": lambda x: x,
    "`{G, D, G_ema}`": lambda x: {"G": x, "D": other(x), "G_ema": x, "augment_pipe": None},
    "`{g, d, g_ema, args}`": lambda x: {"g": x, "d": other(x), "g_ema": x, "args": {"size": 32}},
    "`[G, D, G_ema]`": lambda x: [x, other(x), x],
    "`{generator}`": lambda x: {"generator": x, "step": 3},
    "`{model: {ema}}`": lambda x: {"model": {"ema": x, "net": other(x)}},
}
WRAPPERS: dict[str, Callable[[nn.Module], object]] = {
    "`DataParallel`": nn.DataParallel,
    "an attribute of a module": lambda x: nn.ModuleDict({"encoder": nn.Linear(1, 1), "decoder": x}),
}
PREFIXES = (
    "module.",
    "_orig_mod.",
    "generator.",
    "g_ema.",
    "decoder.",
    "netG_ema.",
    "model.generator.module.",
)
# safetensors holds tensors by name and nothing else
EVERYWHERE = [
    (layout, container)
    for layout in (*MODULES, *STATES)
    for container in CONTAINERS
    if container != "safetensors" or layout in STATES
]


def check_same(path: Path, layout: str) -> None:
    """The file holds the network of the plain file: names, shapes, bits, config, fingerprint."""
    found = read_checkpoint(path)
    expected = small_mobile_tensors() if "Mobile" in layout else canonical()
    config = {} if "Mobile" in layout else DEFAULT_CONFIG
    if "mapping.w_avg" not in found.tensors:
        del expected["mapping.w_avg"]  # rosinality's own module and state dict have none
        assert "rosinality" in layout
    assert same_tensors(found.tensors, expected)
    assert found.config == config
    assert fingerprint(found.tensors, found.config) == fingerprint(expected, config)


@pytest.mark.parametrize(("layout", "container"), EVERYWHERE)
def test_every_layout_is_read_from_every_container_and_place(
    layout: str, container: str, tmp_path: Path
) -> None:
    with foreign_modules():
        value = (MODULES | STATES)[layout](canonical())
        places = {"alone": PLACES["alone"]} if container == "safetensors" else PLACES
        files = {
            name: write(tmp_path / f"{k}", place(value), container)
            for k, (name, place) in enumerate(places.items())
        }
    for path in files.values():
        check_same(path, layout)


@pytest.mark.parametrize("container", [c for c in CONTAINERS if c != "safetensors"])
@pytest.mark.parametrize("layout", ["StyleGAN2-ADA module (plain class)", "rosinality module"])
def test_wrapped_modules_are_read(layout: str, container: str, tmp_path: Path) -> None:
    with foreign_modules():
        for k, wrap in enumerate(WRAPPERS.values()):
            write(tmp_path / str(k), wrap(MODULES[layout](canonical())), container)
    for k in range(len(WRAPPERS)):
        check_same(tmp_path / str(k), layout)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("layout", STATES)
def test_state_dicts_are_read_under_every_prefix(
    layout: str, container: str, tmp_path: Path
) -> None:
    state = STATES[layout](canonical())
    beside = {"encoder.body.0.weight": torch.zeros(2)}
    for k, prefix in enumerate(PREFIXES):
        content = {prefix + name: t for name, t in state.items()} | (
            beside if "." in prefix[:-1] else {}
        )
        check_same(write(tmp_path / str(k), content, container), layout)


@pytest.mark.parametrize("layout", STATES)
def test_the_count_of_an_averaged_model_is_left_out(layout: str, tmp_path: Path) -> None:
    averaged = {f"module.{name}": t for name, t in STATES[layout](canonical()).items()}
    content = {"n_averaged": torch.tensor(3), **averaged}
    check_same(write(tmp_path / "m", content, "torch zip"), layout)


def test_wrappers_inside_a_generator_leave_no_trace_in_its_names(tmp_path: Path) -> None:
    state = {
        re.sub(r"^(mapping|synthesis)\.", r"\1._orig_mod.module.", n): t
        for n, t in ada_state(canonical()).items()
    }
    check_same(write(tmp_path / "flat", state, "torch zip"), "ada")
    parts = {part: {} for part in ("mapping", "synthesis")}
    for name, t in ada_state(canonical()).items():
        parts[name.split(".")[0]][name.split(".", 1)[1]] = t
    check_same(write(tmp_path / "nested", {"g_ema": parts}, "torch zip"), "ada")


@pytest.mark.parametrize("place", ["Gs alone", "(G, D, Gs)", "[G, D, Gs]", "{Gs}"])
def test_tensorflow_networks_are_read_alone_and_in_any_container(
    place: str, tmp_path: Path
) -> None:
    root = root_of("tf_tiny.pkl")
    assert isinstance(root, tuple)
    value = {
        "Gs alone": root[2],
        "(G, D, Gs)": root,
        "[G, D, Gs]": list(root),
        "{Gs}": {"Gs": root[2]},
    }[place]
    no_storage = archive(value, members={})
    for data in (
        write_pickle(value, 2),
        write_pickle(value, 4),
        no_storage,
        stream(value, keys=(), raw=b""),
    ):
        (tmp_path / "m").write_bytes(data)
        check_same(tmp_path / "m", "tensorflow")


def table() -> list[str]:
    """The table of docs/checkpoints.md, which holds no more than the tests above try."""
    lines = ["| layout | " + " | ".join(CONTAINERS) + " |", "|---" * (len(CONTAINERS) + 1) + "|"]
    for layout in (*MODULES, *STATES):
        cells = ["read" if (layout, container) in EVERYWHERE else "—" for container in CONTAINERS]
        lines.append("| " + " | ".join([layout, *cells]) + " |")
    lines.append("| TensorFlow network (`dnnlib.tflib`) | read | read | read | read | — |")
    return lines


def test_the_documented_table_is_the_tested_one() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert "\n".join(table()) in text
    for place in (*PLACES, *WRAPPERS, *(f"`{prefix}`" for prefix in PREFIXES)):
        assert place in text, place
