"""The stage that scores features on labelled cutouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from skysift.evaluation.options import Splitting
from skysift.evaluation.protocols.base import Protocol
from skysift.evaluation.protocols.finetune import FineTune
from skysift.evaluation.protocols.knn import KNN
from skysift.evaluation.protocols.linear import Linear
from skysift.store.fields import Input
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from skysift.store.context import Context


class Evaluate(Splitting, Stage):
    """Score features on labelled cutouts: kNN, linear probe and fine-tuning, over draws that share no pixel.

    Cutouts without one of the classes, or with several, are left out and counted; so are test windows that overlap a
    training window. Hyperparameters are chosen on training samples only. Writes `metrics.json` (means over draws and
    their errors), `scores.parquet` (every score of every draw), `predictions.parquet` and `confusion.npy` (protocol,
    draw, true class, predicted class).
    """

    kind: ClassVar[str] = "evaluation"
    version: ClassVar[int] = 1

    features: Annotated[str, Input("features")] = Field(description="Features of labelled cutouts.")
    classes: tuple[str, ...] = Field(
        (), description="Classes in their order: NAME, or NAME=LABEL+LABEL+... to join labels; by default all labels."
    )
    protocol: tuple[Literal["knn", "linear", "finetune"], ...] = Field(
        ("knn", "linear"),
        min_length=1,
        description="What is done with the features: knn, linear; finetune trains the encoder that made them.",
    )
    draws: int = Field(5, ge=1, description="Number of times that training and test sets are drawn.")
    seed: int = Field(0, ge=0, description="Seed of the draws and the solvers.")
    knn: KNN = Field(KNN(), description="Options of the k nearest neighbours.")
    linear: Linear = Field(Linear(), description="Options of the linear probe.")
    finetune: FineTune = Field(FineTune(), description="Options of fine-tuning.")

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take that every cutout is labelled, and a ResNet18 at 128 pixels; one fit a draw sets the pace."""
        seconds = self.draws * (5e-4 * rows_in + 1e-9 * rows_in**2) * len(self.protocol)
        if "finetune" in self.protocol:
            seconds += 0.05 * rows_in if self.finetune.freeze else 0.02 * rows_in * self.draws * self.finetune.passes
        return {
            "rows": rows_in,
            "disk_bytes": 5e4 + 20.0 * rows_in * self.draws * len(self.protocol),
            "memory_bytes": 4e8 + 3 * 2048.0 * rows_in,
            "seconds": 2 + seconds,
        }

    def run(self, context: Context) -> dict[str, Any]:
        """Evaluate and write the four files; return the counts and the headline scores."""
        from dataclasses import replace

        from skysift.evaluation.evaluation import evaluate
        from skysift.evaluation.images import prepare_images
        from skysift.evaluation.samples import class_order, load_samples
        from skysift.evaluation.write import write_evaluation

        features = context.input(self.features)
        order = () if self.classes else class_order(features, context.input)
        samples = load_samples(features, self.classes, order)
        if "finetune" in self.protocol:
            samples = replace(samples, images=prepare_images(features, context, samples.rows, [self.finetune]))
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
        for note in found.notes:
            context.warn(note)
        return write_evaluation(found, context.folder)
