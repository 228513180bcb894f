"""A checkpoint with its tensors in float16, as those that come with the package.

python tools/half_network.py IN.safetensors OUT.safetensors
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from invert.checkpoints import fingerprint, read_checkpoint
from invert.checkpoints.ours import write_checkpoint


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(source: Path, output: Path) -> None:
    checkpoint = read_checkpoint(source)
    half = {name: tensor.half() for name, tensor in checkpoint.tensors.items()}
    write_checkpoint(output, replace(checkpoint, tensors=half))

    # The rounded weights are another network than those before.
    written = read_checkpoint(output)
    identity = fingerprint(written.tensors, written.config)
    click.echo(f"{output}  {output.stat().st_size} bytes, fingerprint {identity}")


if __name__ == "__main__":
    main()
