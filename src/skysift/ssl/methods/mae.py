"""MAE: paint in the three quarters of an image that are hidden (He et al. 2022, arXiv:2111.06377)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, PositiveInt, model_validator

from skysift.ssl.methods.base import Method, Step

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network

EXAMPLE = "vit_small_patch16_224"


class MAE(Method):
    """Options of the masked autoencoder; the defaults are the paper's.

    Patches without any variation, that is of pixels without data (which hold 0) or all below the augmentation's
    threshold, do not count: there is nothing to paint in. A patch that is partly without data counts as it is.
    """

    views: ClassVar[int] = 1
    least_spread: ClassVar[float] = 1e-4
    """What all images share outweighs what tells them apart in a healthy run too: 0.005 to 0.1 are usual."""
    training: ClassVar[Mapping[str, Any]] = MappingProxyType({"optimizer": "adamw", "lr": 5e-4})

    name: Literal["mae"] = "mae"
    mask_ratio: float = Field(0.75, gt=0, lt=1, description="Share of the patches that are hidden.")
    decoder_dim: PositiveInt = Field(512, description="Width of the decoder.")
    decoder_depth: PositiveInt = Field(8, description="Layers of the decoder.")
    decoder_heads: PositiveInt = Field(16, description="Attention heads of the decoder.")
    normalise: bool = Field(True, description="Compare pixels with each patch's mean and scatter taken off.")

    @model_validator(mode="after")
    def _fitting(self) -> MAE:
        if self.decoder_dim % 4 or self.decoder_dim % self.decoder_heads:
            raise ValueError(
                f"decoder_dim ({self.decoder_dim}) must be a multiple of 4 and of decoder_heads ({self.decoder_heads})"
            )
        return self

    def prepare(self, backbone: nn.Module, *, fresh: bool) -> None:
        """Refuse what is no plain vision transformer; draw initial weights as the paper does.

        That is: sines and cosines of the patch's place, which are not trained, and Xavier's weights elsewhere.
        """
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.modules import MaskedVisionTransformerTIMM
        from lightly.models.utils import initialize_2d_sine_cosine_positional_embedding
        from timm.models.vision_transformer import VisionTransformer

        from skysift.errors import RequestError

        if type(backbone) is not VisionTransformer or backbone.attn_pool is not None or backbone.pos_embed is None:
            raise RequestError(
                f"method mae hides patches from a plain vision transformer, which {type(backbone).__name__} is not: "
                f"choose a vit_* of timm that pools by class token or mean, as --backbone {EXAMPLE}"
            )
        patches = int((1 - self.mask_ratio) * backbone.patch_embed.num_patches)
        height, width = backbone.patch_embed.img_size
        side = backbone.patch_embed.patch_size[0]
        if height % side or width % side or patches < 2:
            raise RequestError(
                f"method mae can't cut {height} pixels into patches of {side} of which at least two are seen: choose "
                f"an --image-size that is a multiple of {side}, large enough, or a backbone with smaller patches"
            )
        if fresh:
            MaskedVisionTransformerTIMM(backbone, pos_embed_initialization="skip")
            first = 0 if backbone.no_embed_class else backbone.num_prefix_tokens
            initialize_2d_sine_cosine_positional_embedding(backbone.pos_embed, num_prefix_tokens=first)
        backbone.pos_embed.requires_grad_(False)
        backbone.fc_norm.requires_grad_(False)  # behind the pool, where the loss does not look

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:
        """Return the decoder between two linear layers."""
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.modules.masked_vision_transformer_decoder_timm import MaskedVisionTransformerDecoderTIMM
        from torch import nn

        vit: Any = backbone
        width = self.decoder_dim
        decoder = MaskedVisionTransformerDecoderTIMM(
            vit.patch_embed.num_patches,
            width,
            self.decoder_depth,
            self.decoder_heads,
            num_prefix_tokens=vit.num_prefix_tokens,
        )
        pixels = vit.patch_embed.patch_size[0] ** 2 * vit.patch_embed.proj.in_channels
        embed, paint = nn.Linear(dim, width), nn.Linear(width, pixels)
        for layer in (embed, paint):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        return nn.ModuleDict({"embed": embed, "decoder": decoder, "paint": paint})

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Compute the loss for one view (B, C, S, S) of each image.

        The projections that are watched for collapse are the means over either half of the patches that were seen.
        """
        (images,) = views
        vit: Any = network.backbone
        mask = draw_mask(vit, len(images), self.mask_ratio, images.device)
        tokens = encode(vit, images, mask.seen)
        painted = decode(network.heads, tokens, mask)
        loss = reconstruction(painted, images, mask.hidden - vit.num_prefix_tokens, self.normalise)
        patches = tokens[:, vit.num_prefix_tokens :].float()
        first, second = patches.tensor_split(2, dim=1)
        return Step(loss, vit.forward_head(tokens, pre_logits=True), (first.mean(dim=1), second.mean(dim=1)))


class Mask(NamedTuple):
    """Which tokens of each image the encoder sees; all indices count prefix tokens (class, registers)."""

    seen: Tensor
    """(B, prefix + n), prefix tokens first, patches in random order."""
    hidden: Tensor
    """(B, N - n)."""


def draw_mask(vit: Any, count: int, ratio: float, device: Any) -> Mask:
    """Draw patches to hide from torch's generator, which the loop seeds at every step."""
    from skysift.encoders._torchvision import ensure

    ensure()
    import torch
    from lightly.models.utils import random_token_mask

    prefix = vit.num_prefix_tokens
    shape = count, vit.patch_embed.num_patches
    seen, hidden = random_token_mask(shape, mask_ratio=ratio, mask_class_token=True, device=device)
    always = torch.arange(prefix, device=device).expand(count, -1)
    return Mask(torch.cat([always, seen + prefix], dim=1), hidden + prefix)


def encode(vit: Any, images: Tensor, seen: Tensor) -> Tensor:
    """Let a transformer of timm see some of its tokens: (B, C, S, S), (B, n) -> (B, n, D)."""
    from skysift.encoders._torchvision import ensure

    ensure()
    from lightly.models.utils import get_at_index

    tokens = vit._pos_embed(vit.patch_embed(images))
    out: Tensor = vit.norm(vit.blocks(vit.norm_pre(get_at_index(tokens, seen))))
    return out


def decode(heads: nn.ModuleDict, tokens: Tensor, mask: Mask) -> Tensor:
    """Paint the hidden patches from the seen tokens (B, n, D): (B, N - n, pixels)."""
    from skysift.encoders._torchvision import ensure

    ensure()
    from lightly.models.utils import get_at_index, set_at_index

    decoder: Any = heads["decoder"]
    known = heads["embed"](tokens)
    blank = decoder.mask_token.to(known.dtype).expand(len(tokens), decoder.sequence_length, -1)
    filled = decoder.decode(decoder.add_pos_embed(set_at_index(blank, mask.seen, known)))
    painted: Tensor = heads["paint"](get_at_index(filled, mask.hidden))
    return painted


def reconstruction(painted: Tensor, images: Tensor, hidden: Tensor, normalise: bool) -> Tensor:
    """Return the mean squared error over the hidden patches that vary (section 3 of the paper).

    Parameters
    ----------
    painted : Tensor
        (B, M, pixels), pixels by row, column, channel.
    images : Tensor
        (B, C, S, S).
    hidden : Tensor
        (B, M), numbers of patches, row by row.
    normalise : bool
        Take mean and standard deviation of each patch off first.

    Returns
    -------
    Tensor
        Scalar, float32. Its mean over processes is the mean over all patches of all processes.
    """
    from skysift.encoders._torchvision import ensure

    ensure()
    from lightly.models.utils import get_at_index, normalize_mean_var, patchify

    from skysift.ssl.distributed import mean_over_processes

    side = round((painted.shape[2] / images.shape[1]) ** 0.5)
    wanted = get_at_index(patchify(images.float(), side), hidden)
    varies = (wanted.amax(dim=2) > wanted.amin(dim=2)).float()
    if normalise:
        wanted = normalize_mean_var(wanted)
    error = (painted.float() - wanted).square().mean(dim=2)
    counted = mean_over_processes(varies.sum()).clamp_min(1)
    return (error * varies).sum() / counted
