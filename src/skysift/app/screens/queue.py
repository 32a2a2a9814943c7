"""The screen "Queue"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from skysift.app.queue.deck import Deck
from skysift.app.queue.learning import Curve, Ranking, Request, Trainer, rank, score_columns
from skysift.app.queue.progress import Said, found_curve, top_users
from skysift.app.screen import Screen
from skysift.errors import RequestError

KINDS = (("astronomaly", "Astronomaly (random forest)"), ("expected-improvement", "Expected improvement (GP)"))
WHOSE = (("anyone", "not rated by anyone"), ("me", "not rated by me"))


class QueueScreen(Screen):
    """Candidates one by one, the best unrated first; keys rate, and what was rated reorders the rest."""

    name: ClassVar[str] = "queue"
    title: ClassVar[str] = "Queue"

    def panel(self) -> Any:
        """Build the card, the strips above it and the figures below."""
        import panel as pn

        from skysift.app.parts import Controls
        from skysift.app.queue.figures import Curves
        from skysift.app.queue.widget import Cards

        session = self.session
        self._columns = score_columns(session.survey)
        self._request = Request(self._columns[0])
        self._whose, self._status, self._seq, self._outdated = "anyone", "", 0, False
        self._ranking = rank(session.survey, self._request, self._read())
        self._deck = Deck(self._candidates(), self._rated())
        self._document = pn.state.curdoc
        self._trainer = Trainer(session.survey, self._deliver, self._tell, self._ranked, self._draw_learnt)

        self._controls = Controls(self._controlled, testid="queue-controls", sizing_mode="stretch_width")
        self._cards = Cards(self._received, look=self._look(), sizing_mode="stretch_width")
        self._found = Curves("Found against rated", "candidates rated", "found (interesting or ≥ 4)", steps=True)
        self._learnt = Curves("Learning curve", "ratings learnt from", "mean error of the next scores")
        self._push()
        self._draw_found()
        session.param.watch(self._changed_look, ["stretch", "contrast", "colour_map"])
        session.param.watch(self._changed_ratings, ["rated", "user"])
        session.param.watch(self._changed_set, ["selection", "filters"])
        session.param.watch(self._changed_screen, "screen")
        figures = pn.Row(
            pn.pane.Bokeh(self._found.figure, sizing_mode="stretch_width", min_width=260),
            pn.pane.Bokeh(self._learnt.figure, sizing_mode="stretch_width", min_width=260),
            sizing_mode="stretch_width",
        )
        return pn.Column(self._controls, self._cards, figures, sizing_mode="stretch_width")

    def keys(self) -> dict[str, Callable[[], object]]:
        """Return the keys; the browser answers them itself, so that a picture follows at once."""

        def key(text: str, message: dict[str, Any]) -> Callable[[], object]:
            def press() -> None:
                self._received({**message, "id": self._current_id(), "seq": self._seq})

            press.__doc__ = text
            return press

        scores = {str(n): key(f"Score {n}", {"rate": {"score": n}}) for n in range(6)}
        words = (("i", "interesting"), ("a", "artefact"), ("b", "boring"))
        return {
            **scores,
            **{letter: key(f"Judge {word}", {"rate": {"judgement": word}}) for letter, word in words},
            "u": key("Undo my last rating", {"undo": True}),
            "ArrowLeft": key("Previous candidate", {"step": -1}),
            "ArrowRight": key("Next candidate, without a rating", {"step": 1}),
        }

    def visited(self) -> None:
        """Give the keys to the queue, and catch up with what others did."""
        if hasattr(self, "_cards"):
            self._cards.active = True
            if self._outdated:
                self._refresh()

    # -- what the browser says -----------------------------------------------------------------------------------

    def _received(self, message: dict[str, Any]) -> None:
        self._seq = int(message.get("seq") or 0)
        try:
            self._do(message)
        except Exception as error:  # noqa: BLE001 - shown, and the browser put right again
            self.session.fail(error)
        self._push()

    def _do(self, message: dict[str, Any]) -> None:
        session, deck = self.session, self._deck
        if message.get("undo"):
            undone = session.undo()
            if undone is None:
                raise RequestError("There is nothing left to undo.")
            deck.go_to(session.survey.row_of(undone.cutout_id))
            return
        row = session.survey.row_of(str(message.get("id", "")))
        if message.get("open"):
            session.look_at(row)
            return
        deck.go_to(row)
        if isinstance(said := message.get("rate"), dict):
            judgement, score = said.get("judgement"), said.get("score")
            session.rate(row, judgement=judgement, score=score, model=self._ranking.model)
            deck.forward()
        elif isinstance(step := message.get("step"), int):
            _ = deck.forward() if step > 0 else deck.back()
        session.focus = deck.current

    def _controlled(self, message: dict[str, Any]) -> None:
        name, value = str(message.get("name")), message.get("value")
        if name == "column" and value in self._columns:
            self._ask(column=str(value))
        elif name == "kind" and value in dict(KINDS):
            self._ask(kind=str(value))
        elif name == "explore" and isinstance(value, int | float):
            self._ask(explore=min(max(float(value), 0.0), 1.0))
        elif name == "whose" and value in dict(WHOSE):
            self._whose = str(value)
            self._refresh(restart=True)
        elif name == "retrain":
            self._ask(learn=True)
        elif name == "forget":
            self._ask(learn=False)

    # -- ordering ------------------------------------------------------------------------------------------------

    def _ask(self, **changes: Any) -> None:
        """Order the queue anew, in the background where something is to be learnt."""
        values = {**self._request.__dict__, **changes}
        request = Request(**values)
        needs_order = request.learn or self._request.learn or request.column != self._request.column
        self._request = request
        if request.learn and not len(self._said):
            self._request = Request(**{**values, "learn": False})
            self.session.tell("Nothing is rated yet: rate some candidates first.", "error")
        elif needs_order:
            self.session.busy = True
            self._trainer.start(request, self._said)
        self._show_controls()

    def _ranked(self, request: Request, result: Ranking | Exception) -> None:
        self.session.busy = False
        if isinstance(result, Exception):
            self._request = Request(request.column)
            self.session.fail(result)
        else:
            self._ranking = result
            self._refresh(restart=True)
            if request.learn:
                self.session.tell(f"Reordered after {result.rated:,} rated cutouts, in {result.seconds:.1f} s.")
        self._show_controls()

    def _candidates(self) -> Any:
        keep = self.session.passing()
        order = self._ranking.order
        return order[keep[order]]

    def _rated(self) -> Any:
        user = self.session.user if self._whose == "me" else None
        return self._said.rated(len(self.session.survey), user)

    def _read(self) -> Said:
        from skysift.app.queue.cards import Opinions

        survey = self.session.survey
        table = survey.ledger.current()
        self._said, self._opinions = Said.read(survey, table), Opinions(survey, table)
        return self._said

    # -- what is shown -------------------------------------------------------------------------------------------

    def _refresh(self, *, restart: bool = False) -> None:
        self._outdated = False
        self._deck.rated = self._rated()
        self._deck.reorder(self._candidates(), restart=restart)
        self._push()

    def _push(self) -> None:
        from skysift.app.queue.cards import line

        session = self.session
        cards, place = line(session.survey, self._deck, self._request.column, self._opinions, session.user)
        self._cards.state = {"seq": self._seq, "line": cards, "place": place}
        self._show_controls()

    def _show_controls(self) -> None:
        from skysift.app.parts import button, menu, slider, space, text

        request, deck = self._request, self._deck
        order = "learnt from ratings" if self._ranking.rated else "static score"
        said = self._status or f"{deck.left:,} of {len(deck.order):,} candidates unrated · order: {order}"
        enabled = self.session.survey.features is not None
        self._controls.items = [
            menu("column", [(name, name) for name in self._columns], request.column, label="Ranked by"),
            menu("whose", WHOSE, self._whose, label="First"),
            menu("kind", KINDS, request.kind, label="Learner"),
            slider("explore", request.explore, 0, 1, 0.05, label="Exploit – explore", digits=2,
                   help="0: more of what was liked. 1: what is unlike all that was rated."),
            button("retrain", "Retrain", look="main", disabled=not enabled or self._trainer.busy,
                   help="Learn from all ratings and reorder" if enabled else "Learning needs features"),
            button("forget", "Static order", disabled=not self._ranking.rated, help="Back to the order of the score"),
            space(),
            text("status", said),
        ]  # fmt: skip

    def _draw_found(self) -> None:
        users = top_users(self._said)
        curves = {name: found_curve(self._said, name) for name in users}
        if len(users) > 1:
            curves = {"all": found_curve(self._said), **curves}
        self._found.show(curves)

    def _draw_learnt(self, curve: Curve) -> None:
        rated, error, plain = curve
        self._learnt.show({"foreseen by the learner": (rated, error), "by the mean": (rated, plain)} if rated else {})

    # -- what changes elsewhere ----------------------------------------------------------------------------------

    def _changed_look(self, *_: Any) -> None:
        self._cards.look = self._look()

    def _changed_ratings(self, *_: Any) -> None:
        self._read()
        self._deck.rated = self._rated()
        self._draw_found()
        if self.session.screen == self.name:
            self._push()
        else:
            self._outdated = True

    def _changed_set(self, *_: Any) -> None:
        if self.session.screen == self.name:
            self._refresh(restart=True)
        else:
            self._outdated = True

    def _changed_screen(self, event: Any) -> None:
        self._cards.active = event.new == self.name

    def _current_id(self) -> str:
        return str(self.session.survey.ids[self._deck.current]) if self._deck.current >= 0 else ""

    def _look(self) -> str:
        session = self.session
        return f"stretch={session.stretch}&contrast={session.contrast:g}&cmap={session.colour_map}"

    def _tell(self, words: str) -> None:
        self._status = words
        self._show_controls()

    def _deliver(self, action: Callable[[], None]) -> None:
        if self._document is None:
            action()
        else:
            self._document.add_next_tick_callback(action)
