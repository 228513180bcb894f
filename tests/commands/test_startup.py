"""What commands import, read and leave undone so that they start fast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from networks import small_generator

from directions.direction import Direction
from directions.direction_files import save_direction
from invert.commands.latents_read import read_latent
from invert.errors import ModelFileError

# Packages that rendering and editing have no use for; each takes up to two seconds.
NOT_NEEDED = (
    *("torchvision", "scipy", "sklearn", "lpips", "efficientnet_pytorch", "matplotlib"),
    *("torch._dynamo", "torch._inductor", "torch.onnx", "sympy", "pandas", "numpy.testing"),
)
RUN = """
import sys
import cli
for words in {commands}:
    sys.argv = ["invert", *words]
    try:
        cli.main()
    except SystemExit as stop:
        assert not stop.code, stop.code
print(sorted(set({not_needed}) & set(sys.modules)))
"""


def test_rendering_and_editing_import_no_package_that_they_do_not_use(
    tmp_path: Path, network: Path
) -> None:
    generator = small_generator()
    generator.sample(0, space="FNW5").save(tmp_path / "a.pt")
    direction = Direction("tilt", torch.ones(generator.w_dim) / generator.w_dim**0.5, sigma=1.0)
    save_direction(direction, tmp_path / "tilt.safetensors")
    of = ["a.pt", "--network", str(network), "-o"]
    commands = [
        ["render", *of, "picture.png"],
        ["edit", *of, "edited.pt", "--direction", "tilt.safetensors"],
        ["edit", *of, "strip.png", "--direction", "tilt.safetensors", "--strip", "-1:1:2"],
        ["mix", "a.pt", *of, "mixed.pt", "--mask", "picture.png"],
        ["info", "a.pt"],
    ]
    code = RUN.format(commands=commands, not_needed=NOT_NEEDED)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_process_ends_with_its_code_after_what_is_registered_and_printed() -> None:
    code = (
        "import atexit, sys; from invert.__main__ import leave; atexit.register(print, 'last')\n"
        "print('first'); print('why', file=sys.stderr); leave(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, "first\nlast\n", "why\n")


def test_a_latent_file_is_read_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with pytest.raises(ModelFileError, match="no such latent file"):
        read_latent(path)

    generator = small_generator()
    generator.sample(0).save(path)
    first = read_latent(path)
    assert read_latent(path) is first

    generator.sample(1).save(path)
    second = read_latent(path)
    assert not torch.equal(second.style_tensor(), first.style_tensor())
