"""What a new user meets first: help, hints for other projects' habits, names that hide ours,
streams that end.
"""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from networks import small_generator
from shell import QUICK, Result, Shell, make_photo, one_line, refused, succeeded

from invert.latents.latent import Latent


def python(
    *arguments: str | Path, folder: Path, **options: object
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    given: dict[str, object] = {"capture_output": True, "text": True, "timeout": 120} | options
    return subprocess.run(command, cwd=folder, **given)


# -- Help.


@pytest.mark.parametrize("words", [(), ("project",), ("train",)])
def test_without_arguments_there_is_help_of_several_lines(
    words: tuple[str, ...], run: Shell
) -> None:
    result = run(*words)
    assert result.code == 2
    lines = (result.out + result.err).splitlines()
    assert lines[0].startswith(" ".join(("Usage: invert", *words)))
    assert len(lines) > 5
    assert "error:" not in result.err


def test_python_m_invert_is_the_command(tmp_path: Path) -> None:
    done = python("-m", "invert", "--version", folder=tmp_path)
    assert (done.returncode, done.stdout[:16]) == (0, "invert, version ")


# -- Hints.


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ("generate --trunc 0.7", "--psi"),
        ("generate --outdir x", "--out;"),
        ("generate --network_pkl f.pkl", "--network"),
        ("generate --noise-mode const", "--noise"),
        ("generate --seed 3", "--seeds"),
        ("generate --pics 3", "see `invert generate --help`"),
        ("generate --ckpt f.pt", "--network"),
        ("project --size 1024", "leave it out"),
        ("project --target x.png", "invert project FILE"),
        ("project --num-steps 5", "--steps"),
        ("project --save-video 1", "--save-progress"),
        ("project --w_plus", "--space W+"),
        ("project --init_steps 5", "--init-steps"),
        ("project --output x", "--out;"),
        ("project --center-crop", "--crop centre"),
        ("project --perceptaul none", "--perceptual"),
        ("project --gpu 0", "--device cuda"),
        ("style-mix --rows 1-3 --styles fine", "invert style-mix 1-3 --matrix 4-6"),
        ("style-mix --cols 1-3", "--matrix"),
        ("style-mix --latent_mask 8-17", "--styles"),
        ("edit --degree 3", "--strength"),
        ("edit --boundary age.npy", "--direction"),
        ("edit --out x.png", "-o;"),
        ("projector", "invert project"),
        ("style_mixing.py", "invert style-mix"),
        ("closed_form_factorization", "invert directions sefa"),
        ("directions impotr", "invert directions import"),
        ("train encodr", "invert train encoder"),
        ("project x.png --crop center", "did you mean centre?"),
        ("project x.png --crop aligned", "did you mean face?"),
        ("project x.png --preset fats", "did you mean fast?"),
        ("project x.png --space w_plus", "did you mean W+?"),
        ("project x.png --space wplus", "did you mean W+?"),
        ("mix", "see `invert mix --help`"),
    ],
)
def test_habits_of_other_projects_get_a_hint(arguments: str, hint: str, run: Shell) -> None:
    refused(run(*arguments.split()), 2, hint)


def test_values_of_other_projects_get_a_hint(run: Shell, network: Path, photo: Path) -> None:
    given = ("project", photo, "--network", network)
    refused(run(*given, "--perceptual", "vgg"), 2, "did you mean st-lpips-vgg?")
    small_generator().sample([0]).save(Path("a.pt"))
    refused(
        run("style-mix", "a.pt", "1", "--styles", "mid", "--network", network),
        2,
        "did you mean middle?",
    )


def test_a_folder_of_photographs_says_what_to_type(
    run: Shell, network: Path, tmp_path: Path
) -> None:
    for name in ("a.jpg", "b.JPG", "c.png"):
        make_photo(tmp_path / "my photos" / name)
    (tmp_path / "empty").mkdir()
    typed = "invert project 'my photos'/*.JPG 'my photos'/*.jpg 'my photos'/*.png"
    refused(run("project", "my photos", "--network", "nowhere"), 3, typed)
    refused(run("project", "empty"), 3, "no pictures in it")
    result = run("project", "my photos", "my photos/c.png", "--network", network, *QUICK)
    assert result.code == 6
    assert typed in result.err
    assert Path("c.pt").exists()


def test_without_a_perceptual_distance_no_comma_dangles(
    run: Shell, network: Path, photo: Path
) -> None:
    line = succeeded(run("project", photo, "--network", network, *QUICK))
    assert line.startswith("face.pt  mse 0.")


# -- Modules of a user with the names of ours.


@pytest.mark.parametrize("name", ["cli", "directions", "edits"])
def test_the_command_runs_beside_a_module_of_the_user(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("print('somebody else')\n")
    done = python("-m", "invert", "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "style-mix" in done.stdout
    assert "somebody else" not in done.stdout


@pytest.mark.parametrize("package", [False, True])
def test_a_module_that_hides_ours_is_named(package: bool, tmp_path: Path) -> None:
    theirs = tmp_path / ("directions/__init__.py" if package else "directions.py")
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("x = 1\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import invert\n"
        "try:\n    from edits.along import edit\n"
        "except ImportError as error:\n    assert isinstance(error, invert.InvertError)\n"
        "    print(error)\n"
        "import directions\nassert directions.x == 1\n"
    )
    done = python(script, folder=tmp_path)
    assert done.returncode == 0, done.stderr

    # Other processes take the installed package, which may lie elsewhere than this one's.
    place = python("-c", "import invert; print(invert.__file__)", folder=tmp_path).stdout.strip()
    root = Path(place).parents[1]
    assert f"{theirs} hides the module 'directions' of invert, {root}" in done.stdout


# -- Streams that end before the work does.

COMMAND = "import cli; cli.main()"
ALL = ["seed0000.png", "seed0000.pt", "seed0001.png", "seed0001.pt"]


@pytest.fixture
def full() -> Iterator[int]:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


def generated(run: Shell, network: Path, descriptor: int) -> Result:
    """The command with a stdout of its own."""
    with open(descriptor, "w", closefd=False) as stream:
        run.monkeypatch.setattr(sys, "stdout", stream)
        result = run("generate", "--network", network, "--seeds", "0-1", "--out", "s")
        assert sys.stdout is stream
    assert sorted(path.name for path in Path("s").iterdir()) == ALL
    return result


def test_a_reader_that_has_enough_does_not_stop_the_work(run: Shell, network: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # like `| head`, gone before the first line
    assert generated(run, network, writing) == Result(0, "", "device: cpu\n")
    os.close(writing)


def test_a_full_disk_under_stdout_is_told_after_the_work(
    run: Shell, network: Path, full: int
) -> None:
    result = generated(run, network, full)
    assert result.code == 1
    assert one_line(result).startswith(
        f"error: stdout: {os.strerror(errno.ENOSPC)}; the work is done"
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [(("--help",), 1), (("frobnicate",), 2), (("networks", "--json"), 1), ((), 2)],
)
def test_nothing_can_be_printed_at_all(
    words: tuple[str, ...], code: int, tmp_path: Path, full: int
) -> None:
    done = python(
        "-c", COMMAND, *words, folder=tmp_path, capture_output=False, stdout=full, stderr=full
    )
    assert done.returncode == code


def test_the_end_of_a_pipe_is_no_error_when_python_ends_either(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = python(
        "-c",
        COMMAND,
        "networks",
        folder=tmp_path,
        capture_output=False,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_closed_streams_do_not_become_files(network: Path, tmp_path: Path) -> None:
    words = ["-c", COMMAND, "generate", "--network", str(network), "--seeds", "0-1", "--out", "s"]
    line = f"{shlex.join([sys.executable, *words])} >&- 2>&- <&-"
    assert subprocess.run(["sh", "-c", line], cwd=tmp_path, timeout=120).returncode == 0
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ALL
    for name in ALL[1::2]:
        Latent.load(tmp_path / "s" / name)


def test_letters_that_a_terminal_lacks_are_no_error(tmp_path: Path) -> None:
    plain = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    done = python("-m", "invert", "größe", folder=tmp_path, env={**os.environ, **plain})
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_streams_are_put_back(run: Shell) -> None:
    before = sys.stdout, sys.stderr
    succeeded(run("networks"))
    assert (sys.stdout, sys.stderr) == before
