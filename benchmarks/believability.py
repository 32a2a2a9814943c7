"""How well can simulated cutouts be told from real ones?

    python benchmarks/believability.py [--data DIR] [--figure FILE] [--ablate] [--write] [--repeats N]

Real FIRST fields (MiraBest radio galaxies, 5.4 arcsec beam, 1.8 arcsec pixels) are cut about their centres; for each,
simulated cutouts are made with a radio galaxy of the same class, flux and angular size in the same noise. Both go
through the same stretch. A classifier on frozen features (a seeded random-weights resnet18, and simple statistics of a
radio image) then tries to tell them apart: the area under its cross-validated ROC curve is 0.5 where it cannot. The
folds keep a real cutout and its simulated twins together. Printed beside it: which statistics give the simulation away.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy import ndimage
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.record import write_result  # noqa: E402
from skysift.sky.simulate.config import SurveyConfig  # noqa: E402
from skysift.sky.simulate.frames import galaxy_frame  # noqa: E402

SIDE = 128
TWINS = 3
CLASSES = {"100": "fr1", "102": "wat", "104": "nat", "110": "fr1", "112": "wat"}
SCALARS: dict[str, Callable[[Cutout], float]] = {}


class Cutout:
    """One cutout in units of its own noise, with what several statistics share."""

    def __init__(self, image: np.ndarray) -> None:
        valid = np.isfinite(image)
        median = np.median(image[valid])
        self.rms = 1.4826 * float(np.median(np.abs(image[valid] - median)))
        self.z = np.where(valid, (image - median) / self.rms, 0.0)
        self.valid = valid
        self.mean = float(image[valid].mean() / self.rms)
        self.islands, self.number = ndimage.label(self.z > 5, structure=np.ones((3, 3)))
        self.sky = valid & ~ndimage.binary_dilation(np.abs(self.z) > 4, iterations=6)
        y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
        self.r = np.hypot(x, y)
        size = np.bincount(self.islands.ravel(), minlength=2)
        size[0] = 0
        self.main = self.islands == int(size.argmax())

    def correlation(self, dy: int, dx: int) -> float:
        """Autocorrelation of the source-free sky at a lag."""
        a = self.z[max(0, dy) :, max(0, dx) :][: SIDE - abs(dy), : SIDE - abs(dx)]
        b = self.z[: SIDE - dy, : SIDE - dx]
        both = self.sky[dy:, dx:] & self.sky[: SIDE - dy, : SIDE - dx]
        if both.sum() < 200:
            return 0.0
        return float((a * b)[both].mean() / (self.z[self.sky] ** 2).mean())

    def power(self) -> np.ndarray:
        """Power spectrum of the source-free sky in rings and in twelve directions."""
        spectrum = np.abs(np.fft.fftshift(np.fft.fft2(np.where(self.sky, self.z, 0)))) ** 2
        return spectrum / spectrum.sum()


def radio_statistics(cutout: Cutout) -> dict[str, float]:
    """Numbers that a radio astronomer would look at, from one cutout."""
    z, sky = cutout.z, cutout.z[cutout.sky]
    sky = sky if sky.size > 500 else z[cutout.valid]
    bright = np.sort(z[cutout.valid])[::-1]
    peak = float(bright[0])
    found = {
        "peak": np.log10(peak),
        "second_moment": float(np.log10((np.clip(z, 0, None) * cutout.r**2).sum() / np.clip(z, 0, None).sum())),
        "mean_over_rms": cutout.mean,
        "sky_std": float(sky.std()),
        "sky_skew": float((sky**3).mean() / sky.std() ** 3),
        "sky_kurtosis": float((sky**4).mean() / sky.std() ** 4),
        "sky_low_tail": float(np.quantile(sky, 0.002)),
        "sky_high_tail": float(np.quantile(sky, 0.998)),
        "deepest_hole": float(np.log10(-min(z.min(), -1e-3))),
        "hole_over_peak": float(np.log10(-min(z.min(), -1e-3) / peak)),
        "bowl": float(np.median(z[_shell(cutout, 4, 10)])),
        "shell_rms": float(z[_shell(cutout, 4, 10)].std()),
        "far_rms": float(z[_shell(cutout, 20, 200)].std()),
        "concentration": float(bright[:30].sum() / max(bright[bright > 3].sum(), 1e-9)),
        "islands": float(np.log1p(cutout.number)),
        "above_3": float(np.log10((z > 3).mean() + 1e-5)),
        "above_5": float(np.log10((z > 5).mean() + 1e-5)),
        "above_20": float(np.log10((z > 20).mean() + 1e-5)),
        "below_3": float(np.log10((z < -3).mean() + 1e-5)),
        "main_gini": _gini(z[cutout.main]),
        "main_edge": float(np.median(np.hypot(*np.gradient(z))[cutout.main]) / max(z[cutout.main].mean(), 1e-9)),
        "main_laplace": float(np.abs(ndimage.laplace(z))[cutout.main].mean() / max(z[cutout.main].mean(), 1e-9)),
    }
    for dy, dx in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 1), (0, 4), (4, 0), (4, 4), (0, 8), (8, 0)):
        found[f"acf_{dy}_{dx}"] = cutout.correlation(dy, dx)
    power = cutout.power()
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    k, angle = np.hypot(x, y), np.arctan2(y, x) % np.pi
    for low, high in ((1, 4), (4, 10), (10, 20), (20, 32), (32, 45), (45, 64)):
        found[f"power_{low}_{high}"] = float(np.log10(power[(k >= low) & (k < high)].sum() + 1e-9))
    middle = (k > 4) & (k < 24)
    sectors = [power[middle & (angle >= a) & (angle < a + np.pi / 12)].mean() for a in np.arange(12) * np.pi / 12]
    found["power_uneven"] = float(np.std(sectors) / np.mean(sectors))
    return found


def _shell(cutout: Cutout, low: float, high: float) -> np.ndarray:
    """Pixels between two distances from what is brighter than five times the noise."""
    distance = ndimage.distance_transform_edt(cutout.islands == 0)
    chosen = (distance > low) & (distance < high) & cutout.valid
    return chosen if chosen.any() else cutout.valid


def _gini(values: np.ndarray) -> float:
    ordered = np.sort(values)
    rank = np.arange(1, ordered.size + 1)
    return float(((2 * rank - ordered.size - 1) * ordered).sum() / max(ordered.size * ordered.sum(), 1e-9))


def read_real(folder: Path) -> tuple[list[np.ndarray], list[dict[str, float | str]]]:
    """Cut the real fields about their centres and measure what the twins must share with them."""
    images, properties = [], []
    for path in sorted((folder / "first").glob("*.fits.gz")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy repairs old FIRST headers
            field = np.asarray(fits.getdata(path), dtype=np.float64).squeeze()
        y0, x0 = (field.shape[0] - SIDE) // 2, (field.shape[1] - SIDE) // 2
        image = field[y0 : y0 + SIDE, x0 : x0 + SIDE]
        if not np.isfinite(image).all():
            continue
        images.append(image)
        properties.append(measure_source(image) | {"class": path.name[:3]})
    return images, properties


def measure_source(image: np.ndarray) -> dict[str, float]:
    """Flux [Jy] and largest size [arcsec] above five rms of what lies about the centre; noise [Jy/beam]."""
    median = np.median(image)
    rms = 1.4826 * float(np.median(np.abs(image - median)))
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    islands, number = ndimage.label(image > median + 4 * rms, structure=np.ones((3, 3)))
    flux = ndimage.sum_labels(image - median, islands, np.arange(1, number + 1))
    near = [i + 1 for i in range(number) if flux[i] > 0.04 * flux.max() and np.hypot(x, y)[islands == i + 1].min() < 50]
    own = np.isin(islands, near)
    points = np.column_stack([x[own], y[own]])
    angles = np.arange(0, np.pi, np.pi / 18)
    spans = np.ptp(points @ np.vstack([np.cos(angles), np.sin(angles)]), axis=0)
    area = 1.1331 * (5.4 / 1.8) ** 2
    return {"flux": float((image - median)[own].sum() / area), "size": float(spans.max()) * 1.8, "rms": rms}


def simulate_twins(properties: list[dict[str, float | str]], seed: int, **overrides: object) -> list[np.ndarray]:
    """Simulate `TWINS` cutouts of each real source's class, flux and size, in its noise."""
    images = []
    for i, real in enumerate(properties):
        for twin in range(TWINS):
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, i, twin])))
            kind = CLASSES.get(str(real["class"]), "fr2")
            own = {"rms": 0.95 * float(real["rms"]), "snapshots": int(rng.choice([1, 1, 1, 1, 2, 3]))}
            config = SurveyConfig.model_validate(FIRST_LIKE | own | overrides)
            # the size above 4 rms exceeds the true one by about the beam
            size = max(float(real["size"]) - 4.0, 6.0) / config.pixel_scale
            images.append(galaxy_frame(config, rng, kind, flux=float(real["flux"]), size=size).image.astype(np.float64))
    return images


FIRST_LIKE: dict[str, object] = {
    "pixel_scale": 1.8,
    "bmaj": 5.4,
    "bmin": 5.4,
    "bpa": 0.0,
    "frame_size": SIDE,
    "flux_min": 2e-4,
    "noise": "snapshots",
    "gain_error": 0.025,
    "artefact_level": 0.0,
}


# what was found to give the simulation away, and is undone here to show what that was worth
ABLATIONS: dict[str, dict[str, object]] = {
    "before (smoothed noise, no gain errors)": {"noise": "smoothed", "gain_error": 0.0},
    "noise of the beam, no uv points": {"noise": "natural"},
    "no gain errors": {"gain_error": 0.0},
}


def stretch(image: np.ndarray) -> np.ndarray:
    """Three views in [0, 1]: linear between -3 and 15 rms, arcsinh, and min-max."""
    cutout = Cutout(image)
    z = cutout.z
    soft = np.arcsinh(z / 2)
    views = [
        np.clip((z + 3) / 18, 0, 1),
        (soft - soft.min()) / (np.ptp(soft) or 1),
        (z - z.min()) / (np.ptp(z) or 1),
    ]
    return np.stack(views).astype(np.float32)


def frozen_features(images: list[np.ndarray]) -> np.ndarray:
    """Pooled activations of all stages of a resnet18 with seeded random weights, shape (n, 960)."""
    import torch

    from skysift.encoders._torchvision import ensure

    ensure()
    import timm

    torch.manual_seed(0)
    network = timm.create_model("resnet18", pretrained=False, features_only=True).eval()
    batch = torch.from_numpy(np.stack([stretch(image) for image in images])) - 0.3
    with torch.inference_mode():
        stages = [network(part) for part in batch.split(32)]
    pooled = [torch.cat([torch.cat([f.mean((2, 3)), f.std((2, 3))], 1) for f in part], 1) for part in stages]
    return torch.cat(pooled).numpy().astype(np.float64)


def auc(features: np.ndarray, real: np.ndarray, groups: np.ndarray, repeats: int) -> dict[str, tuple[float, float]]:
    """Cross-validated AUC (mean and scatter over repeats) of two classifiers."""
    models = {
        "logistic regression": lambda seed: make_pipeline(
            StandardScaler(),
            PCA(min(40, features.shape[1]), random_state=seed),
            LogisticRegression(C=0.1, class_weight="balanced", max_iter=2000),
        ),
        "random forest": lambda seed: RandomForestClassifier(
            200, min_samples_leaf=3, class_weight="balanced_subsample", random_state=seed, n_jobs=1
        ),
    }
    found = {}
    for name, make in models.items():
        scores = []
        for seed in range(repeats):
            predicted = np.zeros(real.size)
            folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
            for train, test in folds.split(features, real, groups):
                model = make(seed).fit(features[train], real[train])
                predicted[test] = model.predict_proba(features[test])[:, 1]
            scores.append(roc_auc_score(real, predicted))
        found[name] = (float(np.mean(scores)), float(np.std(scores)))
    return found


def giveaways(statistics: np.ndarray, names: list[str], real: np.ndarray) -> list[tuple[str, float, float, float]]:
    """Each statistic's own AUC (0.5 to 1), with its medians in real and simulated cutouts, most telling first."""
    rows = []
    for k, name in enumerate(names):
        alone = roc_auc_score(real, statistics[:, k])
        medians = (float(np.median(statistics[real == value, k])) for value in (1, 0))
        rows.append((name, max(alone, 1 - alone), *medians))
    return sorted(rows, key=lambda row: -row[1])


def compare(real: list[np.ndarray], made: list[np.ndarray], repeats: int = 3) -> dict[str, object]:
    """Tell real from simulated and print how well that goes."""
    images = real + made
    truth = np.array([1] * len(real) + [0] * len(made))
    groups = np.concatenate([np.arange(len(real)), np.repeat(np.arange(len(real)), len(made) // len(real))])
    tables = [radio_statistics(Cutout(image)) for image in images]
    names = list(tables[0])
    statistics = np.array([[table[name] for name in names] for table in tables])
    deep = frozen_features(images)
    result: dict[str, object] = {"real": len(real), "simulated": len(made)}
    worst = 0.0
    for label, features in (
        ("statistics", statistics),
        ("resnet18, random weights", deep),
        ("both", np.hstack([statistics, deep])),
    ):
        for model, (mean, scatter) in auc(features, truth, groups, repeats).items():
            print(f"AUC {mean:.3f} +- {scatter:.3f}   {model} on {label}")
            result[f"auc, {model} on {label}"] = round(mean, 4)
            worst = max(worst, mean)
    result["auc, best classifier"] = round(worst, 4)
    forest = RandomForestClassifier(500, min_samples_leaf=3, class_weight="balanced_subsample", random_state=0)
    weights = forest.fit(statistics, truth).feature_importances_
    told = [names[i] for i in np.argsort(-weights)[:6]]
    print(f"the forest looks at {', '.join(told)}")
    print("what gives it away (AUC alone, median real, median simulated):")
    rows = giveaways(statistics, names, truth)
    for name, alone, a, b in rows[:12]:
        print(f"  {name:<16} {alone:.3f}   {a:+.3f}   {b:+.3f}")
    result["giveaways"] = {name: round(alone, 4) for name, alone, _, _ in rows[:12]}
    return result


def draw_sheet(real: list[np.ndarray], made: list[np.ndarray], path: Path) -> None:
    """Draw real cutouts on the left, simulated ones on the right. The figure shows real data: do not publish it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows, columns = 10, 7
    figure, axes = plt.subplots(rows, 2 * columns, figsize=(2 * columns * 1.35, rows * 1.35))
    chosen = np.linspace(0, len(real) - 1, rows * columns).astype(int)
    for place, i in enumerate(chosen):
        row, column = divmod(place, columns)
        for image, axis in ((real[i], axes[row, column]), (made[i * TWINS], axes[row, column + columns])):
            axis.imshow(stretch(image)[1], origin="lower", cmap="inferno")
            axis.set_axis_off()
    figure.subplots_adjust(0, 0, 1, 1, 0.03, 0.03)
    figure.savefig(path, dpi=60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("SKYSIFT_DATA", str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default), help="folder that holds first/")
    parser.add_argument("--figure", type=Path, help="draw real and simulated cutouts side by side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5, help="repeats of the cross-validation")
    parser.add_argument("--ablate", action="store_true", help="also without each improvement, as it was before")
    parser.add_argument("--write", action="store_true", help="keep the figures in benchmarks/results")
    arguments = parser.parse_args()
    real, properties = read_real(arguments.data)
    if not real:
        parser.error(f"no FIRST fields under {arguments.data}/first: give --data or set SKYSIFT_DATA")
    made = simulate_twins(properties, arguments.seed)
    print(f"{len(real)} real FIRST cutouts, {len(made)} simulated")
    result = compare(real, made, arguments.repeats)
    if arguments.ablate:
        for name, change in ABLATIONS.items():
            print(f"\n{name}")
            without = compare(real, simulate_twins(properties, arguments.seed, **change), repeats=1)
            result[f"{name}: auc"] = {key: value for key, value in without.items() if key.startswith("auc")}
    if arguments.figure:
        draw_sheet(real, made, arguments.figure)
    if arguments.write:
        print(f"written: {write_result('believability', result)}")


if __name__ == "__main__":
    main()
