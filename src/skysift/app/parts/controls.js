// A strip of plain controls that Python describes: menus, sliders, buttons, switches, fields and texts.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

// Files come as base64 in pieces of a message; the browser saves them.
function save(file) {
  const bytes = Uint8Array.from(atob(file.data), (letter) => letter.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: file.type }));
  const link = make("a", { href: url, download: file.name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const BUILD = {
  menu(spec, send) {
    const select = make("select", { name: spec.name, title: spec.help, onchange: () => {
      send(select.value);
      if (spec.momentary) select.selectedIndex = 0;
    } });
    const fill = (options) => {
      const groups = new Map();
      const loose = [];
      for (const [value, text, group] of options) {
        const option = make("option", { value }, text);
        if (!group) { loose.push(option); continue; }
        if (!groups.has(group)) groups.set(group, make("optgroup", { label: group }));
        groups.get(group).append(option);
      }
      select.replaceChildren(...loose, ...groups.values());
    };
    let shown = "";
    const set = (next) => {
      const text = JSON.stringify(next.options);
      if (text !== shown) { shown = text; fill(next.options); }
      select.value = next.momentary ? next.options[0][0] : next.value;
      select.disabled = Boolean(next.disabled);
    };
    return [select, set];
  },
  slider(spec, send) {
    const read = make("output", {}, "");
    const input = make("input", { type: "range", name: spec.name, min: spec.low, max: spec.high, step: spec.step, title: spec.help });
    let timer = 0;
    const tell = () => { read.textContent = Number(input.value).toFixed(spec.digits ?? 0); };
    input.addEventListener("input", () => {
      tell();
      clearTimeout(timer);
      timer = setTimeout(() => send(Number(input.value)), 120);
    });
    const set = (next) => { if (Number(input.value) !== next.value && !input.matches(":active")) input.value = next.value; tell(); };
    return [make("span", { class: "slider" }, input, read), set];
  },
  button(spec, send) {
    const button = make("button", { name: spec.name, class: spec.look ?? "", title: spec.help, onclick: () => send(true) });
    const set = (next) => {
      button.textContent = next.text;
      button.disabled = Boolean(next.disabled);
      button.setAttribute("aria-pressed", String(Boolean(next.on)));
      button.classList.toggle("on", Boolean(next.on));
    };
    return [button, set];
  },
  field(spec, send) {
    const input = make("input", { type: "text", name: spec.name, placeholder: spec.hint, maxlength: spec.longest ?? 200, title: spec.help, list: spec.known ? `known-${spec.name}` : null, style: spec.width ? `width:${spec.width}px` : null });
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") { send(input.value); if (spec.momentary) input.value = ""; }
    });
    input.addEventListener("change", () => { if (!spec.momentary) send(input.value); });
    const list = make("datalist", { id: `known-${spec.name}` });
    const set = (next) => {
      if (!next.momentary && !input.matches(":focus")) input.value = next.value ?? "";
      list.replaceChildren(...(next.known ?? []).map((word) => make("option", { value: word })));
      input.disabled = Boolean(next.disabled);
    };
    return [make("span", { class: "field" }, input, list), set];
  },
  text() {
    const span = make("span", { class: "text" });
    return [span, (next) => { span.textContent = next.text; span.title = next.help ?? ""; }];
  },
  link(spec) {
    const link = make("a", spec.file ? { download: "", class: "file" } : { target: "_blank", rel: "noreferrer noopener" });
    return [link, (next) => { link.textContent = next.text; link.href = next.href; link.title = next.help ?? ""; }];
  },
  space() { return [make("span", { class: "space" }), () => {}]; },
  rule() { return [make("span", { class: "rule" }), () => {}]; },
};

export function render({ model, el }) {
  const strip = make("div", { class: "strip", "data-testid": model.testid });
  const known = new Map();
  const update = () => {
    strip.hidden = !model.items.length;
    const wanted = model.items.map((spec, number) => {
      const key = `${spec.kind}:${spec.name ?? number}`;
      if (!known.has(key)) {
        const send = (value) => model.send_msg({ name: spec.name, value });
        const [control, set] = BUILD[spec.kind](spec, send);
        const node = spec.label
          ? make("label", { class: "labelled" }, make("span", { class: "label" }, spec.label), control) : control;
        if (spec.name) node.dataset.testid = `${model.testid}-${spec.name}`;
        known.set(key, [node, set]);
      }
      const [node, set] = known.get(key);
      set(spec);
      return node;
    });
    if (wanted.length !== strip.children.length || wanted.some((node, number) => strip.children[number] !== node)) {
      strip.replaceChildren(...wanted);
    }
  };
  model.on("items", update);
  model.on("msg:custom", (message) => {
    const what = message.data ?? message;
    if (what.file) save(what.file);
  });
  update();
  el.append(strip);
  if (!model.measured) return;
  let width = 0;
  const watch = new ResizeObserver(() => {
    const now = Math.round(el.clientWidth);
    if (!now || Math.abs(now - width) < 8) return;
    width = now;
    model.send_msg({ name: "width", value: now });
  });
  watch.observe(el);
  model.on("remove", () => watch.disconnect());
}
