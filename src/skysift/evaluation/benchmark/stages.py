"""The stage that scores several encoders on several labelled sets in one way, and compares them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from skysift.evaluation.benchmark.options import Task
from skysift.evaluation.protocols.base import Protocol
from skysift.evaluation.protocols.finetune import FineTune
from skysift.evaluation.protocols.knn import KNN
from skysift.evaluation.protocols.linear import Linear
from skysift.store.fields import Input
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from skysift.store.context import Context

Fraction = Annotated[float, Field(gt=0, le=1)]
ProtocolName = Literal["knn", "linear", "finetune-frozen", "finetune-unfrozen"]
FIELDS = {"knn": "knn", "linear": "linear", "finetune-frozen": "frozen", "finetune-unfrozen": "unfrozen"}
"""The field that holds each protocol's options."""


class Benchmark(Stage):
    """Score encoders on labelled sets with several protocols and label fractions, and compare them draw by draw.

    A YAML says which: `encoders` (name -> timm:NAME, hf:NAME, a model, or options of `features`; a list stands for one
    encoder trained several times), `datasets` (name -> a path, a name, labelled cutouts, or options of `dataset` and of
    the split), and the options below. Every encoder is scored on the same draws of a set. Writes `scores.parquet`
    (every score of every draw), `confusion.parquet`, `comparisons.parquet` (paired tests against the baseline),
    `summary.json` and `table.md`. A killed run carries on after its last finished draw.
    """

    kind: ClassVar[str] = "benchmark"
    version: ClassVar[int] = 1

    features: Annotated[tuple[str, ...], Input("features", ordered=True)] = Field(
        min_length=1, description="Features of labelled cutouts, those of several trainings of one encoder in order."
    )
    encoder_of: tuple[str, ...] = Field(description="Name of the encoder that made each of the features.")
    dataset_of: tuple[str, ...] = Field(description="Name of the labelled set that each of the features is of.")
    tasks: tuple[Task, ...] = Field((), description="How labelled sets are used, where not by default.")
    protocols: tuple[ProtocolName, ...] = Field(
        ("knn", "linear"),
        min_length=1,
        description="What is done with an encoder: knn and linear use its features, finetune-frozen and "
        "finetune-unfrozen train a linear layer without and with it.",
    )
    fractions: tuple[Fraction, ...] = Field(
        (1.0, 0.5, 0.2, 0.1, 0.05, 0.02), min_length=1, description="Shares of the training labels that may be used."
    )
    draws: int = Field(10, ge=1, description="Number of times that training and test sets are drawn.")
    seed: int = Field(0, ge=0, description="Seed of the draws and the solvers.")
    baseline: str | None = Field(
        None, description="Encoder that all others are compared with; by default the first one."
    )
    metric: Literal["macro_f1", "accuracy"] = Field("macro_f1", description="Score that encoders are compared by.")
    knn: KNN = Field(KNN(), description="Options of the k nearest neighbours.")
    linear: Linear = Field(Linear(), description="Options of the linear probe.")
    frozen: FineTune = Field(FineTune(freeze=True), description="Options of fine-tuning with a frozen encoder.")
    unfrozen: FineTune = Field(FineTune(), description="Options of fine-tuning the encoder too.")

    @model_validator(mode="after")
    def _complete(self) -> Benchmark:
        if not len(self.features) == len(self.encoder_of) == len(self.dataset_of):
            raise ValueError("features, encoder_of and dataset_of name an encoder and a set for each of the features")
        repeats = Counter(zip(self.encoder_of, self.dataset_of, strict=True))
        for encoder in self.encoders:
            counts = {repeats[encoder, dataset] for dataset in self.datasets}
            if len(counts) > 1:
                raise ValueError(f"encoder {encoder!r} must be there equally often for every labelled set")
            if counts - {1, max(repeats.values())}:
                raise ValueError(
                    f"encoder {encoder!r} was trained {counts.pop()} times and another one {max(repeats.values())} "
                    "times: all must be there once or equally often"
                )
        if self.baseline is not None and self.baseline not in self.encoders:
            raise ValueError(f"the baseline {self.baseline!r} is none of the encoders {', '.join(self.encoders)}")
        for name in ("fractions", "protocols"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} names something twice")
        if not self.frozen.freeze or self.unfrozen.freeze:
            raise ValueError("frozen needs freeze: true among its options, unfrozen does not have it")
        named = Counter(task.dataset for task in self.tasks)
        for dataset, times in named.items():
            if times > 1 or dataset not in self.datasets:
                raise ValueError(f"tasks must name each labelled set once at most, and {dataset!r} is none or twice")
        return self

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of the encoders in their order."""
        return tuple(dict.fromkeys(self.encoder_of))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the labelled sets in their order."""
        return tuple(dict.fromkeys(self.dataset_of))

    @classmethod
    def entries(
        cls, name: str, options: dict[str, Any], *, where: str, others: Collection[str]
    ) -> dict[str, dict[str, Any]]:
        """Return the stages that an entry with encoders and datasets stands for: labelled sets, features, itself."""
        if "encoders" not in options and "datasets" not in options:
            return {name: options}
        from skysift.evaluation.benchmark.entries import benchmark_entries

        return benchmark_entries(name, options, where=where, others=others)

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take that every cutout is labelled, as `Evaluate` does, on one core."""
        each = rows_in / len(self.features)
        labels = sum(self.fractions)
        probes = len({"knn", "linear"} & set(self.protocols))
        seconds = probes * labels * (5e-4 * each + 1e-9 * each**2)
        if "finetune-unfrozen" in self.protocols:
            seconds += 0.02 * labels * each * self.unfrozen.passes
        if "finetune-frozen" in self.protocols:
            seconds += 0.05 * each / self.draws
        cells = float(len(self.features) * self.draws * len(self.protocols) * len(self.fractions))
        return {
            "rows": cells,
            "disk_bytes": 1e5 + 2e3 * cells,
            "memory_bytes": 4e8 + 3 * 2048.0 * each,
            "seconds": 5 + 0.02 * cells + len(self.features) * self.draws * seconds,
        }

    def protocol_options(self) -> dict[str, Protocol]:
        """Return each protocol with its options, by name."""
        return {name: getattr(self, FIELDS[name]) for name in self.protocols}

    def run(self, context: Context) -> dict[str, Any]:
        """Work out every cell and compare the encoders."""
        from skysift.evaluation.benchmark.work import run_benchmark

        return run_benchmark(self, context)
