// A grid of thumbnails of any length: only the rows in view are elements, their content is asked for in pieces.

const GAP = 8;
const CAPTION = 20;
const AHEAD = 1; // rows above and below the view
const TALLEST = 8_000_000; // browsers can't scroll much further [pixel]
const SIZES = [64, 96, 128, 192, 256, 384, 512];
const LETTERS = { interesting: "I", artefact: "A", boring: "B" };

function make(tag, className, parent) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (parent) parent.append(element);
  return element;
}

export function render({ model, el }) {
  const root = make("div", "grid", el);
  root.tabIndex = 0;
  root.dataset.testid = "grid";
  root.setAttribute("role", "listbox");
  root.setAttribute("aria-multiselectable", "true");
  root.setAttribute("aria-label", "Cutouts");
  const runway = make("div", "runway", root);
  const empty = make("p", "empty", root);

  const cells = new Map(); // place -> what Python said of it
  const nodes = new Map(); // place -> element
  let layout = { columns: 1, tile: 128, row: 156, rows: 0, height: 0, factor: 1 };
  let asked = "";
  let generation = model.generation;

  const measure = () => {
    const width = Math.max(root.clientWidth - 2, 60);
    const columns = model.columns || Math.max(1, Math.floor((width + GAP) / (model.size + GAP)));
    const widest = model.columns ? width : Math.round(model.size * 1.6);
    const tile = Math.max(24, Math.min(Math.floor((width + GAP) / columns) - GAP, widest));
    const row = tile + (model.captions ? CAPTION : 0) + GAP;
    const rows = Math.ceil(model.total / columns);
    const whole = rows * row;
    if (model.columns) { // all of it, nothing to scroll; Panel's element around it has the same class
      root.style.height = `${whole + 2}px`;
      if (root.parentElement) root.parentElement.style.height = root.style.height;
    }
    const height = Math.min(whole, TALLEST);
    const view = root.clientHeight;
    const factor = height > view && whole > view ? (whole - view) / (height - view) : 1;
    layout = { columns, tile, row, rows, height, factor };
    runway.style.height = `${height}px`;
    empty.textContent = model.total ? "" : model.empty;
    empty.hidden = model.total > 0;
  };

  const top = () => root.scrollTop * layout.factor; // where the view begins in the whole grid [pixel]

  const range = () => {
    const first = Math.max(0, Math.floor(top() / layout.row) - AHEAD);
    const last = Math.ceil((top() + root.clientHeight) / layout.row) + AHEAD;
    return [first * layout.columns, Math.min(model.total, last * layout.columns)];
  };

  const source = (id) => {
    const wanted = layout.tile * Math.min(window.devicePixelRatio || 1, 2);
    const size = SIZES.find((side) => side >= wanted) ?? SIZES[SIZES.length - 1];
    return `./thumbnail/${id}.png?size=${size}&${model.look}`;
  };

  const fill = (node, place) => {
    const cell = cells.get(place);
    node.classList.toggle("waiting", !cell);
    if (!cell) return;
    const url = source(cell.id);
    if (node.dataset.url !== url) {
      node.dataset.url = url;
      node.picture.src = url;
      node.picture.alt = cell.id;
    }
    node.dataset.id = cell.id;
    node.dataset.row = cell.row;
    node.title = cell.title;
    node.caption.textContent = cell.text;
    node.classList.toggle("marked", cell.marked);
    node.classList.toggle("focus", cell.focus);
    node.setAttribute("aria-selected", String(cell.marked));
    const said = [LETTERS[cell.judgement] ?? "", cell.score ?? ""].join("");
    node.badge.textContent = said;
    node.badge.hidden = !said;
    node.badge.className = `badge ${cell.judgement || "scored"}`;
  };

  const build = (place) => {
    const node = make("div", "cell waiting", runway);
    node.setAttribute("role", "option");
    node.dataset.place = place;
    const frame = make("div", "frame", node);
    node.picture = make("img", "", frame);
    node.picture.draggable = false;
    node.picture.decoding = "async";
    if (model.ticks) {
      const tick = make("button", "tick", frame);
      tick.tabIndex = -1;
      tick.setAttribute("aria-label", "Mark");
    }
    node.badge = make("span", "badge", frame);
    node.badge.hidden = true;
    node.caption = make("div", "caption", node);
    node.caption.hidden = !model.captions;
    return node;
  };

  const draw = () => {
    const [first, last] = range();
    for (const [place, node] of nodes) {
      if (place < first || place >= last) { node.remove(); nodes.delete(place); }
    }
    const shift = root.scrollTop - top();
    for (let place = first; place < last; place += 1) {
      let node = nodes.get(place);
      if (!node) { node = build(place); nodes.set(place, node); }
      const row = Math.floor(place / layout.columns);
      node.style.transform =
        `translate(${(place % layout.columns) * (layout.tile + GAP)}px, ${row * layout.row + shift}px)`;
      node.style.width = `${layout.tile}px`;
      node.style.setProperty("--tile", `${layout.tile}px`);
      node.classList.toggle("cursor", place === model.cursor);
      fill(node, place);
    }
    ask(first, last);
  };

  // Ask for what is missing, once for each range.
  const ask = (first, last) => {
    let from = first;
    while (from < last && cells.has(from)) from += 1;
    if (from >= last) return;
    let to = last;
    while (to > from && cells.has(to - 1)) to -= 1;
    const key = `${generation}:${from}:${to}`;
    if (key === asked) return;
    asked = key;
    model.send_msg({ do: "cells", first: from, count: to - from, generation });
  };

  let pending = 0;
  const redraw = () => {
    if (pending) return;
    pending = requestAnimationFrame(() => { pending = 0; draw(); });
  };

  const arrange = (keep) => {
    const place = Math.floor(top() / layout.row) * layout.columns;
    measure();
    if (keep) root.scrollTop = (Math.floor(place / layout.columns) * layout.row) / layout.factor;
    for (const node of nodes.values()) node.remove();
    nodes.clear();
    draw();
  };

  const reveal = (place) => {
    const upper = Math.floor(place / layout.columns) * layout.row;
    const view = root.clientHeight;
    if (upper < top()) root.scrollTop = upper / layout.factor;
    else if (upper + layout.row > top() + view) root.scrollTop = (upper + layout.row - view) / layout.factor;
  };

  const move = (place, shift) => {
    if (!model.total) return;
    const next = Math.max(0, Math.min(model.total - 1, place));
    model.cursor = next;
    reveal(next);
    redraw();
    model.send_msg({ do: "move", place: next, shift });
  };

  root.addEventListener("scroll", redraw, { passive: true });
  root.addEventListener("click", (event) => {
    const node = event.target.closest(".cell");
    if (!node) return;
    const place = Number(node.dataset.place);
    model.cursor = place;
    root.focus({ preventScroll: true });
    const ticked = event.target.closest(".tick") !== null;
    model.send_msg({ do: "click", place, shift: event.shiftKey, ctrl: event.ctrlKey || event.metaKey || ticked });
  });
  root.addEventListener("dblclick", (event) => {
    const node = event.target.closest(".cell");
    if (node && !event.target.closest(".tick")) model.send_msg({ do: "open", place: Number(node.dataset.place) });
  });
  root.addEventListener("mousedown", (event) => { if (event.shiftKey) event.preventDefault(); });
  root.addEventListener("keydown", (event) => {
    const place = model.cursor < 0 ? 0 : model.cursor;
    const page = Math.max(1, Math.floor(root.clientHeight / layout.row)) * layout.columns;
    const known = model.cursor < 0 ? 0 : 1;
    const moves = {
      ArrowLeft: place - known, ArrowRight: place + known,
      ArrowUp: place - known * layout.columns, ArrowDown: place + known * layout.columns,
      PageUp: place - page, PageDown: place + page, Home: 0, End: model.total - 1,
    };
    if (event.altKey) return;
    const command = event.ctrlKey || event.metaKey;
    if (event.key in moves) move(moves[event.key], event.shiftKey);
    else if (event.key === " ") model.send_msg({ do: "click", place, shift: false, ctrl: true });
    else if (event.key === "Enter") model.send_msg({ do: "open", place });
    else if (command && event.key.toLowerCase() === "a") model.send_msg({ do: "all" });
    else if (event.key === "Escape") model.send_msg({ do: "none" });
    else return;
    event.preventDefault();
    if (event.key !== "Escape") event.stopPropagation();
  });

  model.on("msg:custom", (message) => {
    const what = message.data ?? message;
    if (what.generation !== generation) return;
    what.cells.forEach((cell, number) => cells.set(what.first + number, cell));
    asked = "";
    for (const [place, node] of nodes) fill(node, place);
  });
  model.on("generation", () => {
    generation = model.generation;
    asked = "";
    cells.clear();
    root.scrollTop = 0;
    measure();
    draw();
  });
  model.on("refreshed", () => { // the order stays, what is said of the cells does not
    asked = "";
    const [first, last] = range();
    for (const place of cells.keys()) if (place < first || place >= last) cells.delete(place);
    model.send_msg({ do: "cells", first, count: last - first, generation });
  });
  model.on("look", redraw);
  model.on("size", () => arrange(true));
  model.on("total", () => arrange(true)); // may come after the generation that it belongs to
  model.on("cursor", redraw);
  let width = 0;
  const watch = new ResizeObserver(() => {
    if (!root.clientHeight) return;
    if (root.clientWidth !== width) { width = root.clientWidth; arrange(true); } else { measure(); redraw(); }
  });
  watch.observe(root);
  measure();
  model.on("after_render", () => { arrange(false); });
  model.on("remove", () => watch.disconnect());
}
