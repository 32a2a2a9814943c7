"""Features of a small survey: right, reproducible, resumed, and refused."""

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Merge, Pack
from skysift.encoders import load_encoder, save_encoder
from skysift.encoders.backbones import build_backbone
from skysift.encoders.encoder import Encoder
from skysift.errors import RequestError, SkysiftError
from skysift.features import extract, extract_rows, passes
from skysift.features.stages import Features
from skysift.imaging import Preprocess, preprocess
from skysift.store.artifact import Artifact
from skysift.store.store import Store
from skysift.store.work import Threads
from skysift.tables import FeatureTable

TINY: dict[str, Any] = {"encoder": "timm:test_resnet", "weights": "random", "image_size": 32}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks for the 164 cutouts."""
    monkeypatch.setattr(extract, "BLOCK_ROWS", 48)


def files(artifact: Artifact) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in artifact.folder.iterdir() if p.name != "run.json"}


def test_rows_are_the_encoders_answer_to_each_cutout(store: Store, cutouts: Artifact, small_blocks: None) -> None:
    made = store.run(Features(cutouts=cutouts.id, seed=3, **TINY))
    table = FeatureTable.open(made)
    encoder = load_encoder("timm:test_resnet", weights="random", seed=3, image_size=32).to("cpu")
    pixels = PixelSource.open(cutouts, store.sources.locate)
    assert made.counts == {"rows": len(pixels), "dim": encoder.dim}
    with torch.inference_mode():
        for row in (0, 17, 100, len(pixels) - 1):
            expected = encoder.encode(preprocess(pixels.read([row]), encoder.preprocess))[0].numpy()
            np.testing.assert_allclose(table.array[row], expected, rtol=1e-4, atol=1e-5)
    for name in ("catalogue.parquet", "mosaics.parquet"):
        assert made.path(name).read_bytes() == cutouts.path(name).read_bytes()
    said = json.loads(made.path("features.json").read_text())
    assert said["encoder"]["weights"] == encoder.digest()
    assert said["encoder"]["preprocess"]["preset_name"] == "riggi2024"
    assert made.run["runtime"]["images_per_second"] > 0


def test_eight_orientations_know_no_up_or_down(store: Store, cutouts: Artifact) -> None:
    made = FeatureTable.open(store.run(Features(cutouts=cutouts.id, seed=3, orientations=8, **TINY)))
    encoder = load_encoder("timm:test_resnet", weights="random", seed=3, image_size=32).to("cpu")
    pixels = PixelSource.open(cutouts, store.sources.locate)
    image = preprocess(pixels.read([17]), encoder.preprocess)
    eight = [image, image.flip(2), image.flip(3), image.flip(2, 3)]
    eight += [turned.transpose(2, 3) for turned in eight]
    with torch.inference_mode():
        expected = encoder.encode(torch.cat(eight)).mean(0).numpy()
        one = encoder.encode(image)[0].numpy()
    np.testing.assert_allclose(made.array[17], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(one - expected).max() > 1e-3


def test_equal_bytes_for_any_number_of_workers_threads_and_batch_size(
    store: Store, cutouts: Artifact, mosaic: Path, tmp_path: Path
) -> None:
    first = store.run(Features(cutouts=cutouts.id, **TINY), engine=Threads(1))
    before = torch.get_num_threads()
    for number, (threads, workers, batch) in enumerate([(1, 2, 5), (3, 3, 64)]):
        torch.set_num_threads(threads)
        try:
            other = Store(tmp_path / f"other{number}")
            from skysift.cutouts.stages import Cutouts

            same = other.run(Cutouts(mosaics=(str(mosaic),), window_size=(32,), overlap=0.5))
            again = other.run(Features(cutouts=same.id, batch_size=batch, **TINY), engine=Threads(workers))
        finally:
            torch.set_num_threads(before)
        assert again.id == first.id
        assert files(again) == files(first)


class Remote(Threads):
    """Threads that say they are far away."""

    remote = True


def test_equal_bytes_from_remote_workers(store: Store, cutouts: Artifact, tmp_path: Path, small_blocks: None) -> None:
    here = extract_rows(
        load_encoder("timm:test_resnet", weights="random", image_size=32),
        PixelSource.open(cutouts, store.sources.locate),
        device="cpu",
    )
    there = store.run(Features(cutouts=cutouts.id, **TINY), engine=Remote(2), device="cpu")
    np.testing.assert_array_equal(FeatureTable.open(there).array, here)


def test_pack_and_merge_have_the_same_features(store: Store, cutouts: Artifact) -> None:
    plain = store.run(Features(cutouts=cutouts.id, **TINY))
    for stage in (Pack(cutouts=cutouts.id), Merge(catalogues=(cutouts.id,))):
        other = store.run(Features(cutouts=store.run(stage).id, **TINY))
        np.testing.assert_array_equal(FeatureTable.open(other).array, FeatureTable.open(plain).array)
        assert other.id != plain.id


def test_float16_is_float32_rounded(store: Store, cutouts: Artifact) -> None:
    single = FeatureTable.open(store.run(Features(cutouts=cutouts.id, **TINY)))
    half = FeatureTable.open(store.run(Features(cutouts=cutouts.id, dtype="float16", **TINY)))
    assert half.array.dtype == np.float16
    np.testing.assert_array_equal(half.array, single.array.astype(np.float16))


def test_bfloat16_is_close_but_another_request(store: Store, cutouts: Artifact) -> None:
    exact = store.run(Features(cutouts=cutouts.id, **TINY))
    coarse = store.run(Features(cutouts=cutouts.id, precision="bfloat16", **TINY))
    a, b = FeatureTable.open(exact).array, FeatureTable.open(coarse).array
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert 0.999 < cosine.min() < 1
    assert coarse.id != exact.id
    assert b.dtype == np.float32


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int) -> Callable[[], int]:
    """Let the encoder fail after some passes; returns a counter of passes."""
    count = 0
    real = passes._pass

    def counted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count > after:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(passes, "_pass", counted)
    return lambda: count


def test_carries_on_where_it_was_stopped(
    store: Store, cutouts: Artifact, tmp_path: Path, mosaic: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Features(cutouts=cutouts.id, **TINY)
    with monkeypatch.context() as patch:
        interrupted(patch, after=7)  # two blocks of three passes, and one more pass
        with pytest.raises(BaseException, match="carries on"):
            store.run(stage, engine=Threads(1))
    assert not list((store.root / "features").glob("*")) if (store.root / "features").exists() else True
    with monkeypatch.context() as patch:
        passed = interrupted(patch, after=10**6)
        resumed = store.run(stage, engine=Threads(1))
    assert passed() == 5  # 68 of 164 rows in two blocks: 3 + 2 passes
    other = Store(tmp_path / "other")
    from skysift.cutouts.stages import Cutouts

    whole = other.run(
        Features(cutouts=other.run(Cutouts(mosaics=(str(mosaic),), window_size=(32,), overlap=0.5)).id, **TINY)
    )
    assert whole.id == resumed.id
    assert files(whole) == files(resumed)


def ours(folder: Path, seed: int = 5) -> Path:
    spec = Preprocess.preset("minmax", size=32, channels=1)
    backbone = build_backbone("test_resnet", channels=1, seed=seed)
    save_encoder(Encoder.of_backbone(backbone, "test_resnet", spec), folder)
    return folder


def test_a_folder_enters_by_content_not_by_path(store: Store, cutouts: Artifact, tmp_path: Path) -> None:
    first = Features(cutouts=cutouts.id, encoder=str(ours(tmp_path / "a")))
    second = Features(cutouts=cutouts.id, encoder=str(ours(tmp_path / "b")))
    third = Features(cutouts=cutouts.id, encoder=str(ours(tmp_path / "c", seed=6)))
    assert store.identify(first) == store.identify(second)
    assert store.identify(first) != store.identify(third)
    table = FeatureTable.open(store.run(first))
    encoder = load_encoder(str(tmp_path / "a"))
    pixels = PixelSource.open(cutouts, store.sources.locate)
    np.testing.assert_array_equal(table.array, extract_rows(encoder, pixels, device="cpu"))
    assert str(tmp_path) not in (table.folder / "features.json").read_text()


def test_a_model_of_the_store_is_an_input(store: Store, cutouts: Artifact, tmp_path: Path) -> None:
    from skysift.encoders.stages import ImportWeights

    with torch.random.fork_rng(devices=[]):
        torch.save(build_backbone("test_resnet", seed=8).state_dict(), tmp_path / "w.pth")
    options: dict[str, Any] = {"backbone": "test_resnet", "image_size": 32, "preprocess": "minmax"}
    model = store.run(ImportWeights(file=str(tmp_path / "w.pth"), **options))
    store.name(model.id, "mine")
    made = store.run(Features(cutouts=cutouts.id, encoder="mine"))
    assert set(made.inputs) == {cutouts.id, model.id}
    told = json.loads(made.path("features.json").read_text())["encoder"]
    assert told["name"] == model.id
    assert (told["image_size"], told["preprocess"]["size"]) == (32, 32)  # as it was made for, whatever the defaults
    assert store.run(Features(cutouts=cutouts.id, model=model.id[:9])).id == made.id
    untrained = store.run(Features(cutouts=cutouts.id, encoder="mine", weights="random"))
    assert untrained.id != made.id
    with pytest.raises(RequestError, match=r"needs model as model, but .* is a cutouts"):
        store.run(Features(cutouts=cutouts.id, encoder=cutouts.id))


def test_local_weights_of_timm_and_transformers(store: Store, cutouts: Artifact, tmp_path: Path) -> None:
    import transformers

    torch.save(build_backbone("test_resnet", seed=8).state_dict(), tmp_path / "w.pth")
    stage = Features(
        cutouts=cutouts.id, encoder="timm:test_resnet", weights_from=str(tmp_path / "w.pth"), image_size=32
    )
    random = store.run(Features(cutouts=cutouts.id, seed=8, **TINY))
    np.testing.assert_array_equal(FeatureTable.open(store.run(stage)).array, FeatureTable.open(random).array)
    config = transformers.ViTConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    transformers.ViTModel(config).save_pretrained(tmp_path / "vit")
    vit = store.run(Features(cutouts=cutouts.id, encoder=f"hf:{tmp_path / 'vit'}", image_size=32))
    assert vit.counts["dim"] == 16
    assert vit.config["encoder"] == "hf:local"
    assert "comes without preprocessor_config.json" in vit.run["warnings"][0]


def test_refusals(store: Store, cutouts: Artifact, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such file or folder"):
        store.run(Features(cutouts=cutouts.id, encoder="/nowhere/model"))
    with pytest.raises(RequestError, match="did you mean resnet18"):
        store.run(Features(cutouts=cutouts.id, encoder="timm:resnt18"))
    with pytest.raises(RequestError, match="--device cuda:77"):
        store.run(Features(cutouts=cutouts.id, **TINY), device="cuda:77")
    assert not list(store.root.glob("features/*"))


def test_features_that_are_not_finite_are_refused(
    store: Store, cutouts: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = passes._pass

    def huge(encoder: Encoder, pixels: PixelSource, rows: range, *options: Any) -> Any:
        features = real(encoder, pixels, rows, *options)
        if 20 in rows:
            features[20 - rows.start, 3] = 1e5
        return features

    monkeypatch.setattr(passes, "_pass", huge)
    with pytest.raises(SkysiftError, match="cutout 20 are not finite in float16; use float32"):
        store.run(Features(cutouts=cutouts.id, dtype="float16", **TINY))
    monkeypatch.setattr(passes, "_pass", lambda e, p, rows, *_: np.full((len(rows), e.dim), np.nan, np.float32))
    with pytest.raises(SkysiftError, match=r"cutout 0 .* another encoder or preprocessing"):
        store.run(Features(cutouts=cutouts.id, seed=1, **TINY))


def test_cutouts_of_many_sizes() -> None:
    """Boxes about sources have sizes of their own."""

    class Some:
        def __len__(self) -> int:
            return 5

        def read(self, rows: Any) -> list[np.ndarray]:
            return [np.random.default_rng(row).normal(size=(20 + row, 30)).astype(np.float32) for row in rows]

    encoder = load_encoder("timm:test_resnet", weights="random", image_size=32)
    features = extract_rows(encoder, Some(), device="cpu")  # type: ignore[arg-type]
    assert features.shape == (5, encoder.dim)
    one = extract_rows(encoder, Some(), range(3, 4), device="cpu")  # type: ignore[arg-type]
    np.testing.assert_allclose(one[0], features[3], rtol=1e-4, atol=1e-5)
    assert extract_rows(encoder, Some(), range(0), device="cpu").shape == (0, encoder.dim)  # type: ignore[arg-type]


def test_the_gpus_loop_gives_the_same_numbers(store: Store, cutouts: Artifact) -> None:
    """The loop that feeds a GPU, run on the CPU."""
    encoder = load_encoder("timm:test_resnet", weights="random", image_size=32)
    pixels = PixelSource.open(cutouts, store.sources.locate)
    groups = [range(0, 60), range(60, 120), range(120, len(pixels))]
    stream: Iterator[np.ndarray] = passes._on_gpu(encoder, pixels, groups, torch.device("cpu"), "float32", 1)
    found = list(stream)
    assert [len(f) for f in found] == [len(g) for g in groups]
    expected = extract_rows(encoder, pixels, device="cpu")
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cpu_and_gpu_agree(store: Store, cutouts: Artifact) -> None:
    encoder = load_encoder("timm:test_resnet", weights="random", image_size=32)
    pixels = PixelSource.open(cutouts, store.sources.locate)
    cpu = extract_rows(encoder, pixels, device="cpu")
    gpu = extract_rows(encoder, pixels, device="cuda")
    cosine = (cpu * gpu).sum(1) / np.linalg.norm(cpu, axis=1) / np.linalg.norm(gpu, axis=1)
    assert cosine.min() > 0.9999


def test_work_for_remote_workers_can_be_sent(store: Store, cutouts: Artifact, tmp_path: Path) -> None:
    request = extract.Request("timm:test_resnet", weights="random", image_size=32)
    pixels = PixelSource.open(cutouts, store.sources.locate)
    options = extract.Options("cpu", None, "float32", "float16")
    work = pickle.loads(pickle.dumps(partial(extract.extract_shard, request, pixels, options)))
    work(range(40, 50), tmp_path / "a.npy")
    expected = extract_rows(request.load(), pixels, range(40, 50), device="cpu")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected.astype(np.float16))


SCRIPT = """
import sys
from skysift.features import extract
from skysift.features.stages import Features
from skysift.store.store import Store
extract.BLOCK_ROWS = 16
stage = Features(cutouts=sys.argv[2], encoder="timm:test_resnet", weights="random", image_size=96)
print(Store(sys.argv[1]).run(stage, device="cpu").id)
"""


@pytest.mark.slow
def test_killed_outright_and_started_again(store: Store, cutouts: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Features(cutouts=cutouts.id, encoder="timm:test_resnet", weights="random", image_size=96)
    journal = store.partial / store.identify(stage) / ".scratch" / "features.npy.blocks"
    command = [sys.executable, "-c", SCRIPT, str(store.root), cutouts.id]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (journal.exists() and journal.read_text().count(";") >= 2):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
    assert journal.read_text().count(";") < 11, "it was over before it could be killed"
    monkeypatch.setattr(extract, "BLOCK_ROWS", 16)
    made = store.run(stage, device="cpu")
    assert len(made.id) == 32
    encoder = load_encoder("timm:test_resnet", weights="random", image_size=96)
    pixels = PixelSource.open(cutouts, store.sources.locate)
    np.testing.assert_array_equal(FeatureTable.open(made).array, extract_rows(encoder, pixels, device="cpu"))


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore::skysift.errors.SkysiftWarning")
def test_first_fields(store: Store, data_dir: Path) -> None:
    """Real fields, some with strips of no data: every cutout gets features, no two cutouts the same."""
    from skysift.cutouts.stages import Cutouts

    paths = tuple(str(p) for p in sorted((data_dir / "first").glob("*.fits.gz"))[:12])
    made = store.run(Cutouts(mosaics=paths, window_size=(128,), overlap=0.5))
    table = FeatureTable.open(store.run(Features(cutouts=made.id, **TINY)))
    assert len(table) == made.counts["rows"]
    assert np.isfinite(table.array).all()
    assert len(np.unique(table.array, axis=0)) == len(table)
