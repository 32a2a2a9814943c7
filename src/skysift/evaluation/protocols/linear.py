"""Linear probe on frozen features: multinomial logistic regression by L-BFGS, or C24's SGD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from skysift.evaluation.protocols.base import Outcome, Problem, Protocol, accuracy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Linear(Protocol):
    """Linear probe on frozen features."""

    solver: Literal["lbfgs", "sgd"] = Field(
        "lbfgs", description="lbfgs: logistic regression, C chosen on validation samples; sgd: the schedule of C24."
    )
    standardise: bool = Field(True, description="Scale features to mean 0 and deviation 1 over the training samples.")
    balanced: bool = Field(False, description="Weigh classes by the inverse of their number of training samples.")
    c: tuple[float, ...] = Field(
        (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
        min_length=1,
        description="lbfgs: inverse strengths of the L2 penalty tried.",
    )
    max_iterations: int = Field(500, ge=1, description="lbfgs: most iterations for one C.")
    learning_rate: float = Field(0.3, gt=0, description="sgd: first learning rate.")
    epochs: int = Field(100, ge=1, description="sgd: passes over the training samples.")
    milestones: tuple[int, ...] = Field((10, 80), description="sgd: epochs after which the rate is divided by 10.")
    batch_size: int = Field(256, ge=1, description="sgd: samples a step.")
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd: momentum.")

    def evaluate(self, problem: Problem) -> Outcome:
        """Fit on the training samples and give the probabilities of the test samples."""
        if self.solver == "sgd":
            return self._sgd(problem)
        return self._lbfgs(problem)

    def _lbfgs(self, problem: Problem) -> Outcome:
        """Choose C on the validation samples (of equally good ones the smallest), then fit all training samples."""
        values = sorted(set(self.c))
        notes: list[str] = []
        scores: dict[float, float | None] = dict.fromkeys(values)
        best = min(values, key=lambda value: abs(value - 1.0))
        if len(problem.validation) and len(values) > 1:
            shift, scale = self._scaling(problem.fit)
            fit, held = (problem.fit - shift) / scale, (problem.validation - shift) / scale
            model = None
            for value in values:
                model = self._fit(fit, problem.fit_classes, value, model, [])
                scores[value] = accuracy(_all_classes(model, held, problem.n_classes), problem.validation_classes)
            best = max(values, key=lambda value: (scores[value] or 0.0, -value))
        shift, scale = self._scaling(problem.train)
        model = self._fit((problem.train - shift) / scale, problem.train_classes, best, None, notes)
        probabilities = _all_classes(model, (problem.test - shift) / scale, problem.n_classes)
        sweep: list[dict[str, Any]] = [
            {"parameter": "C", "value": value, "validation_accuracy": scores[value]} for value in values
        ]
        chosen = {"C": best, "chosen_on_validation": scores[best] is not None}
        return Outcome(probabilities, chosen, sweep, notes)

    def _fit(
        self, rows: NDArray[np.float32], classes: NDArray[np.int64], c: float, start: Any, notes: list[str]
    ) -> Any:
        """Fit a regression, from the solution of a smaller C where there is one."""
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(
            C=c,
            solver="lbfgs",
            max_iter=self.max_iterations,
            class_weight="balanced" if self.balanced else None,
            warm_start=True,
        )
        if start is not None:
            model.coef_, model.intercept_ = start.coef_.copy(), start.intercept_.copy()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(rows, classes)
        if any(issubclass(w.category, ConvergenceWarning) for w in caught):
            notes.append(f"the logistic regression with C = {c:g} stopped after {self.max_iterations} iterations")
        return model

    def _sgd(self, problem: Problem) -> Outcome:
        """Train one linear layer with stochastic gradient descent (C24)."""
        import numpy as np
        import torch

        device = "cpu" if problem.device == "auto" else problem.device
        shift, scale = self._scaling(problem.train)
        rows = torch.from_numpy(((problem.train - shift) / scale).astype(np.float32)).to(device)
        classes = torch.from_numpy(problem.train_classes).to(device)
        generator = torch.Generator().manual_seed(problem.seed)
        layer = torch.nn.utils.skip_init(torch.nn.Linear, rows.shape[1], problem.n_classes)
        bound = rows.shape[1] ** -0.5
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))
        layer = layer.to(device)
        weight = None
        if self.balanced:
            counts = torch.bincount(classes, minlength=problem.n_classes).float()
            weight = len(classes) / (problem.n_classes * counts.clamp(min=1))
        optimiser = torch.optim.SGD(layer.parameters(), lr=self.learning_rate, momentum=self.momentum)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, list(self.milestones), gamma=0.1)
        for _ in range(self.epochs):
            order = torch.randperm(len(rows), generator=generator).to(device)
            for batch in order.split(self.batch_size):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(layer(rows[batch]), classes[batch], weight=weight).backward()
                optimiser.step()
            schedule.step()
        test = torch.from_numpy(((problem.test - shift) / scale).astype(np.float32)).to(device)
        with torch.no_grad():
            probabilities = layer(test).softmax(dim=1).cpu().numpy()
        return Outcome(probabilities, {"epochs": self.epochs, "chosen_on_validation": False})

    def _scaling(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return shift and scale of each feature; constant ones are only shifted."""
        import numpy as np

        if not self.standardise:
            return np.zeros(rows.shape[1], np.float32), np.ones(rows.shape[1], np.float32)
        mean = rows.mean(axis=0, dtype=np.float64)
        deviation = rows.std(axis=0, dtype=np.float64)
        flat = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
        return mean.astype(np.float32), np.where(flat, 1.0, deviation).astype(np.float32)


def _all_classes(model: Any, rows: NDArray[np.float32], n_classes: int) -> NDArray[np.float32]:
    """Return probabilities with a column for every class, zeros for those the model never saw."""
    import numpy as np

    result = np.zeros((len(rows), n_classes), dtype=np.float32)
    result[:, model.classes_] = model.predict_proba(rows)
    return result
