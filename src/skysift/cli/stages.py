"""One command for each stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from skysift.cli.options import OPTIONS, stage_command
from skysift.cli.registration import add
from skysift.cli.running import Running, Session, session
from skysift.errors import RequestError
from skysift.pipeline.catalogue import STAGES, stage_class
from skysift.ssl.presets import names
from skysift.store.artifact import Artifact
from skysift.store.stage import Stage

GROUP = Group("Stages", sort_key=1)


def make(name: str, options: dict[str, Any], active: Session) -> Artifact:
    """Run the stage of that name."""
    from skysift.pipeline.definition import validated

    return active.run(validated(stage_class(name), options, where=f"skysift {name}"))


def train(name: str, options: dict[str, Any], active: Session) -> Artifact:
    """Run a training; a merged set that is named too must be what the subsample was drawn from."""
    merged = options.pop("merged_cutouts_id", None)
    if merged is not None:
        from skysift.store.lineage import ancestors

        if "cutouts" not in options:
            options["cutouts"] = merged
        else:
            wanted, given = active.store.get(merged), active.store.get(str(options["cutouts"]))
            if wanted.id not in ancestors(active.store, given.id):
                raise RequestError(
                    f"{given.kind} {given.id[:12]} does not descend from {wanted.kind} {wanted.id[:12]}: "
                    "leave --merged-cutouts-id out, or name the set that the subsample was drawn from."
                )
    return make(name, options, active)


def evaluate(name: str, options: dict[str, Any], active: Session) -> Artifact:
    """Evaluate features, or an encoder on a labelled set (then the features are extracted first)."""
    model, dataset, label_map = (options.pop(option, None) for option in ("model", "dataset", "label_map"))
    if model is None and label_map is not None:
        raise RequestError("--label-map belongs to --dataset; join the labels of --features with --classes NAME=A+B.")
    if model is not None:
        if dataset is None:
            raise RequestError("skysift evaluate MODEL needs --dataset: a path, a name, or the id of labelled cutouts.")
        from skysift.pipeline.compose import labelled_features

        weights = options.pop("weights", None)
        found = labelled_features(
            active.store, str(model), str(dataset), active.run, weights=weights, label_map=label_map
        )
        options["features"] = found.id
    return make(name, options, active)


def on_labels(name: str, options: dict[str, Any], active: Session) -> Artifact:
    """Run a stage on features of labelled cutouts, or on a labelled set and an encoder (then they are extracted)."""
    data, encoder, weights = (options.pop(option, None) for option in ("data", "encoder", "weights"))
    if encoder is not None:
        if data is None:
            raise RequestError(f"skysift {name} needs labelled cutouts: a path, a name, or an id.")
        from skysift.pipeline.compose import labelled_features

        options["features"] = labelled_features(active.store, str(encoder), str(data), active.run, weights=weights).id
    elif data is not None:
        try:
            kind = active.store.get(str(data)).kind
        except RequestError:
            kind = ""
        if kind != "features":
            raise RequestError(
                f"skysift {name}: {data} is no features artifact, so --encoder is needed: an id, a name, timm:NAME or "
                "hf:NAME."
            )
        options["features"] = str(data)
    elif "features" not in options:
        raise RequestError(f"skysift {name} needs labelled cutouts and --encoder, or features of labelled cutouts.")
    return make(name, options, active)


@dataclass(frozen=True)
class Command:
    """How a stage appears on the command line."""

    positional: str | tuple[str, ...]
    examples: tuple[str, ...]
    run: Callable[[str, dict[str, Any], Session], Artifact] = make
    extra: Mapping[str, Any] = field(default_factory=dict)


def _text(text: str) -> Any:
    return Annotated[str | None, Parameter(help=text, group=OPTIONS)]


LABELS = {
    "data": _text("Labelled set: a path, a name below $SKYSIFT_DATASETS, the id of labelled cutouts, or of features."),
    "encoder": _text("The encoder, unless features are given: an id, a name, or timm:NAME, hf:NAME."),
    "weights": _text("For timm:NAME and hf:NAME: pretrained, or random as a baseline."),
}

COMMANDS: dict[str, Command] = {
    "cutouts": Command(
        "mosaics",
        (
            "skysift cutouts survey/*.fits --window-size 128 --overlap 0.5",
            "skysift cutouts survey --window-size 64,128,256 --mask '{stem}_mask.fits'",
            "skysift cutouts survey --sources components.csv --zoom 1.5",
        ),
    ),
    "merge": Command("catalogues", ("skysift merge 3f2a 91bc --min-separation 30",)),
    "pack": Command("cutouts", ("skysift pack 3f2a",)),
    "dataset": Command(
        "source",
        ("skysift dataset mnist", "skysift dataset mirabest_train.npz", "skysift dataset folder-of-classes/"),
    ),
    "features": Command(
        "cutouts",
        (
            "skysift features 3f2a --encoder timm:resnet18",
            "skysift features 3f2a --encoder timm:resnet18 --weights random",
            "skysift features 3f2a --encoder 77aa   # an encoder that skysift trained",
        ),
    ),
    "cluster": Command(
        "features", ("skysift cluster 5d01 --levels 1000,100,10", "skysift cluster 5d01 --config tree.yaml")
    ),
    "subsample": Command("clusters", ("skysift subsample 08be --target-size 2000",)),
    "assign": Command(("clusters", "features"), ("skysift assign 08be 5d02",)),
    "preprocess": Command(
        "cutouts",
        (
            "skysift preprocess a1b2 --preprocess riggi2024 --image-size 224",
            "skysift train 55d0 --preprocess riggi2024 --image-size 224   # with the id that it printed",
        ),
    ),
    "train": Command(
        "cutouts",
        (
            "skysift train a1b2 --method simclr --backbone resnet18 --epochs 100",
            "skysift train a1b2 --method byol --set method.momentum=0.996",
            "skysift train a1b2 --preset default-byol --epochs 200",
            "skysift train c3d4 --preset riggi2024-smart-hulk --init-from 77aa   # 77aa: a model of riggi2024-hulk",
        ),
        train,
        {
            "merged_cutouts_id": _text("The set that the subsample was drawn from; checked, nothing else."),
            "preset": _text(f"Options of a paper, or ours, below those given here: {', '.join(names())}."),
        },
    ),
    "import-weights": Command("file", ("skysift import-weights epoch99.ckpt --backbone resnet18",)),
    "evaluate": Command(
        "model",
        (
            "skysift evaluate 77aa --dataset mirabest_train.npz",
            "skysift evaluate timm:resnet18 --dataset mirabest --label-map mirabest-confident",
            "skysift evaluate hf:openai/clip-vit-base-patch32 --dataset rgd --protocol zeroshot,linear",
            "skysift evaluate --features 5d01 --protocol knn",
        ),
        evaluate,
        {
            "model": _text("The encoder: an id, a name, or timm:NAME, hf:NAME."),
            "weights": _text("For timm:NAME and hf:NAME: pretrained, or random as a baseline."),
            "dataset": _text("Labelled set: a path, a name below $SKYSIFT_DATASETS, or the id of labelled cutouts."),
            "label_map": _text("Classes made of its labels: a known map, a file, or FR-I=100+102,FR-II=200."),
        },
    ),
    "train-classifier": Command(
        "data",
        (
            "skysift train-classifier mirabest_train.npz --encoder 77aa --freeze",
            "skysift train-classifier 3f2a --encoder timm:resnet18 --epochs 50",
            "skysift train-classifier 5d01   # features of labelled cutouts",
        ),
        on_labels,
        LABELS,
    ),
    "classify": Command(("model", "cutouts"), ("skysift classify c0de 3f2a",)),
    "mislabels": Command(
        "data",
        ("skysift mislabels mirabest_train.npz --encoder 77aa", "skysift mislabels 5d01 --score self-confidence"),
        on_labels,
        LABELS,
    ),
    "anomalies": Command(
        "features",
        (
            "skysift anomalies 5d01",
            "skysift anomalies 5d01 --score extent,isolation-forest,som",
            "skysift anomalies 5d01 5d02   # several window sizes, or several encoders",
        ),
    ),
    "project": Command("features", ("skysift project 5d01", "skysift project 5d01 --method pca")),
    "search-index": Command("features", ("skysift search-index 5d01",)),
}


def register(app: App) -> None:
    """Add the commands of all stages."""
    for name in (name for name in STAGES if name in COMMANDS):
        add(app, _function(name, COMMANDS[name]), name, GROUP, examples=COMMANDS[name].examples)


def _function(name: str, command: Command) -> Callable[..., None]:
    cls = stage_class(name)

    def run(options: dict[str, Any], running: Running | None) -> None:
        with session(running) as active:
            active.show(command.run(name, options, active))

    return stage_command(cls, run, positional=command.positional, help_text=stage_help(cls), extra=command.extra)


def stage_help(cls: type[Stage]) -> str:
    """Return the docstring of a stage as the help of its command."""
    return f"{cls.summary()}\n\n{_rest(cls.__doc__)}"


def _rest(doc: str | None) -> str:
    """Return the prose below a docstring's first line, up to its first section."""
    lines = (doc or "").strip().splitlines()[1:]
    prose: list[str] = []
    for line in lines:
        if set(line.strip()) == {"-"} and len(line.strip()) > 2:
            return "\n".join(prose[:-1]).strip()
        prose.append(line.strip())
    return "\n".join(prose).strip()
