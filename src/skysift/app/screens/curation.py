"""The screen "Curation"."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar

from skysift.app.curation.plan import Node, Plan, tidy
from skysift.app.curation.view import node_of, tree_state, why_state
from skysift.app.screen import Screen
from skysift.curation.sampling.pool import Chosen
from skysift.curation.stages import Subsample
from skysift.errors import RequestError, SkysiftError

LEAVES = (("random", "at random"), ("closest", "nearest the centroid"), ("furthest", "furthest from it"))


class CurationScreen(Screen):
    """The tree of clusters, what a balanced subsample would keep of each, and why; saved as an artifact."""

    name: ClassVar[str] = "curation"
    title: ClassVar[str] = "Curation"

    def panel(self) -> Any:
        """Build the strip of controls, the cards, the bars and the reason."""
        import panel as pn

        from skysift.app.curation.bars import Bars
        from skysift.app.curation.widgets import TreeView, WhyView
        from skysift.app.parts import Controls

        session = self.session
        self._document = pn.state.curdoc
        trees = session.survey.clusters
        if not trees:
            words = "No tree of clusters is made from these features yet: run "
            return pn.pane.HTML(f"<p>{words}<code>skysift cluster {session.survey.base.id[:12]}</code>.</p>")
        self._trees, self._title, self._name, self._saving = trees, next(iter(trees)), "", False
        self._controls = Controls(self._controlled, testid="curation-controls", sizing_mode="stretch_width")
        self._numbers = Controls(lambda _: None, testid="curation-numbers", sizing_mode="stretch_width")
        self._view = TreeView(self._received, look=self._look(), sizing_mode="stretch_width")
        self._why = WhyView(self._received, look=self._look(), sizing_mode="stretch_width")
        self._bars = Bars()
        self._begin()
        session.param.watch(self._changed_look, ["stretch", "contrast", "colour_map"])
        side = pn.Column(
            pn.pane.Bokeh(self._bars.figure, sizing_mode="stretch_width"), self._why, width=300, margin=(0, 0, 0, 12)
        )
        body = pn.Row(self._view, side, sizing_mode="stretch_width")
        return pn.Column(self._controls, self._numbers, body, sizing_mode="stretch_width")

    def visited(self) -> None:
        """Say why the cutout in focus is kept."""
        if hasattr(self, "_why") and self.session.focus >= 0:
            self._explain(self.session.focus)

    # -- what the browser says -----------------------------------------------------------------------------------

    def _received(self, message: dict[str, Any]) -> None:
        try:
            self._do(message)
        except (ValueError, KeyError, IndexError):
            self.session.fail(RequestError("There is no such cluster in this tree."))
        except SkysiftError as error:
            self.session.fail(error)

    def _do(self, message: dict[str, Any]) -> None:
        row_of = self.session.survey.row_of
        if "open" in message:
            self._node = self._checked(node_of(message["open"]))
            self._show()
        elif "quota" in message:
            node = self._checked(node_of(message["quota"]))
            if node is not None:
                size = int(self._plan.sizes[node[0] - 1][node[1]])
                self._try(quotas={**self._quotas, node: min(max(int(message["value"]), 0), size)})
        elif "release" in message:
            node = node_of(message["release"])
            self._try(quotas={key: value for key, value in self._quotas.items() if key != node})
        elif "why" in message:
            self.session.focus = row_of(str(message["why"]))
            self._explain(self.session.focus)
        elif "look" in message:
            self.session.look_at(row_of(str(message["look"])))

    def _controlled(self, message: dict[str, Any]) -> None:
        name, value = message.get("name"), message.get("value")
        try:
            if name == "tree" and value in self._trees:
                self._title = str(value)
                self._begin()
            elif name == "leaf" and value in dict(LEAVES):
                self._try(leaf=str(value))
            elif name in ("target", "slide"):
                self._try(target=_whole(str(value), "target size"))
            elif name == "seed":
                self._try(seed=_whole(str(value), "seed"))
            elif name == "name":
                self._name = str(value).strip()
            elif name == "release":
                self._try(quotas={})
            elif name == "save":
                self._save()
        except SkysiftError as error:
            self.session.fail(error)
        self._show_controls()

    def _checked(self, node: Node | None) -> Node | None:
        """Return a node of the tree; ValueError if it is none, or holds nothing."""
        if node is None:
            return None
        level, cluster = node
        inside = 1 <= level <= self._plan.depth and 0 <= cluster < len(self._plan.sizes[level - 1])
        if not inside or not self._plan.sizes[level - 1][cluster]:
            raise ValueError(f"no cluster {level}:{cluster}")
        return node

    # -- the plan ------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Open the chosen tree with an even share of a tenth."""
        self._plan = Plan(self.session.survey, self._trees[self._title])
        self._node = None
        self._target, self._leaf, self._seed = max(1, len(self._plan) // 10), "random", 0
        self._quotas: dict[Node, int] = {}
        self._try()

    def _try(self, **changes: Any) -> None:
        """Take over a change if it can be had; say why if not, and stay as before."""
        wanted = {name: changes.get(name, getattr(self, f"_{name}")) for name in ("target", "leaf", "seed", "quotas")}
        if wanted["target"] < 1:
            raise RequestError("Keep at least one cutout: raise the target size.")
        request = self._plan.request(wanted["target"], tidy(wanted["quotas"]), leaf=wanted["leaf"], seed=wanted["seed"])
        try:
            self._chosen: Chosen = self._plan.choose(request)
        except RequestError as error:
            self.session.fail(error)
        else:
            self._request: Subsample = request
            for name, value in wanted.items():
                setattr(self, f"_{name}", value)
            self._kept = self._plan.kept(self._chosen)
        self._show()

    def _explain(self, row: int) -> None:
        self._why.why = why_state(self._plan, row, self._chosen, self._request)

    def _save(self) -> None:
        """Run the stage in a thread, name the artifact, and let the survey know it."""
        if self._saving:
            return
        self._saving = self.session.busy = True
        survey, request, name = self.session.survey, self._request, self._name

        def work() -> None:
            from skysift.store.progress import Progress

            made: Any
            try:
                made = survey.store.run(request, progress=Progress(quiet=True))
                if name:
                    survey.store.name(made.id, name)
                survey.refresh()
            except Exception as error:  # noqa: BLE001 - the page shows it
                made = error
            self._deliver(lambda: self._saved(made))

        self._thread = threading.Thread(target=work, name="skysift-curation", daemon=True)
        self._thread.start()

    def _saved(self, made: Any) -> None:
        self._saving = self.session.busy = False
        if isinstance(made, BaseException):
            self.session.fail(made)
        else:
            self.session.tell(
                f"Saved {made.rows:,} cutouts as subsample {made.id[:12]}. It is a filter of the gallery now."
            )
        self._show_controls()

    # -- what is shown -------------------------------------------------------------------------------------------

    def _show(self) -> None:
        plan = self._plan
        self._view.state = tree_state(plan, self._node, self._kept, self._quotas, self._chosen)
        children = plan.children(self._node) or [node for node in (self._node,) if node]
        before = [int(plan.sizes[level - 1][cluster]) for level, cluster in children]
        after = [int(self._kept[level - 1][cluster]) for level, cluster in children]
        self._bars.show(before, after)
        if self._why.why:
            self._explain(self.session.survey.row_of(self._why.why["id"]))
        self._show_controls()

    def _show_controls(self) -> None:
        from skysift.app.parts import button, field, menu, slider, space, text
        from skysift.report.commands import request_command

        plan, n = self._plan, len(self._plan)
        self._why.command = request_command(self._request)
        self._controls.items = [
            menu("tree", [(title, title) for title in self._trees], self._title, label="Tree"),
            field("target", value=str(self._target), label="Keep", width=72, longest=9,
                  help="Target size: number of cutouts to keep"),
            slider("slide", self._target, 1, n, 1, help="Target size"),
            menu("leaf", LEAVES, self._leaf, label="of a cluster"),
            field("seed", value=str(self._seed), label="Seed", width=56, longest=9),
            button("release", "No quotas", disabled=not self._quotas, help="Even shares everywhere"),
            space(),
            field("name", value=self._name, hint="name (optional)", longest=64, width=130),
            button("save", "Save subsample", look="main", disabled=self._saving),
        ]  # fmt: skip
        level = plan.depth if self._node is None else max(self._node[0] - 1, 1)
        gini_before, even_before = plan.balance(level, plan.sizes[level - 1])
        gini_after, even_after = plan.balance(level, self._kept[level - 1])
        self._numbers.items = [
            text("kept", f"{len(self._chosen.rows):,} of {n:,} kept, {n - len(self._chosen.rows):,} dropped"),
            text("gini", f"Gini of level {level}: {gini_before:.2f} → {gini_after:.2f}",
                 help="Inequality of cluster sizes: 0 where all are equal"),
            text("entropy", f"evenness: {even_before:.2f} → {even_after:.2f}",
                 help="Entropy of cluster sizes over its largest possible value"),
            text("quotas", f"{len(self._quotas)} quota{'' if len(self._quotas) == 1 else 's'}" if self._quotas else ""),
        ]  # fmt: skip

    def _changed_look(self, *_: Any) -> None:
        self._view.look = self._why.look = self._look()

    def _look(self) -> str:
        session = self.session
        return f"stretch={session.stretch}&contrast={session.contrast:g}&cmap={session.colour_map}"

    def _deliver(self, action: Callable[[], None]) -> None:
        if self._document is None:
            action()
        else:
            self._document.add_next_tick_callback(action)


def _whole(text: str, what: str) -> int:
    try:
        return int(float(text.replace(",", "").strip()))
    except (ValueError, OverflowError):
        raise RequestError(f"The {what} is a whole number, not {text[:20]!r}.") from None
