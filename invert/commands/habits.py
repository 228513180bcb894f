"""What to type instead: options and commands of other StyleGAN2 projects, and near misses.

The neighbours are stylegan2-ada-pytorch and stylegan3 (generate.py, projector.py,
style_mixing.py), rosinality's StyleGAN2, pSp, e4e and PTI, InterFaceGAN, GANSpace and SeFa.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from invert.errors import nearest

# What others call it, without dashes; then our options, of which a command has one at most.
OPTIONS: dict[str, tuple[str, ...]] = {
    "trunc truncation truncation-psi truncate trunc-psi": ("--psi",),
    "outdir out-dir output-dir output-path output-folder dest": ("--out", "-o"),
    "save-dir save-path result-dir results-dir exp-dir": ("--out", "-o"),
    "output outfile out-file": ("--out", "-o"),
    "out o": ("-o", "--out"),
    "num-steps n-steps step num-iterations iterations iters iter max-steps epochs max-pti-steps": (
        "--steps",
    ),
    "first-inv-steps w-steps num-w-steps first-phase-steps": ("--init-steps",),
    "save-video video save-vid gif": ("--save-progress gif",),
    "network-pkl ckpt checkpoint checkpoint-path model model-path pkl": ("--network",),
    "stylegan-weights generator g-path weights": ("--network",),
    "w-plus wplus wp w+ latent-space": ("--space W+",),
    "seed random-seed": ("--seeds", "--seed"),
    "seeds": ("--seed",),
    "noise-mode": ("--noise",),
    "class-idx class-id label": ("--class",),
    "col-seeds cols columns col-styles": ("--matrix",),
    "latent-mask layers": ("--styles",),
    "gpu gpus gpu-id cuda use-cuda num-gpus": ("--device cuda",),
    "cpu no-cuda": ("--device cpu",),
    "fp16 bf16 half-precision mixed-precision": ("--half",),
    "degree alpha factor amount magnitude": ("--strength",),
    "direction-name edit-direction attribute attr boundary boundary-path editing-direction": (
        "--direction",
    ),
    "center center-crop centre centre-crop crop-center": ("--crop centre",),
    "align aligned align-face face-align crop-face": ("--crop face",),
    "resize no-crop keep-aspect": ("--keep-size",),
    "learning-rate lr-w initial-learning-rate": ("--lr",),
    "lpips loss lpips-type": ("--perceptual",),
    "num-frames n-frames w-frames frame-count": ("--frames",),
    "frame-rate framerate": ("--fps",),
    "n-components components num n num-factors": ("--count",),
    "color bg background-color bgcolor": ("--background",),
    "yes y force overwrite-output replace": ("--overwrite",),
    "cache cachedir": ("--cache-dir",),
    "init-latent initial-latent start-latent w-init": ("--init",),
}
INPUTS = (
    "target target-image image images img input input-image source photo file filename "
    "latent projected-w w"
)
NO_NEED = "size resolution channel-multiplier n-mlp latent-dim cfg pkl-type"  # the file says it
ROWS = "rows row-seeds"
DEBUG = "debug"

COMMANDS = {
    "projector invert inversion inversions encode embed": "project",
    "align-and-project run-projector run-pti inference": "project",
    "gen sample gen-images generate-images": "generate",
    "stylemix mixing style": "style-mix",
    "morph interpolation gen-video video": "interpolate",
    "apply-factor manipulate": "edit",
    "factor factorize closed-form-factorization": "directions sefa",
    "ganspace": "directions pca",
    "train-boundary": "directions learn",
    "train-encoder": "train encoder",
    "train-attribute": "train attribute",
    "convert-weight convert-weights legacy": "convert-network",
    "describe show inspect": "info",
    "models list": "networks",
    "help": "--help",
    "version": "--version",
}


def hint_for_option(error: click.NoSuchOption) -> str:
    """A sentence about an option that the command does not have."""
    command = error.ctx.command if error.ctx else None
    words = error.ctx.command_path if error.ctx else "invert"
    ours = [name for p in command.params for name in p.opts if name[0] == "-"] if command else []
    typed = plain(error.option_name)
    said = f"{words} has no option {error.option_name}"
    return f"{said}; {advice(typed, ours, words)}see `{words} --help`"


def advice(typed: str, ours: Sequence[str], words: str) -> str:
    """The start of the hint: an option of this command, an argument, or nothing."""
    if typed == DEBUG:
        return "it stands before the command, `invert --debug …`; "

    # The name that another project has for one of our options.
    for theirs, instead in OPTIONS.items():
        if typed in theirs.split():
            for option in instead:
                if option.split()[0] in ours:
                    return f"here it is {option}; "

    # What is no option here.
    if typed in INPUTS.split():
        return f"files are named without an option, `{words} FILE`; "
    if typed in ROWS.split() and "--matrix" in ours:
        return f"rows are named without an option, `{words} 1-3 --matrix 4-6`; "
    if typed in NO_NEED.split():
        return "it is read from the network's file, leave it out; "

    near = nearest(f"--{typed}", ours)
    return f"did you mean {near}? " if near else ""


def hint_for_command(name: str, group: str, known: Iterable[str]) -> str:
    """A sentence about a command that there is not."""
    typed = plain(name)
    known = list(known)
    instead = next((ours for theirs, ours in COMMANDS.items() if typed in theirs.split()), None)
    if instead is not None and (group == "invert" or instead.split()[0] == group.split()[-1]):
        meant = f"here it is `invert {instead}`; "
    else:
        near = nearest(typed, known)
        meant = f"did you mean `{group} {near}`? " if near else ""
    return f"no such command {name!r}; {meant}see `{group} --help`"


def plain(name: str) -> str:
    """A name in lower case, without dashes at the front, underscores and the suffix of a script."""
    return name.lstrip("-").replace("_", "-").lower().removesuffix(".py")
