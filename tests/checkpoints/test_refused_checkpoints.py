"""Files of other projects that are refused: for code, for sizes that contradict each other, and by
name.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
import torch
from checkpoint_files import refuse_bytes, saved
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
from pickle_writer import call, root_of, write_pickle
from test_hostile_torch_checkpoints import archive, stream
from torch import nn

from invert.checkpoints import read_checkpoint
from invert.checkpoints.nodes import Global
from invert.errors import ModelFileError
from invert.latents.latent import Latent
from invert.loading import load_generator

# -- code


HOSTILE = (
    call("os.system", "touch sentinel"),
    call("builtins.eval", "1"),
    call("subprocess.Popen", "touch sentinel"),
    call("some.library.function", 1),
    call("logging.FileHandler", "sentinel"),
    call("_io.FileIO", "sentinel", "w"),
    call("torch._tensor._rebuild_from_type_v2", Global("torch", "load"), None, (), None),
    call("builtins.getattr", Global("model", "Generator"), "__subclasses__"),
    call("functools.partial", Global("os", "system"), "touch sentinel"),
    call(
        "copyreg._reconstructor", Global("subprocess", "Popen"), Global("builtins", "object"), None
    ),
    call("torch.storage._load_from_bytes", write_pickle(call("os.system", "touch sentinel"), 2)),
    Global("a.b", "os.system"),
    Global("x y", "z"),
)


@pytest.mark.parametrize("evil", HOSTILE, ids=lambda evil: str(getattr(evil, "function", evil)))
def test_what_would_run_code_is_refused_where_nothing_is_needed(
    evil: object, tmp_path: Path
) -> None:
    root = root_of("ada_tiny.pkl")
    assert isinstance(root, dict)
    root["augment_pipe"] = {"a": [evil]}
    for data in (write_pickle(root), archive({"g": evil}), stream({"g": evil}, keys=(), raw=b"")):
        refuse_bytes(
            tmp_path, data, "the pickle names .*it was not imported, do not trust this file"
        )


@pytest.mark.parametrize(
    "node", [call("model.Net"), Global("model", "Net"), call("a.B", state={"x": 1})]
)
def test_foreign_objects_where_the_generator_should_be_are_no_reason_for_distrust(
    node: object, tmp_path: Path
) -> None:
    for root in (node, {"g_ema": node}, {"G_ema": node}):
        message = refuse_bytes(
            tmp_path, write_pickle(root), "the pickle names .*it was not imported"
        )
        assert "trust" not in message


# -- sizes that contradict each other


def test_a_conditional_generator_without_its_embedding_is_refused(tmp_path: Path) -> None:
    wide = torch.randn(16, 32) * 100
    for width in (32, 20):
        state = rosinality_state(canonical()) | {"style.1.weight": wide[:, :width]}
        with pytest.raises(
            ModelFileError,
            match=rf"style\.1\.weight takes {width} values where w has 16: .* embedding",
        ):
            read_checkpoint(saved(tmp_path / "m", {"g_ema": state}))
    with pytest.raises(
        ModelFileError, match=r"mapping\.fc0\.weight takes 32 values where w has 16"
    ):
        read_checkpoint(
            saved(tmp_path / "m", ada_state(canonical() | {"mapping.fc0.weight": wide}))
        )


@pytest.mark.parametrize(
    ("sizes", "match"),
    [
        (
            {"c_dim": 4},
            "the generator says c_dim 4, the tensors have 0; its label embedding is missing",
        ),
        (
            {"z_dim": 32},
            "the generator says z_dim 32, the tensors have 16; the file contradicts itself",
        ),
        ({"w_dim": 32}, "says w_dim 32, the tensors have 16"),
        ({"img_resolution": 64}, "says img_resolution 64, the tensors have 32"),
        ({"num_ws": 10}, "says num_ws 10, the tensors have 8"),
    ],
)
@pytest.mark.parametrize("place", ["attributes", "mapping", "_init_kwargs"])
def test_sizes_that_a_module_states_must_be_those_of_its_tensors(
    sizes: dict, match: str, place: str, tmp_path: Path
) -> None:
    with foreign_modules():
        module = ada_module(canonical())
        if place == "attributes":
            module.__dict__.update(sizes)
        elif place == "mapping":
            module.mapping.__dict__.update(sizes)
        else:
            module._init_kwargs = {**module._init_kwargs, **sizes}
        path = write(tmp_path / "m", Persistent(module), "bare pickle")
    with pytest.raises(ModelFileError, match=match.replace("the generator", ".*")):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (
            {"label_size": 4},
            "static_kwargs says label_size 4, the tensors have 0; its label embedding is missing",
        ),
        ({"latent_size": 32}, "static_kwargs says latent_size 32, the tensors have 16"),
        ({"dlatent_size": 32}, "static_kwargs says dlatent_size 32, the tensors have 16"),
        ({"resolution": 64}, "static_kwargs says resolution 64, the tensors have 32"),
    ],
)
def test_sizes_that_tensorflow_states_must_be_those_of_its_variables(
    settings: dict, match: str, tmp_path: Path
) -> None:
    root = root_of("tf_tiny.pkl")
    root[2].state["static_kwargs"].update(settings)
    refuse_bytes(tmp_path, write_pickle(root), match)


def test_a_rosinality_module_that_computes_otherwise_is_refused(tmp_path: Path) -> None:
    for change, match in (
        (
            lambda part: part.conv1.conv.modulation.__dict__.update(scale=7.0),
            r"scale 7\.0 instead of 0\.25",
        ),
        (
            lambda part: part.conv1.conv.__dict__.update(demodulate=False),
            "demodulate False instead of True",
        ),
        (lambda part: getattr(part.style, "1").__dict__.update(lr_mul=1.0), "differ in lr_mul"),
    ):
        with foreign_modules():
            module = rosinality_module(canonical())
            change(module)
            path = write(tmp_path / "m", module, "torch zip")
        with pytest.raises(ModelFileError, match=match):
            read_checkpoint(path)


# -- refused by their right names


@pytest.mark.parametrize(
    ("count", "what"), [(1, "grey pictures"), (4, "transparency"), (12, "wavelets"), (6, "no RGB")]
)
def test_other_numbers_of_colours_are_refused_by_name(
    count: int, what: str, tmp_path: Path
) -> None:
    tensors = {
        name: t.repeat_interleave(4, 0)[:count] if re.search(r"torgb\.(weight|bias)$", name) else t
        for name, t in canonical().items()
    }
    bias = {
        f"{k}.bias": torch.zeros(1, count, 1, 1)
        for k in ("to_rgb1", "to_rgbs.0", "to_rgbs.1", "to_rgbs.2")
    }
    plain = {name: t for name, t in tensors.items() if not name.endswith("torgb.bias")}
    for state in (ada_state(tensors), rosinality_state(plain) | bias):
        with pytest.raises(
            ModelFileError, match=rf"this is a StyleGAN2 of {count} colour channels? \(.*{what}"
        ):
            read_checkpoint(saved(tmp_path / "m", {"g_ema": state}))


FAMILIES = {
    "genforce's StyleGAN2": (
        "mapping.dense0.weight",
        "synthesis.early_layer.const",
        "synthesis.layer0.weight",
    ),
    "genforce's StyleGAN of the first version": (
        "mapping.dense0.weight",
        "synthesis.layer0.apply_noise.weight",
    ),
    "mmgeneration's StyleGAN2": (
        "style_mapping.1.weight",
        "constant_input.weight",
        "conv1.conv.weight",
    ),
    "BasicSR's StyleGAN2": (
        "style_mlp.1.weight",
        "style_conv1.modulated_conv.weight",
        "noises.noise0",
    ),
    "lucidrains' stylegan2-pytorch": (
        "G.initial_block",
        "G.blocks.0.to_style1.weight",
        "S.net.0.weight",
    ),
    "StyleGAN3": ("mapping.fc0.weight", "synthesis.input.freqs", "synthesis.L0_36_512.weight"),
    "StyleGAN-XL": (
        "mapping.embed_proj.weight",
        "synthesis.input.freqs",
        "synthesis.L0_36_512.weight",
    ),
    "EG3D": (
        "backbone.mapping.fc0.weight",
        "backbone.synthesis.b4.const",
        "superresolution.block0.conv0.weight",
    ),
    "a StyleGAN of the first version": ("g_mapping.dense0.weight", "g_synthesis.blocks.4x4.const"),
    "StyleSwin": ("style.1.weight", "input.input", "layers.0.blocks.0.attn.weight"),
    "a diffusion model": ("model.diffusion_model.input_blocks.0.0.weight",),
    "an encoder without its generator": ("encoder.input_layer.0.weight", "encoder.body.0.weight"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_generators_of_other_families_are_refused_by_name(family: str, tmp_path: Path) -> None:
    for place in (
        lambda state: state,
        lambda state: {"generator": state, "generator_smooth": state},
        lambda state: {"params_ema": state},
        lambda state: {
            "state_dict": {f"generator_ema.{name}": t for name, t in state.items()},
            "meta": {},
        },
    ):
        content = place({name: torch.zeros(1) for name in FAMILIES[family]})
        with pytest.raises(ModelFileError, match=rf"supported: .*this is .*{family}") as caught:
            load_generator(saved(tmp_path / "m", content))
        assert "\n" not in str(caught.value)
    (tmp_path / "s").unlink(missing_ok=True)
    path = write(tmp_path / "s", {name: torch.zeros(1) for name in FAMILIES[family]}, "safetensors")
    with pytest.raises(ModelFileError, match=f"this is .*{family}"):
        read_checkpoint(path)


@pytest.mark.parametrize("value", [argparse.Namespace(size=32), nn.Linear(1, 1), Path("x")])
def test_a_harmless_class_in_place_of_a_latent_is_no_reason_for_distrust(
    value: object, tmp_path: Path
) -> None:
    path = saved(tmp_path / "m.pt", {"g_ema": {}, "args": value})
    with pytest.raises(ModelFileError, match=r"the pickle names .*`invert info` tells") as caught:
        Latent.load(path)
    assert "trust" not in str(caught.value)
    for name in ("os.system", "library.function"):
        (tmp_path / "e.pt").write_bytes(archive({"format": call(name)}, members={}))
        with pytest.raises(ModelFileError, match="do not trust this file"):
            Latent.load(tmp_path / "e.pt")


def test_a_mean_w_beside_a_refused_generator_hides_nothing(tmp_path: Path) -> None:
    state = rosinality_state(canonical())
    grey = {n: t[:, :1] if n.startswith("to_rgb") and t.ndim > 3 else t for n, t in state.items()}
    path = saved(tmp_path / "m.pt", {"g_ema": grey, "latent_avg": torch.zeros(16)})
    with pytest.raises(ModelFileError, match="1 colour channel"):
        load_generator(path)


def test_pickled_networks_of_other_families_are_refused_by_name(tmp_path: Path) -> None:
    root = root_of("ada_tiny.pkl")
    modules = root["G_ema"].args[0]["state"]["_modules"]
    (modules.items if hasattr(modules, "function") else modules)["renderer"] = None
    root["G_ema"].args[0]["class_name"] = "TriPlaneGenerator"
    refuse_bytes(tmp_path, write_pickle(root), r"this is a TriPlaneGenerator \(EG3D")
