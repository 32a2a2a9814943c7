// Filters: a histogram with two handles for numbers, a list of words for texts; Python counts, the browser draws.

const WIDTH = 220;
const HEIGHT = 46;
const MOST_WORDS = 12;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

function draw(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function short(value) {
  if (!Number.isFinite(value)) return "";
  const size = Math.abs(value);
  if (value === Math.round(value) && size < 1e6) return String(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

// Bars in steps of the edges: a place in [0, 1] is a place between edges, so that logarithmic bins are even, too.
function placeOf(edges, value) {
  const last = edges.length - 1;
  if (value <= edges[0]) return 0;
  if (value >= edges[last]) return 1;
  let bin = 0;
  while (value >= edges[bin + 1]) bin += 1;
  return (bin + (value - edges[bin]) / (edges[bin + 1] - edges[bin])) / last;
}
function valueAt(edges, place) {
  const last = edges.length - 1;
  const bin = Math.min(last - 1, Math.floor(place * last));
  return edges[bin] + (place * last - bin) * (edges[bin + 1] - edges[bin]);
}

function histogram(card, send) {
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "bars" });
  const box = make("div", { class: "plot" });
  const left = make("button", { class: "handle", "aria-label": `Lower bound of ${card.name}` });
  const right = make("button", { class: "handle", "aria-label": `Upper bound of ${card.name}` });
  const low = make("input", { type: "text", inputmode: "decimal", "aria-label": `${card.name} from` });
  const high = make("input", { type: "text", inputmode: "decimal", "aria-label": `${card.name} to` });
  box.append(svg, left, right);
  const edges = card.edges;
  let bounds = [card.low, card.high]; // null = open
  let dragged = false;
  const bars = card.all.map((_, bin) => {
    const step = WIDTH / card.all.length;
    const behind = draw("rect", { class: "all", x: bin * step, width: Math.max(step - 1, 0.5) });
    const front = draw("rect", { class: "kept", x: bin * step, width: Math.max(step - 1, 0.5) });
    svg.append(behind, front);
    return [behind, front];
  });
  const show = () => {
    const places = [bounds[0] === null ? 0 : placeOf(edges, bounds[0]), bounds[1] === null ? 1 : placeOf(edges, bounds[1])];
    left.style.left = `${places[0] * 100}%`;
    right.style.left = `${places[1] * 100}%`;
    if (document.activeElement !== low) low.value = short(bounds[0] ?? edges[0]);
    if (document.activeElement !== high) high.value = short(bounds[1] ?? edges[edges.length - 1]);
    bars.forEach(([, front], bin) => {
      const middle = (bin + 0.5) / bars.length;
      front.classList.toggle("out", middle < places[0] || middle > places[1]);
    });
  };
  const set = (next) => {
    const tallest = Math.max(1, ...next.all);
    next.all.forEach((count, bin) => {
      const height = (n) => (n > 0 ? Math.max(1.5, HEIGHT * Math.sqrt(n / tallest)) : 0);
      [[bars[bin][0], count], [bars[bin][1], next.kept[bin]]].forEach(([bar, n]) => {
        bar.setAttribute("height", height(n));
        bar.setAttribute("y", HEIGHT - height(n));
      });
    });
    if (!dragged) bounds = [next.low, next.high];
    show();
  };
  const done = () => send({ do: "range", name: card.name, low: bounds[0], high: bounds[1] });
  const put = (side, place) => {
    const other = bounds[1 - side] === null ? 1 - side : placeOf(edges, bounds[1 - side]);
    const kept = side === 0 ? Math.min(place, other) : Math.max(place, other);
    const value = valueAt(edges, kept);
    bounds[side] = (side === 0 ? kept <= 0 : kept >= 1) ? null : value;
    show();
  };
  [left, right].forEach((handle, side) => {
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      dragged = true;
      event.preventDefault();
    });
    handle.addEventListener("pointermove", (event) => {
      if (!dragged || !handle.hasPointerCapture(event.pointerId)) return;
      const frame = box.getBoundingClientRect();
      put(side, Math.max(0, Math.min(1, (event.clientX - frame.left) / frame.width)));
    });
    handle.addEventListener("pointerup", () => { if (dragged) { dragged = false; done(); } });
    handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const here = bounds[side] === null ? side : placeOf(edges, bounds[side]);
      put(side, Math.max(0, Math.min(1, here + step / card.all.length)));
      done();
    });
  });
  [low, high].forEach((input, side) => input.addEventListener("change", () => {
    const value = Number(input.value);
    bounds[side] = input.value.trim() === "" || !Number.isFinite(value) ? null : value;
    if (bounds[0] !== null && bounds[1] !== null && bounds[0] > bounds[1]) bounds.reverse();
    done();
  }));
  const unit = make("span", { class: "unit" }, card.unit);
  return [[box, make("div", { class: "ends" }, low, unit, high)], set];
}

function words(card, send) {
  const list = make("div", { class: "words", role: "group", "aria-label": card.name });
  const search = make("input", { type: "text", class: "search", placeholder: "Find …", "aria-label": `Find in ${card.name}` });
  let latest = card;
  const fill = () => {
    const wanted = search.value.trim().toLowerCase();
    const passing = latest.words.filter(([word]) => word.toLowerCase().includes(wanted));
    const chosen = new Set(latest.chosen);
    const shown = passing.filter(([word]) => chosen.has(word)).concat(passing.filter(([word]) => !chosen.has(word)));
    list.replaceChildren(...shown.slice(0, MOST_WORDS).map(([word, count]) => {
      const box = make("input", { type: "checkbox", checked: chosen.has(word) });
      box.addEventListener("change", () => {
        if (box.checked) chosen.add(word); else chosen.delete(word);
        send({ do: "words", name: card.name, words: [...chosen] });
      });
      return make("label", { title: word }, box, make("span", { class: word ? "word" : "word none" }, word || "none"),
        make("span", { class: "count" }, count.toLocaleString("en")));
    }), ...(shown.length > MOST_WORDS ? [make("p", { class: "more" }, `and ${shown.length - MOST_WORDS} more`)] : []));
  };
  search.addEventListener("input", fill);
  search.hidden = card.words.length <= MOST_WORDS;
  return [[search, list], (next) => { latest = next; search.hidden = next.words.length <= MOST_WORDS; fill(); }];
}

export function render({ model, el }) {
  const send = (what) => model.send_msg(what);
  const chooser = make("select", { class: "chooser", "aria-label": "Add a filter", "data-testid": "filter-add" });
  chooser.addEventListener("change", () => {
    if (chooser.value) send({ do: "add", name: chooser.value });
    chooser.value = "";
  });
  const clear = make("button", { class: "clear", "data-testid": "filter-clear", onclick: () => send({ do: "clear" }) }, "Clear all");
  const head = make("div", { class: "head" }, make("h2", {}, "Filters"), clear);
  const picked = make("div", { class: "picked", "data-testid": "filter-selection" });
  const dropPicked = make("button", { class: "drop", "aria-label": "Show all again", title: "Show all again", onclick: () => send({ do: "unselect" }) }, "✕");
  const pickedText = make("span", {});
  picked.append(pickedText, dropPicked);
  const hint = make("p", { class: "hint" }, "Choose a column to keep a range of its values.");
  const list = make("div", { class: "cards" });
  const panel = make("div", { class: "filters", "data-testid": "filters" }, head, picked, chooser, list, hint);
  const known = new Map();
  const options = () => {
    const groups = new Map();
    for (const [name, group] of model.columns) {
      if (!groups.has(group)) groups.set(group, make("optgroup", { label: group }));
      groups.get(group).append(make("option", { value: name }, name));
    }
    chooser.replaceChildren(make("option", { value: "" }, "Add a filter …"), ...groups.values());
  };
  const update = () => {
    const wanted = model.cards.map((card) => {
      const key = `${card.name}:${card.kind}:${card.edges ? card.edges.join() : ""}`;
      if (!known.has(key)) {
        const [parts, set] = card.kind === "range" ? histogram(card, send) : words(card, send);
        const drop = make("button", { class: "drop", "aria-label": `Remove the filter of ${card.name}`, title: "Remove", onclick: () => send({ do: "drop", name: card.name }) }, "✕");
        const title = make("div", { class: "title" }, make("span", { title: card.help || card.name }, card.name), drop);
        const node = make("section", { class: "card", "data-column": card.name, "data-testid": "filter-card" }, title, ...parts);
        known.set(key, [node, set]);
      }
      const [node, set] = known.get(key);
      set(card);
      return node;
    });
    for (const [key, [node]] of known) if (!wanted.includes(node)) known.delete(key);
    if (wanted.length !== list.children.length || wanted.some((node, number) => list.children[number] !== node)) {
      list.replaceChildren(...wanted);
    }
    hint.hidden = model.cards.length > 0;
    clear.hidden = !model.cards.length && !model.selected;
    picked.hidden = !model.selected;
    pickedText.textContent = `Only ${model.selected.toLocaleString("en")} selected`;
  };
  model.on("columns", options);
  model.on(["cards", "selected"], update);
  options();
  update();
  el.append(panel);
}
