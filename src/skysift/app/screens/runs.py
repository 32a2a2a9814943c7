"""The screen "Runs": artifacts, lineage, curves, scores, commands; and taking in a model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import panel as pn
import param

from skysift.app.parts.components import Part
from skysift.app.runs import facts, taking_in
from skysift.app.screen import Screen
from skysift.errors import RequestError, SkysiftError
from skysift.imaging.options import PRESETS

if TYPE_CHECKING:
    from skysift.app.session import Session

HERE = Path(__file__).parent.parent / "runs"
_POOL = ThreadPoolExecutor(2, thread_name_prefix="skysift-runs")


class Runs(Part):
    """The browser's side, `runs/runs.js`."""

    artifacts = param.List(default=[])
    chosen = param.String(default="")
    about = param.Dict(default={})
    sections = param.List(default=[])
    files = param.List(default=[])
    presets = param.List(default=[])
    folder = param.String(default="")
    import_state = param.String(default="")

    _esm: ClassVar[Any] = HERE / "runs.js"
    _stylesheets: ClassVar[list[str]] = [(HERE / "runs.css").read_text()]


class RunsScreen(Screen):
    """Every artifact of the store."""

    name: ClassVar[str] = "runs"
    title: ClassVar[str] = "Runs"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._view: Runs | None = None
        self._doc: Any = None

    def panel(self) -> Any:
        """Return the table of artifacts and what is said about the chosen one."""
        store = self.session.survey.store
        self._doc = pn.state.curdoc
        self._view = Runs(
            self._receive,
            presets=list(PRESETS),
            folder=taking_in.FOLDER,
            files=taking_in.files(store),
            artifacts=facts.listed(store),
            sizing_mode="stretch_both",
        )
        self._view.param.watch(self._choose, "chosen")
        self._view.chosen = self.session.survey.opened.id
        return self._view

    def visited(self) -> None:
        """Look again for artifacts and checkpoints."""
        if self._view is not None:
            self._refresh()

    def _refresh(self) -> None:
        view, store = self._known(), self.session.survey.store
        view.param.update(artifacts=facts.listed(store), files=taking_in.files(store))

    def _choose(self, event: Any) -> None:
        view, store, id_ = self._known(), self.session.survey.store, str(event.new)
        if not id_:
            view.param.update(about={}, sections=[])
            return
        try:
            if id_ not in {entry["id"] for entry in view.artifacts}:
                raise RequestError("There is no such artifact: choose one from the list.")
            view.param.update(about=facts.about(store, id_), sections=[])
        except SkysiftError as error:
            self.session.fail(error)
            return
        self._apart(lambda: facts.sections(store, id_), lambda found: self._show_sections(id_, found))

    def _show_sections(self, id_: str, found: list[dict[str, Any]]) -> None:
        if self._known().chosen == id_:
            self._known().sections = found

    def _receive(self, data: dict[str, Any]) -> None:
        if "uploaded" in data:
            self._refresh()
        elif isinstance(wish := data.get("import"), dict):
            self._known().import_state = "Importing …"
            self.session.busy = True
            store = self.session.survey.store
            self._apart(lambda: taking_in.take_in(store, wish), self._took_in, self._did_not)

    def _took_in(self, artifact: Any) -> None:
        self.session.busy = False
        self._refresh()
        self._known().import_state = ""
        self.session.tell(f"The model is there: {self.session.survey.store.root.name}/model/{artifact.id[:12]}.")
        self._known().chosen = artifact.id

    def _did_not(self, error: BaseException) -> None:
        self.session.busy = False
        self._known().import_state = str(error) if isinstance(error, SkysiftError) else "It could not be imported."
        self.session.fail(error)

    def _apart(self, work: Any, then: Any, otherwise: Any = None) -> None:
        """Do work in a thread and hand its result to the page's own."""
        wrong = otherwise or self.session.fail

        def run() -> None:
            try:
                result, deliver = work(), then
            except Exception as error:  # noqa: BLE001 - told in the page
                result, deliver = error, wrong
            if self._doc is None:
                deliver(result)
            else:
                self._doc.add_next_tick_callback(lambda: deliver(result))

        if self._doc is None:
            run()
        else:
            _POOL.submit(run)

    def _known(self) -> Runs:
        assert self._view is not None
        return self._view
