"""The command as a whole, and those about files and pictures; errors are one line with a code."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import torch
from networks import small_generator
from shell import Shell, one_line, refused, succeeded

import cli
from invert.latents.latent import Latent
from invert.weights import BUNDLED

BUNDLED_NAME = next(iter(BUNDLED))


def test_generate_writes_pictures_that_their_latents_repeat(run: Shell, network: Path) -> None:
    result = run(
        "generate", "--network", network, "--seeds", "0-1,5", "--space", "FNW5", "--out", "s"
    )
    assert result.code == 0, result.err
    assert result.out.split() == ["s/seed0000.png", "s/seed0001.png", "s/seed0005.png"]
    assert run("render", "s/seed0005.pt", "--network", network, "-o", "five.png").code == 0
    assert Path("five.png").read_bytes() == Path("s/seed0005.png").read_bytes()


def test_convert_keeps_the_picture_and_refuses_losses(run: Shell, network: Path) -> None:
    assert run("generate", "--network", network, "--seeds", "0").code == 0
    assert run("convert", "seed0000.pt", "--space", "fnsw5", "--network", network).code == 0
    generator = small_generator()
    a, b = (generator.render(Latent.load(p)) for p in ("seed0000.pt", "seed0000.FNSW5.pt"))
    assert (a - b).abs().max() < 1e-4
    result = run("convert", "seed0000.FNSW5.pt", "--space", "W+", "--network", network)
    assert result.code == 2
    assert "cannot become W+ without loss" in one_line(result)


def test_info_tells_latents_from_checkpoints(run: Shell, network: Path) -> None:
    run("generate", "--network", network, "--seeds", "0", "--space", "FNW5")
    latent = json.loads(run("info", "seed0000.pt", "--json").out)
    assert (latent["kind"], latent["space"]) == ("latent", "FNW5")
    checkpoint = json.loads(run("info", network, "--json").out)
    assert (checkpoint["kind"], checkpoint["resolution"], checkpoint["num_ws"]) == (
        "checkpoint",
        64,
        10,
    )
    assert checkpoint["fingerprint"] == latent["fingerprint"]
    ada = run("info", Path(__file__).parents[1] / "fixtures" / "ada_tiny.pkl")
    assert "stylegan2-ada-pytorch" in ada.out
    Path("broken.pt").write_bytes(b"PK\x03\x04 nothing")
    result = run("info", "broken.pt")
    assert (result.code, "broken.pt" in one_line(result)) == (4, True)


def test_convert_network_keeps_the_fingerprint(run: Shell) -> None:
    pickle = Path(__file__).parents[1] / "fixtures" / "ada_tiny.pkl"
    assert run("convert-network", pickle, "tiny.safetensors").code == 0
    a, b = (
        json.loads(run("info", p, "--json").out)["fingerprint"]
        for p in (pickle, "tiny.safetensors")
    )
    assert a == b
    assert "safetensors" in one_line(run("convert-network", pickle, "tiny.pkl"))


def test_a_latent_of_another_generator_needs_force(
    run: Shell, network: Path, tmp_path: Path
) -> None:
    small_generator(seed=1).sample(0).save(tmp_path / "other.pt")
    result = run("render", "other.pt", "--network", network)
    assert (result.code, "--force" in one_line(result)) == (4, True)
    assert run("render", "other.pt", "--network", network, "--force").code == 0


def test_networks_lists_what_has_a_name(run: Shell) -> None:
    assert "ffhq-mobile" in run("networks").out
    assert {row["name"] for row in json.loads(run("networks", "--json").out)} >= {
        "ffhq-mobile",
        "st-lpips-vgg",
    }
    assert "non-commercial" in run("download", "ffhq-mobile", "--card").out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["render", "a.pt", "--seed", "3"], "--seed draws noise; give --noise random with it"),
        (["render", "a.pt", "--background", "red"], "--background says how a photograph is read"),
        (["render", "a.pt", "--frame", "0"], "--frame says how a photograph is read"),
        (["render", "a.pt", "--max-pixels", "9"], "--max-pixels says how a photograph is read"),
        (["render", "a.pt", "--allow-truncated"], "give --into with it"),
        (["download", "ffhq-mobile", "--card", "--wheel", "x.whl"], "leave it or --card out"),
        (["download", "--card", "--cache-dir", "x"], "leave it or --card out"),
        (["download", BUNDLED_NAME, "--wheel", "x.whl"], f"{BUNDLED_NAME} came with the package"),
        (["download", BUNDLED_NAME, "--cache-dir", "x"], f"{BUNDLED_NAME} came with the package"),
    ],
)
def test_options_that_would_change_nothing_are_refused(
    arguments: list[str], reason: str, run: Shell
) -> None:
    refused(run(*arguments), 2, reason)


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["render", "photos/face.png"], 4, "face.png"),
        (["render", "a.pt", "b.pt", "-o", "x.png"], 2, "--output takes one"),
        (["generate", "--seeds", "x"], 2, "seeds like"),
        (["generate", "--seeds", "5-3"], 2, "number of seeds in '5-3'"),
        (["generate", "--seeds", "0-4294967295"], 2, "number of seeds"),
        (["generate", "--psi", "1e9"], 2, "psi"),
        (["generate", "--psi", "nan"], 2, "psi"),
        (["convert", "none.pt", "--space", "W+"], 4, "none.pt"),
        (["info", "none.pt"], 4, "none.pt"),
        (["download", "nope"], 2, "nope"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_errors_are_one_line_with_their_code(
    arguments: list[str], code: int, reason: str, run: Shell, photo: Path
) -> None:
    refused(run(*arguments), code, reason)


def test_a_missing_gpu_is_an_error_that_names_the_cpu(run: Shell, network: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    result = run("generate", "--network", network, "--device", "cuda")
    assert (result.code, "--device cpu" in one_line(result)) == (2, True)


def test_debug_shows_the_traceback(run: Shell) -> None:
    assert "Traceback" in run("--debug", "info", "none.pt").err


def no_memory_for_torch() -> None:
    torch.empty(1 << 50)


def no_memory_for_python() -> None:
    bytearray(1 << 62)


def no_memory_on_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


@pytest.mark.parametrize("fails", [no_memory_for_torch, no_memory_for_python, no_memory_on_a_gpu])
def test_out_of_memory_has_a_code_of_its_own(
    fails: Callable[[], None], run: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.cli.commands["networks"], "callback", lambda **_: fails())
    refused(run("networks"), 5, "out of memory")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENAMETOOLONG, errno.EIO])
def test_a_file_that_the_system_refuses_is_no_bug(
    number: int, run: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: object) -> None:
        raise OSError(number, os.strerror(number), "there/x.pt")

    monkeypatch.setattr(cli.cli.commands["networks"], "callback", fails)
    result = run("networks")
    refused(result, 1, f"there/x.pt: cannot be used ({os.strerror(number)})")
    assert "a bug" not in result.err


def test_an_error_that_no_file_system_makes_is_a_bug(
    run: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor", "x.pt")

    monkeypatch.setattr(cli.cli.commands["networks"], "callback", fails)
    refused(run("networks"), 1, "unexpected OSError: [Errno 9] Bad file descriptor: 'x.pt' (a bug")


def test_a_process_that_calls_the_command_keeps_its_signals_and_warnings(run: Shell) -> None:
    before = signal.getsignal(signal.SIGTERM), warnings.showwarning
    succeeded(run("networks"))
    assert (signal.getsignal(signal.SIGTERM), warnings.showwarning) == before


MODULES = 300  # that help loads at most, most of them Python's own; numpy alone has as many


def test_help_is_instant_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, cli\nsys.argv = ['invert', '--help']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'PIL', 'scipy', 'sklearn', 'tqdm', 'safetensors'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
        f"assert len(sys.modules) <= {MODULES}, len(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and subcommand with the words that call it."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = list(commands(cli.cli))


@pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=["-".join(path) for path, _ in COMMANDS]
)
def test_every_command_shows_an_example_that_it_would_take(
    path: tuple[str, ...], command: click.Command, run: Shell
) -> None:
    shown = run(*path, "--help")
    assert shown.code == 0
    lines = [
        line.removeprefix("Example:").strip()
        for line in map(str.strip, (command.help or "").splitlines())
    ]
    examples = [line for line in lines if line.startswith("invert ")]
    assert examples
    assert examples[0].startswith(" ".join(("invert", *path)))
    for example in examples:
        assert example in shown.out  # as one line
        words, called = shlex.split(example)[1:], cli.cli
        while isinstance(called, click.Group):
            called = called.commands[words.pop(0)]
        # raises for unknown options, bad values and what is missing
        called.make_context(example, words)
