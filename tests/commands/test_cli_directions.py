"""`invert directions` end to end on a 64 px generator: what is planted is found, what is made can
be edited with.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import small_checkpoint, small_generator
from shell import Shell, pixels, refused, succeeded

from directions.catalog import available, find
from directions.commands.importing import compare, is_turned
from directions.direction import Direction, unit
from directions.direction_files import load_direction, save_direction
from directions.naming import named_attribute
from directions.w_space import WSpace
from invert.checkpoints import write_checkpoint
from invert.latents.w_spaces import PROBES


def planted() -> torch.Tensor:
    """A unit vector [32]."""
    return unit(torch.randn(32, generator=torch.Generator().manual_seed(3)))


def scores(seeds: range) -> torch.Tensor:
    """How far the w of each seed lies along the planted vector."""
    w = small_generator().sample(seeds).styles
    assert isinstance(w, torch.Tensor)
    return w @ planted()


def write_table(path: Path, seeds: range, values: torch.Tensor) -> Path:
    rows = [f"{seed},{value}" for seed, value in zip(seeds, values.tolist(), strict=True)]
    path.write_text("\n".join(["seed,score", *rows]))
    return path


def test_list_names_the_catalogue_with_what_more_of_it_is(run: Shell) -> None:
    lines = succeeded(run("directions", "list")).splitlines()
    assert [line.split()[0] for line in lines] == available()
    assert any(line.startswith("smile ") and "+ is smiling" in line for line in lines)
    assert succeeded(run("directions")).splitlines() == lines
    rows = json.loads(succeeded(run("directions", "list", "--json")))
    assert [row["name"] for row in rows] == available()
    assert rows[0].keys() >= {"meaning", "sigma", "measured"}


def test_show_says_how_a_direction_was_made_and_measured(run: Shell) -> None:
    direction = find("smile")
    facts = json.loads(succeeded(run("directions", "show", "smile", "--json")))
    assert facts["meaning"] == direction.meaning
    assert facts["w_space"] == "ffhq"
    assert facts["source"] == direction.source
    assert facts["measured"] == direction.measured
    shown = dict(
        line.split(maxsplit=1)
        for line in succeeded(run("directions", "show", "smile")).splitlines()
    )
    assert shown["styles"] == json.dumps(list(direction.styles or ()))
    assert float(shown["measured.leakage.age"]) == direction.measured["leakage"]["age"]


@pytest.mark.parametrize("kind", ["linear", "logistic"])
def test_learn_finds_the_vector_that_made_the_scores(
    kind: str, run: Shell, network: Path, tmp_path: Path
) -> None:
    seeds = range(200)
    values = scores(seeds)
    table = write_table(
        tmp_path / "t.csv",
        seeds,
        values if kind == "linear" else (values > values.median()).double(),
    )
    out = succeeded(
        run(
            "directions", "learn", table, "--name", "tilt", "--kind", kind,
            "--meaning", "tilted", "--styles", "2-5", "--network", network,
        )
    )  # fmt: skip
    assert out.startswith("tilt.safetensors  metric ")
    learned = load_direction("tilt.safetensors")
    assert (learned.name, learned.meaning, learned.styles) == ("tilt", "tilted", (2, 6))
    assert learned.vectors @ planted() > 0.8  # strong penalties turn it towards where W varies
    assert learned.source["method"] == f"{kind} regression"


def test_learned_against_another_direction_it_is_orthogonal_to_it(
    run: Shell, network: Path, tmp_path: Path
) -> None:
    other = unit(torch.randn(32, generator=torch.Generator().manual_seed(4)))
    save_direction(Direction("other", other, sigma=1.0), "other.safetensors")
    table = write_table(tmp_path / "t.csv", range(60), scores(range(60)))
    words = [
        "directions",
        "learn",
        table,
        "--name",
        "tilt",
        "-o",
        "t.safetensors",
        "--network",
        network,
    ]
    succeeded(run(*words, "--against", "other.safetensors"))
    assert abs(load_direction("t.safetensors").vectors @ other) < 1e-5
    succeeded(run(*words))
    assert abs(load_direction("t.safetensors").vectors @ other) > 1e-3
    refused(
        run(*words, "--against", "smile"), 4, "direction 'smile' is 512 wide, expected w_dim 32"
    )


def test_exemplars_are_seeds_and_latent_files_and_their_direction_edits(
    run: Shell, network: Path
) -> None:
    assert run("generate", "--network", network, "--seeds", "1,9", "--psi", "1").code == 0
    out = succeeded(
        run(
            "directions", "exemplars",
            "--positive", "seed0001.pt,2", "--positive", "3", "--negative", "4-6",
            "--name", "beard", "--styles", "0-3", "--network", network,
        )
    )  # fmt: skip
    assert out.startswith("beard.safetensors  gap ")
    w = small_generator().sample(range(1, 7)).styles
    assert isinstance(w, torch.Tensor)
    made = load_direction("beard.safetensors")
    assert torch.allclose(made.vectors, unit(w[:3].mean(0) - w[3:].mean(0)), atol=1e-5)
    assert made.styles == (0, 4)
    words = [
        "edit",
        "seed0009.pt",
        "--direction",
        "beard.safetensors",
        "-o",
        "more.png",
        "--network",
        network,
    ]
    succeeded(run(*words))
    assert np.abs(pixels("more.png") - pixels("seed0009.png")).mean() > 1


def test_pca_and_sefa_write_one_file_per_direction_into_a_folder(run: Shell, network: Path) -> None:
    words = ["--count", "3", "--network", network]
    out = succeeded(
        run("directions", "pca", "-o", "p", "--samples", "500", "--styles", "0-1", *words)
    ).splitlines()
    assert [line.split()[0] for line in out] == [f"p/pca-{k}.safetensors" for k in range(3)]
    found = [load_direction(f"p/pca-{k}.safetensors") for k in range(3)]
    assert found[0].sigma > found[1].sigma > found[2].sigma
    assert found[0].styles == (0, 2)
    out = succeeded(run("directions", "sefa", "-o", "s", "--styles", "middle", *words)).splitlines()
    assert [line.split()[0] for line in out] == [f"s/sefa-4-7-{k}.safetensors" for k in range(3)]


def test_import_takes_one_of_a_set_and_turns_it_round_when_asked(run: Shell, network: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 32)).astype(np.float32)
    np.savez("set.npz", comp=vectors, stdev=np.ones(30, np.float32))
    words = [
        "directions",
        "import",
        "set.npz",
        "--name",
        "five",
        "--key",
        "comp",
        "--index",
        "5",
        "--network",
        network,
    ]
    assert succeeded(run(*words)).split() == ["five.safetensors"]
    assert torch.allclose(
        load_direction("five.safetensors").vectors, unit(torch.from_numpy(vectors[5]))
    )
    succeeded(run(*words, "--sign", "-1", "-o", "back.safetensors"))
    assert torch.allclose(
        load_direction("back.safetensors").vectors, -unit(torch.from_numpy(vectors[5]))
    )


def test_import_with_a_check_refuses_noise(run: Shell, network: Path) -> None:
    w = WSpace.from_generator(small_generator())
    spread = torch.linalg.svd(w.samples - w.samples.mean(0), full_matrices=False).Vh
    np.save("main.npy", spread[0].numpy())
    # of components in between there is one along which W spreads as along random vectors
    middle = min(spread, key=lambda v: abs(w.std_along(v) - w.samples.var(0).mean().sqrt().item()))
    np.save("noise.npy", middle.numpy())
    words = ["--check", "--network", network, "--name", "x"]
    succeeded(run("directions", "import", "main.npy", *words))
    elsewhere = ["-o", "noise.safetensors"]  # what was made from another file is not replaced
    refused(run("directions", "import", "noise.npy", *words, *elsewhere), 4, "noise.npy: W spreads")
    succeeded(run("directions", "import", "noise.npy", *words[1:], *elsewhere))


def test_a_known_attribute_tells_the_sign_of_an_imported_direction() -> None:
    smile = find("smile")
    space = WSpace("ffhq", torch.randn(100, 512, generator=torch.Generator().manual_seed(0)))
    turned = Direction("smile", -smile.vectors, smile.sigma)
    assert compare(smile, space).leakage["smile"] > 0
    assert compare(turned, space).leakage["smile"] < 0
    assert compare(turned, space).meaningful  # its own attribute counts as one that it resembles
    assert "smile" not in compare(turned, WSpace("other", space.samples)).leakage


def known_w_space(path: Path) -> Path:
    """A small network of 512 wide W whose mapping network passes for FFHQ's."""
    checkpoint = small_checkpoint(w_dim=512)
    known = torch.tensor(PROBES["ffhq"])
    bias = (
        torch.where(known < 0, known / 0.2, known)
        / 2**0.5
        / checkpoint.config["mapping_lr_multiplier"]
    )
    weight = checkpoint.tensors["mapping.fc1.weight"].clone()
    weight[: len(known)] *= 0.002
    tensors = {**checkpoint.tensors, "mapping.fc1.weight": weight}
    tensors["mapping.fc1.bias"] = torch.cat([bias, torch.zeros(512 - len(known))])
    write_checkpoint(path, replace(checkpoint, tensors=tensors))
    return path


def test_a_published_sign_is_turned_by_what_the_names_tell(run: Shell) -> None:
    network = known_w_space(Path("net.safetensors"))
    age = find("age").vectors
    np.save("age.npy", -age.numpy())
    np.save("d.npy", -age.numpy())
    for file, turned in (("age.npy", True), ("d.npy", False)):
        words = [
            file,
            "--name",
            "mine",
            "--check",
            "--network",
            network,
            "-o",
            f"{file}.safetensors",
        ]
        result = run("directions", "import", *words)
        succeeded(result)
        assert (torch.dot(load_direction(f"{file}.safetensors").vectors, age) > 0) == turned
        assert ("turned round: in the file, + is less age; --sign 1" in result.err) == turned
        assert ("+ is less age (cosine -" in result.err) != turned


def test_a_name_that_says_less_or_something_else_turns_nothing() -> None:
    age = find("age")
    space = WSpace("ffhq", torch.randn(100, 512, generator=torch.Generator().manual_seed(0)))
    measured = compare(Direction("x", -age.vectors, age.sigma), space)
    for names in (
        ["age"],
        ["age2"],
        ["older_faces"],
        ["my-age-v2"],
        ["mine", "age"],
        ["x", "d", "age"],
    ):
        assert is_turned(measured, names), names
    for names in (
        ["mine", "d"],
        ["less-age"],
        ["no-age", "age"],
        ["smile", "age"],
        ["not-older", "age"],
    ):
        assert not is_turned(measured, names), names
    assert not is_turned(compare(age, space), ["age"])


@pytest.mark.parametrize(
    ("names", "attribute"),
    [
        (["age"], "age"),
        (["AGE2"], "age"),
        (["stylegan_ffhq_age_w_boundary"], "age"),
        (["stylegan2_ffhq_eyeglasses"], "glasses"),
        (["x", "eyes_open.v3"], "eyes-open"),
        (["smiling"], "smile"),
        (["my-smile", "age"], "smile"),
        (["image", "pageant"], None),  # no words of their own
        (["smile-and-age"], None),  # of two
        (["no-smile", "smile"], None),
        (["eyes", "open"], None),
        ([], None),
    ],
)
def test_names_tell_an_attribute(names: list[str], attribute: str | None) -> None:
    assert named_attribute(names, available()) == attribute


def test_measure_compares_with_noise_and_with_scores(
    run: Shell, network: Path, tmp_path: Path
) -> None:
    save_direction(Direction("tilt", planted(), sigma=1.0), "tilt.safetensors")
    table = write_table(tmp_path / "t.csv", range(30), -scores(range(30)))
    words = ["directions", "measure", "tilt.safetensors", "--network", network]
    found = json.loads(succeeded(run(*words, "--held-out", table, "--json")))
    assert found["correlation"] == pytest.approx(-1, abs=1e-4)
    assert found.keys() >= {"spread_ratio", "random_range", "leakage", "meaningful", "verdict"}
    shown = succeeded(run(*words, "--held-out", table)).splitlines()
    assert shown == [found["verdict"], f"correlation with {table}: -1.000"]
    assert succeeded(run(*words)).splitlines() == [found["verdict"]]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["show", "smlie"], 2, "did you mean smile"),
        (["show", "none.safetensors"], 4, "none.safetensors"),
        (["learn", "none.csv", "--name", "x"], 2, "none.csv: cannot be read"),
        (
            ["learn", "none.csv", "--name", "x", "-o", "x.pt"],
            2,
            "x.pt: expected a name that ends in .safetensors",
        ),
        (
            ["sefa", "--styles", "corse", "-o", "s", "--network", "NET"],
            2,
            "unknown styles 'corse'; known: coarse",
        ),
        (["learn", "none.csv", "--name", "x", "--psi", "nan"], 2, "psi is a number in"),
        (
            ["exemplars", "--positive", "1,", "--negative", "2", "--name", "x"],
            2,
            "seeds and latent files like",
        ),
        (["exemplars", "--positive", "a.pt", "--negative", "2", "--name", "x"], 4, "a.pt"),
        (
            [
                "exemplars",
                "--positive",
                "1",
                "--negative",
                "2",
                "--name",
                "a b",
                "--network",
                "NET",
            ],
            2,
            "no name for",
        ),
        (
            ["pca", "--count", "0", "-o", "p", "--samples", "100", "--network", "NET"],
            2,
            "1 to 32 components, got 0",
        ),
        (
            ["pca", "--samples", "0", "-o", "p", "--network", "NET"],
            2,
            "more than 32 samples, got 0",
        ),
        (["sefa", "--styles", "8-11", "-o", "s", "--network", "NET"], 2, "got 8 to 11"),
        (["import", "none.npy", "--name", "x", "--network", "NET"], 4, "none.npy"),
        (["measure", "smlie"], 2, "did you mean smile"),
        (["measure", "smile", "--network", "NET"], 4, "is 512 wide, expected w_dim 32"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_errors_are_one_line_with_their_code(
    arguments: list[str], code: int, reason: str, run: Shell, network: Path
) -> None:
    refused(
        run("directions", *(str(network) if a == "NET" else a for a in arguments)), code, reason
    )
