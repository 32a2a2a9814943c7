// One candidate at a time. A key shows the next one at once, from pictures fetched before; Python is told, and its
// answer puts right what was foreseen wrongly.

const SCORES = ["0", "1", "2", "3", "4", "5"];
const JUDGEMENTS = [["i", "interesting"], ["a", "artefact"], ["b", "boring"]];
const BIG = [256, 384, 512]; // sizes that share pictures in caches
const CONTEXT = 384;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function render({ model, el }) {
  let line = []; // candidates that the browser knows, in order
  let place = 0; // which of them is shown
  let sent = 0; // number of the last message
  let shown = ""; // address of the picture that is shown
  const kept = new Map(); // address -> Image, so that pictures stay decoded

  // -- elements ------------------------------------------------------------------------------------------------
  const picture = make("img", { class: "picture", alt: "", "data-testid": "queue-picture", draggable: "false" });
  const rank = make("span", { class: "rank", "data-testid": "queue-rank" });
  const mine = make("span", { class: "mine", "data-testid": "queue-mine" });
  const flash = make("span", { class: "flash", "aria-hidden": "true" });
  const empty = make("p", { class: "empty" }, "No candidates: take off filters or selections.");
  const frame = make("div", { class: "frame" }, picture, rank, mine, flash, empty);

  const rate = (what) => act({ rate: what });
  const button = (key, text, what, look, help) => make("button",
    { class: `rate ${look}`, "data-testid": `queue-rate-${key}`, title: help, onclick: () => rate(what) },
    ...(text === key ? [] : [make("kbd", {}, key)]), make("span", {}, text));
  const scores = SCORES.map((key) => button(key, key, { score: Number(key) }, "score", `Score ${key} (key ${key})`));
  const words = JUDGEMENTS.map(([key, word]) => button(key, word, { judgement: word }, word, `${word} (key ${key})`));
  const tool = (name, text, help, onclick) =>
    make("button", { class: "tool", "data-testid": `queue-${name}`, title: help, "aria-label": help, onclick }, text);
  const verdicts = make("div", { class: "verdicts" },
    tool("back", "←", "Previous (left arrow)", () => act({ step: -1 })),
    make("span", { class: "group" }, ...scores),
    make("span", { class: "group" }, ...words),
    tool("undo", "Undo", "Take back my last rating (key u)", () => act({ undo: true })),
    tool("next", "→", "Next without rating (right arrow)", () => act({ step: 1 })));

  const context = make("img", { class: "context", alt: "", draggable: "false", "data-testid": "queue-context" });
  const square = make("span", { class: "square" });
  const around = make("figure", {}, make("div", { class: "around" }, context, square),
    make("figcaption", {}, `${model.wider} times wider; the candidate in the frame`));
  const open = make("button", { class: "link", onclick: () => act({ open: true }) }, "Open in Detail");
  const facts = make("dl", { class: "facts" });
  const said = make("ul", { class: "said", "data-testid": "queue-said" });
  const side = make("div", { class: "side" }, around, facts, said, open);
  const root = make("div", { class: "queue", "data-testid": "queue" }, make("div", { class: "stage" }, frame, verdicts), side);
  el.append(root);

  // -- pictures ------------------------------------------------------------------------------------------------
  const size = () => {
    const wanted = (frame.clientWidth || 480) * Math.min(window.devicePixelRatio || 1, 2);
    return BIG.find((side_) => side_ >= wanted * 0.9) ?? BIG[BIG.length - 1];
  };
  const source = (card) => `./thumbnail/${card.id}.png?size=${size()}&${model.look}`;
  const wider = (card) => `./context/${card.id}.png?size=${CONTEXT}&zoom=${model.wider}&${model.look}`;
  const fetchAhead = () => {
    const wanted = new Set();
    for (const card of line.slice(place, place + 9)) for (const url of [source(card), wider(card)]) wanted.add(url);
    if (place) wanted.add(source(line[place - 1]));
    for (const url of wanted) {
      if (kept.has(url)) continue;
      const image = new Image();
      image.src = url;
      kept.set(url, image);
    }
    for (const url of kept.keys()) if (!wanted.has(url) && kept.size > 40) kept.delete(url);
  };

  const draw = () => {
    const card = line[place];
    root.classList.toggle("nothing", !card);
    if (!card) { root.dataset.id = root.dataset.ahead = ""; return; }
    const url = source(card);
    if (url !== shown) {
      shown = url;
      picture.src = url;
      picture.alt = `Cutout ${card.id}`;
      context.src = wider(card);
      context.alt = `Surroundings of cutout ${card.id}`;
    }
    root.dataset.id = card.id;
    root.dataset.ahead = line.slice(place, place + 6).map((next) => next.id).join(" ");
    rank.textContent = card.rank ? `Rank ${card.rank.toLocaleString("en")}` : "Not among the candidates";
    mine.textContent = card.mine;
    mine.hidden = !card.mine;
    facts.replaceChildren(...card.facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
    said.replaceChildren(...card.said.map(([who, what]) => make("li", {}, make("b", {}, who), ` ${what}`)));
    said.hidden = !card.said.length;
    for (const [node, key] of [...scores.map((n, i) => [n, SCORES[i]]), ...words.map((n, i) => [n, JUDGEMENTS[i][1]])]) {
      node.setAttribute("aria-pressed", String(card.given.includes(key)));
    }
    fetchAhead();
  };

  // -- what is done ---------------------------------------------------------------------------------------------
  const act = (what) => {
    const card = line[place];
    if (!card && !what.undo) return;
    sent += 1;
    if (what.rate) {
      const text = what.rate.judgement ?? String(what.rate.score);
      card.given = [text];
      card.mine = text;
      flash.textContent = text;
      flash.className = `flash ${what.rate.judgement ?? "score"}`;
      void flash.offsetWidth; // so that the animation begins again
      flash.classList.add("on");
    }
    if ((what.rate || what.step === 1) && place + 1 < line.length) place += 1;
    if (what.step === -1 && place > 0) place -= 1;
    model.send_msg({ ...what, id: card?.id ?? "", seq: sent });
    if (!what.open) draw();
  };
  const KEYS = { ArrowLeft: { step: -1 }, ArrowRight: { step: 1 }, u: { undo: true } };
  for (const key of SCORES) KEYS[key] = { rate: { score: Number(key) } };
  for (const [key, word] of JUDGEMENTS) KEYS[key] = { rate: { judgement: word } };
  const onkey = (event) => { // from the frame of the page, which knows when a key is meant for a field
    if (!model.active || !(event.detail in KEYS)) return;
    event.preventDefault();
    act(KEYS[event.detail]);
  };
  document.addEventListener("sk-key", onkey);

  // -- what Python says -------------------------------------------------------------------------------------------
  const take = () => {
    const state = model.state;
    if (!state.line || state.seq < sent) return; // an answer to something older; a newer one is on its way
    sent = Math.max(sent, state.seq);
    line = state.line.map((card) => ({ ...card, given: [...card.given] }));
    place = state.place;
    draw();
  };
  model.on("state", take);
  model.on("look", draw);
  const watch = new ResizeObserver(() => draw());
  watch.observe(frame);
  take();
  model.on("remove", () => {
    document.removeEventListener("sk-key", onkey);
    watch.disconnect();
  });
}
