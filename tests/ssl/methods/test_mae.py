"""MAE against its steps written out, and lightly's masked transformer."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from skysift.encoders import build_backbone
from skysift.errors import RequestError
from skysift.ssl.methods import MAE
from skysift.ssl.methods.mae import decode, draw_mask, encode, reconstruction
from skysift.ssl.network import Network
from tests.ssl.processes import together

OPTIONS = MAE(decoder_dim=32, decoder_depth=1, decoder_heads=2)
PLAIN, REGISTERS = "test_vit", "vit_wee_patch16_reg1_gap_256"


def vit(name: str = PLAIN, *, size: int = 32, channels: int = 1, patch: int = 8, depth: int = 2) -> nn.Module:
    return build_backbone(
        name, channels=channels, image_size=size, seed=3, arguments={"patch_size": patch, "depth": depth}
    )


def network(method: MAE = OPTIONS, **options: int) -> Network:
    backbone = vit(**options)
    torch.manual_seed(1)
    method.prepare(backbone, fresh=True)
    return Network(backbone, backbone.num_features, method, seed=1)


def images(count: int, *, channels: int = 1, size: int = 32, seed: int = 4) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed))


def patches_of(image: np.ndarray, side: int) -> np.ndarray:
    """Patches row by row; in each pixels by row, column, channel."""
    rows = []
    for y in range(0, image.shape[1], side):
        for x in range(0, image.shape[2], side):
            rows.append([image[c, y + i, x + j] for i in range(side) for j in range(side) for c in range(len(image))])
    return np.array(rows)


def written_out(painted: np.ndarray, pixels: np.ndarray, hidden: np.ndarray, side: int, normalise: bool) -> float:
    """Section 3 of He et al. 2022, patch by patch, in float64; patches without variation left out."""
    losses = []
    for guess, image, numbers in zip(painted, pixels, hidden, strict=True):
        wanted = patches_of(image, side)
        for row, number in zip(guess, numbers, strict=True):
            target = wanted[number]
            if np.ptp(target) == 0:
                continue
            if normalise:
                target = (target - target.mean()) / np.sqrt(target.var(ddof=1) + 1e-6)
            losses.append(np.mean((row - target) ** 2))
    return float(np.mean(losses))


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_loss_and_gradient_equal_the_written_out_formula(channels: int, normalise: bool) -> None:
    pixels = images(3, channels=channels)
    pixels[1, :, :8, :16] = 0  # two patches without data
    hidden = torch.tensor([[0, 5, 9], [1, 0, 2], [15, 3, 4]])
    painted = torch.randn(3, 3, 64 * channels, generator=torch.Generator().manual_seed(6)).requires_grad_()
    loss = reconstruction(painted, pixels, hidden, normalise)
    values = painted.detach().double().numpy(), pixels.double().numpy(), hidden.numpy()
    assert loss.item() == pytest.approx(written_out(*values, 8, normalise), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, painted)
    step = np.zeros_like(values[0])
    step[2, 1, 7] = 1e-4
    up, down = (written_out(values[0] + sign * step, *values[1:], 8, normalise) for sign in (1, -1))
    assert gradient[2, 1, 7].item() == pytest.approx((up - down) / 2e-4, rel=1e-3)
    assert torch.count_nonzero(gradient[1, :2]) == 0  # nothing to learn where nothing is
    assert torch.count_nonzero(gradient[1, 2]) > 0


def test_no_hidden_patch_varies() -> None:
    painted = torch.ones(2, 3, 64).requires_grad_()
    loss = reconstruction(painted, torch.zeros(2, 1, 32, 32), torch.tensor([[0, 1, 2]] * 2), True)
    loss.backward()
    assert loss.item() == 0


@pytest.mark.parametrize("name", [PLAIN, REGISTERS])
def test_encoder_is_lightlys_masked_transformer(name: str) -> None:
    from lightly.models.modules import MaskedVisionTransformerTIMM

    backbone = vit(name).eval()
    mask = draw_mask(backbone, 3, 0.75, "cpu")
    tokens = encode(backbone, images(3), mask.seen)
    assert tokens.shape == (3, backbone.num_prefix_tokens + 4, backbone.num_features)
    if not backbone.no_embed_class:  # lightly can't encode places where prefix tokens have none
        twin = MaskedVisionTransformerTIMM(backbone, weight_initialization="skip", pos_embed_initialization="skip")
        torch.testing.assert_close(tokens, twin.encode(images(3), idx_keep=mask.seen))
    everything = torch.arange(backbone.num_prefix_tokens + 16).expand(3, -1)
    torch.testing.assert_close(encode(backbone, images(3), everything), backbone.forward_features(images(3)))


@pytest.mark.parametrize("name", [PLAIN, REGISTERS])
def test_mask_divides_the_patches_and_follows_the_generator(name: str) -> None:
    backbone = vit(name)
    prefix = backbone.num_prefix_tokens
    torch.manual_seed(5)
    mask = draw_mask(backbone, 6, 0.75, "cpu")
    assert (mask.seen.shape, mask.hidden.shape) == ((6, prefix + 4), (6, 12))
    assert (mask.seen[:, :prefix] == torch.arange(prefix)).all()
    both = torch.cat([mask.seen, mask.hidden], dim=1).sort(dim=1).values
    assert (both == torch.arange(prefix + 16)).all()
    assert len({tuple(row.tolist()) for row in mask.seen}) == 6
    torch.manual_seed(5)
    assert torch.equal(draw_mask(backbone, 6, 0.75, "cpu").seen, mask.seen)


def test_step_is_encoding_painting_and_comparing_written_out() -> None:
    net = network().eval()
    torch.manual_seed(9)
    step = net([images(5)])
    torch.manual_seed(9)
    mask = draw_mask(net.backbone, 5, 0.75, "cpu")
    heads, tokens = net.heads, encode(net.backbone, images(5), mask.seen)
    known, decoder = heads["embed"](tokens), heads["decoder"]
    painted = []
    for image in range(5):
        places = decoder.mask_token[0].repeat(17, 1)
        for place, token in zip(mask.seen[image], known[image], strict=True):
            places[place] = token
        out = decoder.norm(decoder.blocks(places[None] + decoder.pos_embed))[0]
        painted.append(heads["paint"](torch.stack([out[place] for place in mask.hidden[image]])))
    torch.testing.assert_close(decode(heads, tokens, mask), torch.stack(painted))
    values = torch.stack(painted).detach().double().numpy(), images(5).double().numpy(), (mask.hidden - 1).numpy()
    assert step.loss.item() == pytest.approx(written_out(*values, 8, True), rel=1e-5)
    torch.testing.assert_close(step.embeddings, tokens[:, 0])
    torch.testing.assert_close(step.projections[0], tokens[:, 1:3].mean(dim=1))
    torch.testing.assert_close(step.projections[1], tokens[:, 3:].mean(dim=1))


@pytest.mark.parametrize("options", [{"name": REGISTERS}, {"size": 48}, {"channels": 3}, {"patch": 4}])
def test_gradient_reaches_all_that_is_trained(options: dict[str, int]) -> None:
    net = network(**options)
    size, channels = options.get("size", 32), options.get("channels", 1)
    net([images(4, channels=channels, size=size)]).loss.backward()
    for name, weight in net.named_parameters():
        assert (weight.grad is not None) == weight.requires_grad, name
    still = {name for name, weight in net.named_parameters() if not weight.requires_grad}
    assert {"backbone.pos_embed", "heads.decoder.pos_embed"} <= still
    assert still <= {
        "backbone.pos_embed",
        "heads.decoder.pos_embed",
        "backbone.fc_norm.weight",
        "backbone.fc_norm.bias",
    }


@pytest.mark.parametrize("name", [PLAIN, REGISTERS])
def test_fresh_weights_know_the_places_and_those_of_a_model_stay(name: str) -> None:
    backbone = vit(name)
    before = backbone.pos_embed.clone()
    OPTIONS.prepare(backbone, fresh=False)
    assert torch.equal(backbone.pos_embed, before)
    OPTIONS.prepare(backbone, fresh=True)
    places = backbone.pos_embed[0, -16:]
    quarter = places.shape[1] // 4
    column = torch.arange(16) % 4
    torch.testing.assert_close(places[:, 0], column.sin(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(places[:, 2 * quarter], (torch.arange(16) // 4).sin(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("backbone", "size", "message"),
    [
        ("test_resnet", 32, "which ResNet is not: choose a vit_.* as --backbone vit_small_patch16_224"),
        ("test_vit3", 160, "pools by class token or mean"),
        ("test_vit", 40, "multiple of 16"),
        ("test_vit", 32, "at least two are seen"),
    ],
)
def test_what_can_not_be_masked_is_refused(backbone: str, size: int, message: str) -> None:
    module = build_backbone(backbone, channels=1, image_size=size)
    with pytest.raises(RequestError, match=message):
        OPTIONS.prepare(module, fresh=True)


@pytest.mark.parametrize("bad", [{"mask_ratio": 1.0}, {"decoder_dim": 30}, {"decoder_dim": 36, "decoder_heads": 5}])
def test_bad_options_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        MAE(**bad)


def test_defaults_are_the_papers() -> None:
    method = MAE()
    assert (method.mask_ratio, method.normalise, method.views) == (0.75, True, 1)
    assert (method.decoder_dim, method.decoder_depth, method.decoder_heads) == (512, 8, 16)


def loss_of(share: slice) -> dict[str, Tensor]:
    """Loss, and gradient of what was painted, of a share of six images, two of which are half empty."""
    pixels = images(6)
    pixels[:2, :, :16] = 0
    hidden = torch.arange(12).expand(6, -1)
    painted = torch.randn(6, 12, 64, generator=torch.Generator().manual_seed(6))[share].requires_grad_()
    loss = reconstruction(painted, pixels[share], hidden[share], True)
    loss.backward()
    return {"loss": loss.detach(), "gradient": painted.grad}


@pytest.mark.slow
def test_two_processes_have_the_loss_and_gradient_of_one(tmp_path: Path) -> None:
    alone = loss_of(slice(None))
    one, two = together(Path(__file__), tmp_path)
    assert (one["loss"] + two["loss"]).item() / 2 == pytest.approx(alone["loss"].item(), rel=1e-5)
    torch.testing.assert_close(torch.cat([one["gradient"], two["gradient"]]) / 2, alone["gradient"])


if __name__ == "__main__":
    from tests.ssl.processes import member

    member(Path(sys.argv[1]), lambda rank: loss_of(slice(3 * rank, 3 * rank + 3)))
