// The clusters within a cluster as cards: typical members, size, what is kept, and a slider for a quota.

const WAIT = 180; // between two messages of a slider that moves [ms]

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const number = (value) => Number(value).toLocaleString("en");

export function render({ model, el }) {
  const crumbs = make("nav", { class: "crumbs", "aria-label": "Path in the tree" });
  const note = make("span", { class: "note" });
  const cards = make("div", { class: "cards" });
  const root = make("div", { class: "tree", "data-testid": "tree" },
    make("div", { class: "head" }, crumbs, note), cards);
  el.append(root);
  const known = new Map(); // node -> card, kept while the same cluster is open
  let opened = null;

  const picture = (id, kept) => make("button", {
    class: kept === undefined ? "thumb" : kept ? "thumb kept" : "thumb dropped", "data-id": id,
    title: `${id}: why was this ${kept === false ? "left out" : "kept"}?`, onclick: () => model.send_msg({ why: id }),
  }, make("img", { src: `./thumbnail/${id}.png?size=96&${model.look}`, alt: `Cutout ${id}`, loading: "lazy" }));

  const build = (node) => {
    const bars = [make("span", { class: "bar before" }), make("span", { class: "bar after" })];
    const read = make("output", {});
    const input = make("input", { type: "range", min: 0, max: node.size, step: 1, "aria-label": `Quota of cluster ${node.node}`, "data-testid": `quota-${node.node}` });
    let timer = 0;
    let latest = 0;
    const send = () => { latest = Date.now(); model.send_msg({ quota: node.node, value: Number(input.value) }); };
    input.addEventListener("input", () => {
      read.textContent = `${number(input.value)} (quota)`;
      clearTimeout(timer);
      if (Date.now() - latest > WAIT) send(); else timer = setTimeout(send, WAIT);
    });
    input.addEventListener("change", () => { clearTimeout(timer); send(); });
    const auto = make("button", { class: "auto", title: "Give up the quota: an even share again", onclick: () => model.send_msg({ release: node.node }) }, "auto");
    const open = make("button", { class: "open", "data-testid": `open-${node.node}`, onclick: () => model.send_msg({ open: node.node }) },
      node.inner ? `${number(node.inner)} clusters →` : "members →");
    const card = make("article", { class: "card", "data-node": node.node },
      make("header", {}, make("b", {}, node.node), make("span", { class: "size" }), open),
      make("div", { class: "thumbs" }, ...node.ids.map((id) => picture(id))),
      make("div", { class: "bars" }, ...bars),
      make("div", { class: "quota" }, input, read, auto));
    const set = (next, most) => {
      card.querySelector(".size").textContent = `${number(next.kept)} of ${number(next.size)}`;
      bars[0].style.width = `${(100 * next.size) / most}%`;
      bars[1].style.width = `${(100 * next.kept) / most}%`;
      const pinned = next.quota !== null;
      if (!input.matches(":active")) {
        input.value = pinned ? next.quota : next.kept;
        read.textContent = pinned ? `${number(next.quota)} (quota)` : `${number(next.kept)} (share)`;
      }
      card.classList.toggle("pinned", pinned);
      auto.disabled = !pinned;
    };
    return [card, set];
  };

  const draw = () => {
    const state = model.state;
    if (!state.crumbs) return;
    crumbs.replaceChildren(...state.crumbs.flatMap(([text, node], i) => [
      ...(i ? [make("span", { class: "sep" }, "›")] : []),
      make("button", { disabled: i === state.crumbs.length - 1, onclick: () => model.send_msg({ open: node }) }, text)]));
    note.textContent = state.note;
    if (opened !== state.view) { known.clear(); opened = state.view; }
    if (state.members.length) {
      cards.className = "cards members";
      cards.replaceChildren(...state.members.map((m) => picture(m.id, m.kept)));
      return;
    }
    cards.className = "cards";
    const wanted = state.nodes.map((node) => {
      if (!known.has(node.node)) known.set(node.node, build(node));
      const [card, set] = known.get(node.node);
      set(node, state.most);
      return card;
    });
    if (wanted.length !== cards.children.length || wanted.some((card, i) => cards.children[i] !== card)) cards.replaceChildren(...wanted);
  };
  model.on("state", draw);
  model.on("look", () => { known.clear(); draw(); });
  draw();
}
