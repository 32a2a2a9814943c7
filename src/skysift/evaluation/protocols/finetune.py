"""Fine-tuning: one linear layer on the encoder, trained with it or on its frozen features (Riggi et al. 2024)."""

from __future__ import annotations

from skysift.errors import RequestError
from skysift.evaluation.finetuning.options import FineTuning
from skysift.evaluation.protocols.base import Outcome, Problem, Protocol


class FineTune(FineTuning, Protocol):
    """One linear layer on the encoder, trained on images with or without the encoder."""

    @property
    def steps(self) -> int:
        """Epochs."""
        return self.passes

    def evaluate(self, problem: Problem) -> Outcome:
        """Train on all training samples and give the probabilities of the test samples.

        Nothing is chosen on validation samples. Classes without a training sample get probability 0.

        Raises
        ------
        RequestError
            If the problem has features only.
        """
        import numpy as np
        from scipy.special import softmax

        from skysift.evaluation.finetuning.tune import fine_tune

        pictures = problem.pictures
        if pictures is None:
            raise RequestError("Fine-tuning needs the images behind the features, which are not at hand here.")
        tuned = fine_tune(
            pictures.source,
            pictures.train,
            problem.train_classes,
            problem.n_classes,
            self,
            seed=problem.seed,
            device=problem.device,
            advance=problem.advance,
        )
        logits = tuned.logits(pictures.test)
        logits[:, ~np.isin(np.arange(problem.n_classes), problem.train_classes)] = -np.inf
        chosen = {"epochs": self.passes, "frozen": self.freeze, "chosen_on_validation": False}
        return Outcome(softmax(logits, axis=1).astype(np.float32), chosen)
