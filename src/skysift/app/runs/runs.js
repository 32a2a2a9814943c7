// Artifacts at the left; at the right the one that was chosen, or the form that takes a model in.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const COLUMNS = [
  ["kind", "Kind", (a) => a.kind], ["name", "Name", (a) => a.name || a.id.slice(0, 8)],
  ["rows", "Rows", (a) => a.rows_text, "n"], ["created", "Made (UTC)", (a) => a.created_text, "late"],
  ["bytes", "Size", (a) => a.size_text, "n"],
];

const BLOCKS = {
  picture: (b) => [make("img", { src: b.uri, alt: b.alt }), make("p", { class: "caption" }, b.caption)],
  drawing: (b) => {
    const box = make("div", { class: "wide" });
    box.innerHTML = b.svg;  // SVG that the server drew; its texts are escaped
    return [box, ...(b.caption ? [make("p", { class: "caption" }, b.caption)] : [])];
  },
  table: (b) => {
    const place = (n) => (b.numbers.includes(n) ? { class: "n" } : {});
    const head = make("tr", {}, ...b.header.map((text, n) => make("th", place(n), text)));
    const rows = b.rows.map((row) => make("tr", {}, ...row.map((text, n) => make("td", place(n), text))));
    return [make("div", { class: "wide" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))),
      ...(b.caption ? [make("p", { class: "caption" }, b.caption)] : [])];
  },
  code: (b) => {
    const copy = make("button", { onclick: async () => {
      try { await navigator.clipboard.writeText(b.text); copy.textContent = "Copied"; }
      catch { getSelection().selectAllChildren(pre); }
    } }, "Copy");
    const pre = make("pre", {}, b.text);
    return [make("div", { class: "code" }, pre, copy)];
  },
  note: (b) => [make("p", { class: b.warning ? "note warning" : "note" }, b.text)],
};

export function render({ model, el }) {
  let sort = ["created", -1];
  let words = "";
  const body = make("tbody");
  const heads = COLUMNS.map(([key, title, , look]) => make("th", { class: look, onclick: () => {
    sort = [key, sort[0] === key ? -sort[1] : (key === "kind" || key === "name" ? 1 : -1)];
    list();
  } }, title));
  const search = make("input", { type: "search", placeholder: "Filter by kind, name or id", "aria-label": "Filter",
    id: "sk-runs-filter", oninput: (event) => { words = event.target.value.trim().toLowerCase(); list(); } });
  const importing = make("button", { id: "sk-runs-import", onclick: () => { model.chosen = ""; showForm(); } },
    "Import a model …");
  const left = make("section", { class: "box left" }, make("div", { class: "tools" }, search, importing),
    make("div", { class: "scroll" }, make("table", { class: "list" }, make("thead", {}, make("tr", {}, ...heads)), body)));
  const right = make("section", { class: "box right" });

  const choose = (id) => { model.chosen = id; };
  const list = () => {
    const found = model.artifacts.filter((a) => !words || `${a.kind} ${a.name} ${a.id}`.toLowerCase().includes(words));
    const [key, direction] = sort;
    const of = (a) => (key === "name" ? a.name || a.id : a[key]);
    found.sort((a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : 0) * direction);
    heads.forEach((head, n) => {
      const on = COLUMNS[n][0] === key;
      head.textContent = COLUMNS[n][1] + (on ? (direction > 0 ? " ↑" : " ↓") : "");
    });
    body.replaceChildren(...found.slice(0, 2000).map((a) => make("tr",
      { "data-id": a.id, tabindex: 0, "aria-selected": String(a.id === model.chosen), onclick: () => choose(a.id),
        onkeydown: (event) => { if (event.key === "Enter") choose(a.id); } },
      ...COLUMNS.map(([name, , text, look]) =>
        make("td", { class: name === "name" && !a.name ? "faint" : look, title: name === "name" ? a.id : null }, text(a))))));
  };
  const pairs = (entries) => make("dl", {}, ...entries.flatMap(([name, text]) =>
    [make("dt", {}, name), make("dd", {}, text)]));
  const show = () => {
    for (const row of body.children) row.setAttribute("aria-selected", String(row.dataset.id === model.chosen));
    const about = model.about;
    if (!model.chosen || !about.id) return;
    right.replaceChildren(
      make("h2", {}, about.title), make("p", { class: "kind" }, about.kind),
      pairs(about.facts),
      ...about.warnings.map((text) => make("p", { class: "note warning" }, text)),
      ...(about.options.length ? [make("details", {}, make("summary", {}, "Options"), pairs(about.options))] : []),
      ...model.sections.flatMap((section) => [make("h3", {}, section.title),
        ...section.blocks.flatMap((block) => (BLOCKS[block.type] ?? BLOCKS.note)(block))]),
      ...(model.sections.length ? [] : [make("p", { class: "kind" }, "Drawing …")]));
  };

  // -- taking in a model -----------------------------------------------------------------------------------------
  const state = make("span", { class: "kind", id: "sk-import-state" });
  const showForm = () => {
    const file = make("select", { id: "sk-import-file" },
      ...(model.files.length ? model.files : [""]).map((name) => make("option", { value: name }, name || "none yet")));
    const backbone = make("input", { id: "sk-import-backbone", value: "resnet18", maxlength: 60 });
    const preset = make("select", { id: "sk-import-preprocess" },
      ...model.presets.map((name) => make("option", { value: name }, name)));
    const size = make("input", { id: "sk-import-size", type: "number", value: 224, min: 16, max: 1024 });
    const name = make("input", { id: "sk-import-name", maxlength: 64, placeholder: "optional" });
    const go = make("button", { class: "main", type: "submit", id: "sk-import-go", disabled: !model.files.length }, "Import");
    const bar = make("progress", { max: 1, value: 0, hidden: "" });
    const upload = make("input", { type: "file", accept: ".safetensors", id: "sk-import-upload", onchange: () => {
      const chosen = upload.files[0];
      if (!chosen) return;
      const request = new XMLHttpRequest();
      request.open("POST", `upload?name=${encodeURIComponent(chosen.name)}`);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      bar.hidden = false;
      request.upload.onprogress = (event) => { bar.value = event.loaded / event.total; };
      request.onload = () => {
        bar.hidden = true;
        state.textContent = request.status === 200 ? "" : request.responseText.replace(/^\d+ /, "");
        model.send_msg({ uploaded: request.status === 200 ? chosen.name : "" });
      };
      request.onerror = () => { bar.hidden = true; state.textContent = "The upload broke off: try again."; };
      request.send(chosen);
    } });
    const label = (text, input) => [make("label", { for: input.id }, text), input];
    const form = make("form", { onsubmit: (event) => {
      event.preventDefault();
      go.disabled = true;
      model.send_msg({ import: { file: file.value, backbone: backbone.value.trim(), preprocess: preset.value,
        image_size: Number(size.value), name: name.value.trim() } });
    } }, ...label("Checkpoint", file), ...label("or upload", upload), ...label("Backbone (timm)", backbone),
      ...label("Preprocessing", preset), ...label("Image size [pixel]", size), ...label("Name", name),
      make("div", { class: "row" }, go, bar, state));
    right.replaceChildren(make("h2", {}, "Import a model"),
      make("p", { class: "kind" }, `Checkpoints lie in the store's folder “${model.folder}”; safetensors can be uploaded.`),
      form);
    right.dataset.form = "1";
  };
  const refreshForm = () => {
    if (model.chosen) return;
    if (right.querySelector("form")) showForm();
  };
  model.on("import_state", () => { state.textContent = model.import_state; refreshForm(); });
  model.on("files", refreshForm);
  model.on("artifacts", list);
  for (const name of ["chosen", "about", "sections"]) model.on(name, show);
  el.append(make("div", { class: "all" }, left, right));
  right.append(make("p", { class: "empty" }, "Choose an artifact to see where it comes from and how to make it again."));
  list();
  show();
}
