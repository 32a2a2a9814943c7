"""Draw the README's picture from a finished demo: a mosaic, its curated cutouts, and the encoder's features.

    skysift demo --out DEMO
    python docs/make_overview.py DEMO docs/overview.png

The encoder that the demo trained looks at all cutouts once more, and they are clustered and sampled as in the demo: the
clusters in the picture are those of trained features. What this makes stays in the demo's store; everything in the
picture is simulated.
"""

from __future__ import annotations

import io
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.visualization import AsinhStretch, ImageNormalize
from matplotlib import colormaps, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from PIL import Image

from skysift import Store
from skysift.curation import Cluster, Subsample
from skysift.features import Features
from skysift.report.data import Tree, generator, load_tree, read_pixels
from skysift.report.family import Family
from skysift.report.figures.contact_sheet import NO_DATA, stretch
from skysift.report.figures.style import FAINT, GREYS, INK, PALETTE, styled
from skysift.sky import open_mosaic
from skysift.store.progress import Progress

WIDTH, HEIGHT, DPI = 1600, 560, 200
COLUMNS = 7
LIMITS = (-0.1, 2.0)  # of the mosaic's colours [mJy/beam]
TICKS = (0, 0.1, 0.2, 0.5, 1, 2)
COLOURS = colormaps[GREYS].with_extremes(bad=NO_DATA)
SMALL, NORMAL, TITLE = 6.3, 7.0, 8.2
LOOK = {"axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "axes.grid": False}


@dataclass(frozen=True)
class Picks:
    """Clusters in the picture, largest first, and the rows of their cutouts."""

    clusters: list[int]
    rows: list[NDArray[np.int64]]

    def colour(self, cluster: int) -> str:
        """Return the colour of a cluster."""
        return PALETTE[self.clusters.index(cluster)] if cluster in self.clusters else FAINT


def main(demo: Path, out: Path) -> None:
    """Draw the picture of the demo in a folder."""
    family = curate(Store(demo / "store"))
    tree = load_tree(family)
    if tree is None or tree.kept is None:
        raise SystemExit(f"{demo}: no finished demo; run `skysift demo --out {demo}` first.")
    picks = pick(tree, tree.kept)
    with styled(), rc_context(LOOK):
        figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI)
        FigureCanvasAgg(figure)
        draw_mosaic(figure, (0.0715, 0.135, 0.2555, 0.73), family, tree, picks)
        draw_sheet(figure, (0.4815, 0.03, 0.274, 0.835), family, tree, picks)
        draw_features(figure, (0.786, 0.075, 0.207, 0.79), tree, tree.kept, picks)
        for left, letter, title in (
            (0.012, "a", "Simulated mosaic"),
            (0.3865, "b", "Curated cutouts, a row a cluster"),
            (0.7705, "c", "Features of the encoder"),
        ):
            figure.text(left, 0.945, letter, fontsize=TITLE + 1.5, weight="bold", va="center")
            figure.text(left + 0.017, 0.945, title, fontsize=TITLE, weight="bold", va="center")
        save(figure, out)


def curate(store: Store) -> Family:
    """Cluster and sample the demo's cutouts by the features of the demo's encoder, with the demo's settings."""
    progress = Progress()
    features = store.run(Features(cutouts="demo-cutouts", encoder="demo-encoder"), progress=progress)
    tree = store.run(Cluster(**{**store.get("demo-tree").config, "features": features.id}), progress=progress)
    sample = store.run(Subsample(**{**store.get("demo-subset").config, "clusters": tree.id}), progress=progress)
    return Family(store, sample.id)


def pick(tree: Tree, kept: NDArray[np.bool_]) -> Picks:
    """Choose clusters with a full row of curated cutouts, largest first; of each cutouts from bright to faint.

    They are evenly spaced among the cluster's curated cutouts in order of signal-to-noise ratio.
    """
    snr = tree.catalogue.column("snr")
    clusters, rows = [], []
    for cluster in np.argsort(-tree.sizes(len(tree.levels) - 1), kind="stable"):
        members = np.flatnonzero((tree.top == cluster) & kept)
        if len(members) >= COLUMNS and len(clusters) < len(PALETTE):
            clusters.append(int(cluster))
            rows.append(
                members[np.argsort(-snr[members], kind="stable")][np.linspace(0, len(members) - 1, COLUMNS).astype(int)]
            )
    return Picks(clusters, rows)


def draw_mosaic(
    figure: Figure, place: tuple[float, float, float, float], family: Family, tree: Tree, picks: Picks
) -> None:
    """Draw the mosaic that most of the picked cutouts lie in, and their windows."""
    names = tree.catalogue.column("mosaic")
    chosen = np.concatenate(picks.rows)
    found, counts = np.unique(names[chosen].astype(str), return_counts=True)
    best = str(found[np.argmax(counts)])
    with open_mosaic(family.store.sources.locate(best)) as mosaic:
        ny, nx = mosaic.shape
        image = 1e3 * mosaic.read(0, ny, 0, nx)
        axes = figure.add_axes(place, projection=mosaic.info.wcs)
    norm = ImageNormalize(vmin=LIMITS[0], vmax=LIMITS[1], stretch=AsinhStretch(0.08), clip=False)
    shown = axes.imshow(
        np.ma.masked_invalid(image), norm=norm, cmap=COLOURS, origin="lower", interpolation="antialiased"
    )
    for cluster, rows in zip(picks.clusters, picks.rows, strict=True):
        for row in rows[names[rows].astype(str) == best]:
            x0, y0, width, height = tree.catalogue.windows[row]
            frame = Rectangle((x0 - 0.5, y0 - 0.5), width, height, fill=False, ec=picks.colour(cluster), lw=1.3)
            frame.set_path_effects([withStroke(linewidth=2.1, foreground="white")])
            axes.add_patch(frame)
    axes.coords["ra"].set_ticks(number=3)
    axes.coords["dec"].set_ticks(spacing=0.2 * u.deg)
    axes.coords["dec"].set_major_formatter("d.d")
    for name in ("ra", "dec"):
        axes.coords[name].set_ticklabel(size=SMALL, exclude_overlapping=True)
        axes.coords[name].set_axislabel("")
        axes.coords[name].set_ticks_position("bl"[name == "dec"])
    figure.text(place[0] + place[2] / 2, 0.028, "Right ascension (ICRS)", fontsize=NORMAL, ha="center")
    figure.text(0.0085, place[1] + place[3] / 2, "Declination (ICRS)", fontsize=NORMAL, va="center", rotation=90)
    bar_place = (place[0] + place[2] + 0.006, place[1], 0.009, place[3])
    bar = figure.colorbar(shown, cax=figure.add_axes(bar_place), extend="both")
    bar.set_ticks(TICKS, labels=[f"{tick:g}" for tick in TICKS])
    bar.ax.tick_params(labelsize=SMALL, length=2, pad=1.5)
    bar.set_label("mJy/beam", fontsize=NORMAL, labelpad=1)
    bar.outline.set_linewidth(0.5)


def draw_sheet(
    figure: Figure, place: tuple[float, float, float, float], family: Family, tree: Tree, picks: Picks
) -> None:
    """Draw a row of cutouts for each cluster, with its sizes before and after."""
    source = family.inputs(tree.features, "cutouts")
    axes = figure.add_axes(place)
    axes.set_axis_off()
    n = len(picks.clusters)
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(n, 0)
    for number, (cluster, rows) in enumerate(zip(picks.clusters, picks.rows, strict=True)):
        for column, pixels in enumerate(read_pixels(family, source, rows)):
            extent = (column + 0.03, column + 0.97, number + 0.97, number + 0.03)
            axes.imshow(np.ma.masked_invalid(stretch(pixels)), cmap=COLOURS, vmin=0, vmax=1, extent=extent,
                        origin="lower", aspect="auto")  # fmt: skip
        mine = tree.top == cluster
        middle = number + 0.5
        axes.plot(-2.24, middle, "s", ms=9.5, color=picks.colour(cluster), clip_on=False)
        axes.text(-2.24, middle, str(number + 1), fontsize=NORMAL, color="white", weight="bold", ha="center",
                  va="center_baseline")  # fmt: skip
        axes.text(-0.18, middle, f"{mine.sum():,} → {(mine & tree.kept).sum():,}", fontsize=SMALL, ha="right",
                  va="center")  # fmt: skip
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(n, 0)
    axes.text(-0.18, -0.12, "all → curated", fontsize=SMALL, ha="right", va="bottom", color=INK)


def draw_features(
    figure: Figure, place: tuple[float, float, float, float], tree: Tree, kept: NDArray[np.bool_], picks: Picks
) -> None:
    """Draw all cutouts on a plane by their features; the curated ones have a dark edge."""
    points = project(tree)
    colours = np.array([picks.colour(int(cluster)) for cluster in tree.top])
    axes = figure.add_axes(place)
    order = generator(1).permutation(len(points))  # no cluster lies on top of the others
    rest, chosen = order[~kept[order]], order[kept[order]]
    axes.scatter(*points[rest].T, s=2.2, c=colours[rest], linewidths=0, alpha=0.55)
    axes.scatter(*points[chosen].T, s=6.5, c=colours[chosen], linewidths=0.35, edgecolors=INK)
    for number, cluster in enumerate(picks.clusters):
        x, y = np.median(points[tree.top == cluster], axis=0)
        text = axes.text(x, y, str(number + 1), fontsize=NORMAL + 1.5, weight="bold", ha="center", va="center")
        text.set_path_effects([withStroke(linewidth=2.2, foreground="white")])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("UMAP 1", fontsize=NORMAL, labelpad=2)
    axes.set_ylabel("UMAP 2", fontsize=NORMAL, labelpad=2)
    dots = [
        Line2D([], [], ls="", marker="o", ms=2.2, color=FAINT, label=f"all {len(kept):,} cutouts"),
        Line2D([], [], ls="", marker="o", ms=3.4, mfc=FAINT, mec=INK, mew=0.5, label=f"{kept.sum():,} curated"),
    ]
    axes.legend(handles=dots, fontsize=SMALL, loc="best", handletextpad=0.1, borderpad=0.2)


def project(tree: Tree) -> NDArray[np.float64]:
    """Place the standardised features on a plane, shape (n, 2)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP

        values = np.load(tree.features.path("features.npy")).astype(np.float64)
        spread = values.std(axis=0)
        values = (values - values.mean(axis=0))[:, spread > 0] / spread[spread > 0]
        mapper = UMAP(n_neighbors=30, min_dist=0.25, random_state=0, n_jobs=1)
        return np.asarray(mapper.fit_transform(values), dtype=np.float64)


def save(figure: Figure, out: Path) -> None:
    """Write a PNG of 256 colours: a third of the bytes, and no difference to the eye."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    image = Image.open(buffer).convert("RGB")
    image.quantize(palette=_palette(), dither=Image.Dither.NONE).save(out, optimize=True)


def _palette() -> Image.Image:
    """Return the picture's 256 colours: the map of brightness, the clusters with their tints and shades, and greys."""
    brightness = colormaps[GREYS](np.linspace(0, 1, 128))[:, :3]
    clusters, white, ink = np.array([to_rgb(c) for c in PALETTE]), np.ones(3), np.array(to_rgb(INK))
    tints = [white + share * (clusters - white) for share in np.linspace(0.1, 1, 10)]
    shades = [ink + share * (clusters - ink) for share in (0.35, 0.7)]
    greys = np.linspace(ink, white, 24)
    others = np.array([to_rgb(c) for c in (NO_DATA, FAINT)])
    colours = np.concatenate([brightness, *tints, *shades, greys, others])
    image = Image.new("P", (1, 1))
    image.putpalette(np.round(255 * colours).astype(np.uint8).ravel().tolist())
    return image


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
