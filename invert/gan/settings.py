"""How a generator is trained: every default stands here."""

from __future__ import annotations

from dataclasses import dataclass

from invert.arguments import check_integer, check_kinds, check_number
from invert.errors import UsageError
from invert.gan.crops import CropSettings
from invert.latent_maps.kinds import kinds_of, largest_side, new_latent_map
from invert.latents.spaces import Space
from invert.networks.initialize import width_at

MAX_RESOLUTION = 1024


@dataclass(frozen=True)
class GanSettings:
    """Widths, losses and rates.

    Losses and rates are those of StyleGAN2-ADA's automatic configuration; widths are those of small
    networks for a CPU. For the official ones: channel_base 32768, channel_max 512, z_dim and w_dim
    512, mapping_layers 8. Raises :class:`UsageError` for values out of range.
    """

    # The networks.
    space: str = "Z"  # Z: a learned constant; FNZ3, FNZ5, …: F_i is drawn from the latent map
    latent: str = "blurred"  # the latent map of FNZ_i
    resolution: int = 64
    channel_base: int = 1024  # width at resolution r is min(channel_base / r, channel_max)
    channel_max: int = 64
    z_dim: int = 128
    w_dim: int = 128
    mapping_layers: int = 2

    # Which crops are drawn (see `CropSettings`).
    min_detail: float = 0.0
    max_blue: float = 1.0
    mirror: bool = False
    turn: bool = False

    # Adam and the losses.
    batch: int = 16
    lr: float = 0.0025
    gamma: float | None = None  # of R1; None: 0.0002 · resolution² / batch
    r1_every: int = 16  # steps; the penalty then counts as many times (lazy regularization [K])
    path_weight: float = 2.0
    path_every: int = 4
    path_shrink: int = 2  # the penalty sees a batch this many times smaller
    mixing: float = 0.9  # probability of style mixing
    group: int = 4  # samples per group of the minibatch standard deviation

    # The average of the generator's weights, which is the result: its half-life in images, at most
    # `ema_ramp` of what training has seen.
    ema_images: int | None = None  # None: 312 batches, as StyleGAN2-ADA has
    ema_ramp: float = 0.05

    ada_target: float = 0.6  # mean sign of the logits of real images; 0: nothing is augmented
    half: bool | None = None  # bfloat16 in convolutions; None: where that is faster
    seed: int = 0

    def __post_init__(self) -> None:
        check_kinds(self)

        # The space.
        space = Space.parse(self.space)
        first = space.first
        if str(space) not in ("Z", f"FNZ{first}") or (str(space) != "Z" and first % 2 == 0):
            raise UsageError(
                f"space is Z (a learned constant) or FNZ3, FNZ5, … (F_i is drawn), got {self.space}"
            )
        if self.resolution not in (8 << k for k in range(8)):
            raise UsageError(f"resolution is 8, 16, … {MAX_RESOLUTION}, got {self.resolution}")
        if self.start_size > self.resolution:
            raise UsageError(
                f"{space} begins at {self.start_size} cells, more than {self.resolution} px"
            )

        # The latent map; its name is right even where it is not drawn from.
        kinds_of(self.latent)
        if first > 1:
            if self.start_size > (most := largest_side(self.latent)):
                raise UsageError(
                    f"latent {self.latent} is for F_i of at most {most:g} cells a side, that of "
                    f"{space} has {self.start_size}; choose an earlier space, or another latent"
                )
            channels = width_at(self.start_size, self.channel_base, self.channel_max)
            new_latent_map(self.latent, channels, self.start_size)

        # Ranges.
        for name, low, high in (
            ("channel_base", self.resolution, 1 << 20),
            ("channel_max", 1, 4096),
            ("z_dim", 1, 4096),
            ("w_dim", 1, 4096),
            ("mapping_layers", 1, 16),
            ("batch", 1, 4096),
            ("r1_every", 1, 1_000_000),
            ("path_every", 1, 1_000_000),
            ("path_shrink", 1, 4096),
            ("group", 1, 4096),
            ("ema_images", 0, 1 << 40),
            ("seed", 0, 2**31 - 1),
        ):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), low, high)
        for name, least, most in (
            ("min_detail", 0.0, 255.0),
            ("max_blue", 0.0, 1.0),
            ("lr", 1e-8, 1.0),
            ("gamma", 0.0, 1e6),
            ("path_weight", 0.0, 1e6),
            ("mixing", 0.0, 1.0),
            ("ema_ramp", 0.0, 1e6),
            ("ada_target", 0.0, 1.0),
        ):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), least, most)
        if self.batch % min(self.group, self.batch):
            raise UsageError(
                f"batch is a multiple of group ({self.group}), or smaller; got {self.batch}"
            )

    @property
    def first(self) -> int:
        """The first layer that there is: i of FNZ_i, or 1."""
        return Space.parse(self.space).first

    @property
    def start_size(self) -> int:
        """Cells per side of what training starts from: F_i, or the constant."""
        return 4 << ((self.first - 1) // 2)

    @property
    def r1_gamma(self) -> float:
        """γ of R1."""
        return 0.0002 * self.resolution**2 / self.batch if self.gamma is None else self.gamma

    @property
    def half_life(self) -> float:
        """Of the average of weights, in images."""
        return self.batch * 312.5 if self.ema_images is None else self.ema_images

    @property
    def crops(self) -> CropSettings:
        """Which crops are drawn."""
        return CropSettings(
            self.resolution, self.min_detail, self.max_blue, mirror=self.mirror, turn=self.turn
        )
