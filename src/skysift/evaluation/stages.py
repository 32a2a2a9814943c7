"""The stage that scores features on labelled cutouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from skysift.evaluation.finetuning.options import FineTuning
from skysift.evaluation.options import FINEST_ORDER, SplitBy, Splitting
from skysift.evaluation.protocols.base import Protocol
from skysift.evaluation.protocols.finetune import FineTune
from skysift.evaluation.protocols.knn import KNN
from skysift.evaluation.protocols.linear import Linear
from skysift.evaluation.protocols.zeroshot import ZeroShot
from skysift.store.fields import Input, Runtime
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from skysift.store.context import Context


class Evaluate(Splitting, Stage):
    """Score features on labelled cutouts: kNN, linear probe, fine-tuning, texts, over draws that share no pixel.

    Cutouts without one of the classes, or with several, are left out and counted; so are test windows that overlap a
    training window. Hyperparameters are chosen on training samples only. Writes `metrics.json` (means over draws and
    their errors), `scores.parquet` (every score of every draw), `predictions.parquet` and `confusion.npy` (protocol,
    draw, true class, predicted class).
    """

    kind: ClassVar[str] = "evaluation"
    version: ClassVar[int] = 2

    features: Annotated[str, Input("features")] = Field(description="Features of labelled cutouts.")
    classes: tuple[str, ...] = Field(
        (), description="Classes in their order: NAME, or NAME=LABEL+LABEL+... to join labels; by default all labels."
    )
    protocol: tuple[Literal["knn", "linear", "finetune", "zeroshot"], ...] = Field(
        ("knn", "linear"),
        min_length=1,
        description="What is done with the features: knn, linear; finetune trains the encoder that made them; zeroshot "
        "compares them with descriptions of the classes (CLIP, SigLIP).",
    )
    draws: int = Field(5, ge=1, description="Number of times that training and test sets are drawn.")
    seed: int = Field(0, ge=0, description="Seed of the draws and the solvers.")
    knn: KNN = Field(KNN(), description="Options of the k nearest neighbours.")
    linear: Linear = Field(Linear(), description="Options of the linear probe.")
    finetune: FineTune = Field(FineTune(), description="Options of fine-tuning.")
    zeroshot: ZeroShot = Field(ZeroShot(), description="Options of the classification by texts.")

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take that every cutout is labelled, and a ResNet18 at 128 pixels; one fit a draw sets the pace."""
        seconds = self.draws * (5e-4 * rows_in + 1e-9 * rows_in**2) * len(self.protocol)
        if "finetune" in self.protocol:
            seconds += 0.05 * rows_in if self.finetune.freeze else 0.02 * rows_in * self.draws * self.finetune.passes
        return {
            "rows": rows_in,
            "rows_at_most": rows_in,
            "disk_bytes": 5e4 + 20.0 * rows_in * self.draws * len(self.protocol),
            "memory_bytes": 4e8 + 3 * 2048.0 * rows_in,
            "seconds": 2 + seconds,
        }

    def run(self, context: Context) -> dict[str, Any]:
        """Evaluate and write the four files; return the counts and the headline scores."""
        from dataclasses import replace

        from skysift.cutouts.catalogue import Catalogue
        from skysift.encoders.domain import outside_domain_of
        from skysift.evaluation.evaluation import evaluate
        from skysift.evaluation.images import prepare_images, prepare_texts
        from skysift.evaluation.samples import class_order, load_samples
        from skysift.evaluation.write import write_evaluation

        features = context.input(self.features)
        order = () if self.classes else class_order(features, context.input)
        samples = load_samples(features, self.classes, order)
        if "finetune" in self.protocol:
            samples = replace(samples, images=prepare_images(features, context, samples.rows, [self.finetune]))
        if "zeroshot" in self.protocol:
            samples = replace(samples, texts=prepare_texts(features, context, samples.class_set.names))
        chosen: dict[str, Protocol] = {name: getattr(self, name) for name in dict.fromkeys(self.protocol)}
        found = evaluate(
            samples,
            chosen,
            self,
            draws=self.draws,
            seed=self.seed,
            device=context.device,
            progress=context.progress,
            scratch=context.scratch,
        )
        unlike = outside_domain_of(features, Catalogue.open(features), context.store)
        for note in [*found.notes, *([unlike] if unlike else [])]:
            context.warn(note)
        return write_evaluation(found, context.folder)


class TrainClassifier(FineTuning, Stage):
    """Train a classifier: one linear layer on an encoder, with the encoder or on its frozen features.

    A part of the labelled cutouts is held back, sharing no pixel with the others: on it the probabilities are
    calibrated (temperature scaling) and the classifier is scored. Leaves the classifier, which stands alone, scores and
    a reliability diagram in `metrics.json`, `validation.parquet` and `history.csv`. Training carries on after a kill.
    """

    kind: ClassVar[str] = "classifier"
    version: ClassVar[int] = 1

    features: Annotated[str, Input("features")] = Field(
        description="Features of labelled cutouts; they say which cutouts and which encoder."
    )
    classes: tuple[str, ...] = Field(
        (), description="Classes in their order: NAME, or NAME=LABEL+LABEL+... to join labels; by default all labels."
    )
    split: SplitBy = Field("auto", description="What stays together when a part is held back; as for `evaluate`.")
    cell_order: int | None = Field(
        None, ge=0, le=FINEST_ORDER, description="HEALPix order of the cells; by default the coarsest with 64 cells."
    )
    validation_fraction: float = Field(0.2, gt=0, lt=1, description="Share of each class that is held back.")
    seed: int = Field(0, ge=0, description="Seed of what is held back, of the order and of the turns.")

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take a ResNet18 at 128 pixels on two cores."""
        return {
            "rows": rows_in,
            "rows_at_most": rows_in,
            "disk_bytes": 5e7,
            "memory_bytes": 2e9,
            "seconds": 10 + rows_in * (0.05 if self.freeze else 0.02 * self.passes),
        }

    def run(self, context: Context) -> dict[str, Any]:
        """Train, calibrate and score."""
        from skysift.evaluation.classifier.train import train_classifier

        return train_classifier(self, context)


class Classify(Stage):
    """Give every cutout the probability of each class.

    Leaves `classification.parquet` and `classification.vot`, a row a cutout in the order of the catalogue: where it is,
    the likeliest class, its calibrated probability and those of all classes. Interrupted work carries on from its last
    finished block; the bytes do not depend on workers, threads or batch size.
    """

    kind: ClassVar[str] = "classification"
    version: ClassVar[int] = 1
    rows_from: ClassVar[str | None] = "cutouts"

    model: Annotated[str, Input("classifier")] = Field(description="The classifier.")
    cutouts: Annotated[str, Input("cutouts", "merge", "subsample", "dataset", "pack")] = Field(
        description="The cutouts to classify."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Of the arithmetic: bfloat16 is faster where the device has it, and coarser."
    )
    batch_size: Annotated[PositiveInt | None, Runtime()] = Field(
        None, description="Images in one pass on a GPU; less needs less of its memory."
    )

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take a ResNet18 at 224 pixels on two cores."""
        return {"rows": rows_in, "disk_bytes": 250.0 * rows_in, "memory_bytes": 1.5e9, "seconds": 5 + 0.018 * rows_in}

    def run(self, context: Context) -> dict[str, Any]:
        """Classify all cutouts."""
        from skysift.evaluation.classifier.classify import classify_cutouts

        return classify_cutouts(self, context)


class Mislabels(Stage):
    """Rank labelled cutouts by how likely their label is wrong, for people to look at.

    Every cutout is classified by linear probes on the features of others that share no pixel with it; where these are
    confident of another class than the label, the label is suspected (confident learning). Leaves `mislabels.parquet`,
    `mislabels.vot` and `mislabels.csv`, all cutouts with the most suspicious first; `skysift report` shows pictures.
    """

    kind: ClassVar[str] = "mislabels"
    version: ClassVar[int] = 1

    features: Annotated[str, Input("features")] = Field(description="Features of labelled cutouts.")
    classes: tuple[str, ...] = Field(
        (), description="Classes in their order: NAME, or NAME=LABEL+LABEL+... to join labels; by default all labels."
    )
    score: Literal["margin", "self-confidence"] = Field(
        "margin",
        description="What ranks: the probability of the label, less that of the likeliest other class for margin.",
    )
    folds: int = Field(5, ge=2, description="Parts of the labelled cutouts; each is classified by the others.")
    repeats: int = Field(3, ge=1, description="Divisions into parts over which probabilities are averaged.")
    split: Literal["sky", "mosaic", "image", "group"] = Field(
        "sky", description="What stays together in a part; as for `evaluate`."
    )
    cell_order: int | None = Field(
        None, ge=0, le=FINEST_ORDER, description="HEALPix order of the cells; by default the coarsest with 64 cells."
    )
    seed: int = Field(0, ge=0, description="Seed of the divisions.")
    linear: Linear = Field(Linear(), description="Options of the linear probe.")

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take that every cutout is labelled and has 512 features."""
        return {
            "rows": rows_in,
            "rows_at_most": rows_in,
            "disk_bytes": 300.0 * rows_in,
            "memory_bytes": 4e8 + 3 * 2048.0 * rows_in,
            "seconds": 2 + self.folds * self.repeats * (5e-4 * rows_in + 1e-9 * rows_in**2),
        }

    def run(self, context: Context) -> dict[str, Any]:
        """Find them."""
        from skysift.evaluation.mislabels.find import find_mislabels

        return find_mislabels(self, context)
