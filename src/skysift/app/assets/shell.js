// The frame of the page: navigation, keys, status line, short messages, help, and the user's name.

const ICONS = {
  gallery: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  detail: "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13zM15.5 15.5L20 20",
  map: "M6 7h.01M9 12h.01M7 16h.01M14 8h.01M17 11h.01M15 15h.01M18 17h.01M12 18h.01M3 3v18h18",
  sky: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM3 12h18M12 3c-5 5-5 13 0 18M12 3c5 5 5 13 0 18",
  curation: "M12 4v4M12 8H6v4M12 8h6v4M6 12v4M4 16h4v4H4zM16 12h4v4h-4zM6 16",
  queue: "M4 6h10M4 12h10M4 18h6M17 14l2.5 3L23 11",
  runs: "M5 5h4v4H5zM15 5h4v4h-4zM10 15h4v4h-4zM9 7h6M7 9c0 4 3 4 5 6M17 9c0 4-3 4-5 6",
};

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name] ?? "M5 5h14v14H5z");
  svg.append(path);
  return svg;
}

// Whether a key is meant for a field that is being filled in, wherever in the shadow trees it is.
function typing(event) {
  const target = event.composedPath()[0];
  if (!(target instanceof Element)) return false;
  if (target.closest("textarea, select, [contenteditable='true']")) return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button", "range"].includes(target.type);
}

const stored = {
  get() { try { return localStorage.getItem("skysift-user") ?? ""; } catch { return ""; } },
  set(name) { try { localStorage.setItem("skysift-user", name); } catch { /* private windows */ } },
};

export function render({ model, el }) {
  const send = (what) => model.send_msg(what);

  const survey = make("span", { class: "survey" });
  const busy = make("span", { class: "busy", role: "status", "aria-label": "working" });
  const user = make("button", { id: "sk-user", title: "Whose ratings these are", onclick: () => ask() });
  const top = make("header", { class: "top" },
    make("span", { class: "brand" }, "skysift"), survey, make("span", { class: "space" }), busy, user,
    make("button", { title: "Keys (?)", "aria-label": "Help", onclick: () => help(true) }, "?"));

  const nav = make("nav", { "aria-label": "Screens" });
  const buttons = model.screens.map((screen, number) => {
    const button = make("button",
      { id: `sk-nav-${screen.name}`, title: `${screen.title} (Alt+${number + 1})`, onclick: () => go(screen.name) },
      icon(screen.name), make("span", { class: "title" }, screen.title),
      make("span", { class: "number" }, String(number + 1)));
    nav.append(button);
    return button;
  });
  const go = (name) => { if (name !== model.screen) { model.screen = name; } };

  const status = make("footer", { class: "status" });
  const toasts = make("div", { class: "toasts", "aria-live": "polite" });

  // -- help ------------------------------------------------------------------------------------------------
  const helpCard = make("div", { class: "card", role: "dialog", "aria-label": "Keys" });
  const helpVeil = make("div", { class: "veil", onclick: (e) => { if (e.target === helpVeil) help(false); } }, helpCard);
  const help = (on) => {
    helpVeil.classList.toggle("on", on);
    if (!on) return;
    const list = (entries) => make("dl", {}, ...entries.flatMap(([keys, text]) =>
      [make("dt", {}, ...keys.map((k) => make("kbd", {}, k))), make("dd", {}, text)]));
    const here = model.key_help.map(([key, text]) => [[key], text]);
    const title = model.screens.find((s) => s.name === model.screen)?.title ?? "";
    helpCard.replaceChildren(make("h2", {}, "Keys"),
      make("h3", {}, "Everywhere"),
      list([[["Alt", "1 … 7"], "Show a screen"], [["?"], "Show this help"], [["Esc"], "Close"]]),
      ...(here.length ? [make("h3", {}, title), list(here)] : []));
  };

  // -- the user's name ---------------------------------------------------------------------------------------
  const input = make("input", { id: "sk-name", maxlength: "64", autocomplete: "off", "aria-label": "Your name" });
  const take = () => {
    const name = input.value.trim();
    if (name) { stored.set(name); send({ user: name }); }
    nameVeil.classList.remove("on");
  };
  const nameVeil = make("div", { class: "veil" }, make("div", { class: "card", role: "dialog", "aria-label": "Name" },
    make("h2", {}, "Who is looking?"),
    make("p", {}, "Ratings are kept under your name, so that several people can rate the same cutouts."),
    input,
    make("div", { class: "row" },
      make("button", { id: "sk-name-later", onclick: () => nameVeil.classList.remove("on") }, "Only look"),
      make("button", { id: "sk-name-ok", class: "main", onclick: take }, "Continue"))));
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") take(); });
  const ask = () => {
    input.value = model.user || stored.get();
    nameVeil.classList.add("on");
    setTimeout(() => input.focus(), 0);
  };

  // -- keys ----------------------------------------------------------------------------------------------------
  const onkey = (event) => {
    if (event.key === "Escape") {
      help(false);
      nameVeil.classList.remove("on");
    }
    if (event.ctrlKey || event.metaKey || nameVeil.classList.contains("on")) return;
    const number = event.altKey && /^Digit[1-9]$/.test(event.code) ? Number(event.code.slice(5)) : 0;
    if (number && model.screens[number - 1]) {
      event.preventDefault();
      go(model.screens[number - 1].name);
      return;
    }
    if (event.altKey || typing(event)) return;
    if (event.key === "?") { help(!helpVeil.classList.contains("on")); return; }
    if (helpVeil.classList.contains("on")) return;
    if (model.keys.includes(event.key)) {
      event.preventDefault();
      // a screen that answers in the browser takes the key itself
      const taken = !document.dispatchEvent(new CustomEvent("sk-key", { detail: event.key, cancelable: true }));
      if (!taken) send({ key: event.key });
    }
  };
  document.addEventListener("keydown", onkey);

  // -- what changes ----------------------------------------------------------------------------------------------
  const showToast = (kind, text) => {
    const toast = make("div", { class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" },
      make("span", {}, text));
    toast.append(make("button", { "aria-label": "Close", onclick: () => toast.remove() }, "✕"));
    toasts.append(toast);
    while (toasts.children.length > 4) toasts.firstChild.remove();
    setTimeout(() => toast.remove(), kind === "error" ? 12000 : 4000);
  };
  const update = () => {
    survey.textContent = model.survey_title;
    survey.title = model.survey_title;
    busy.classList.toggle("on", model.busy);
    user.textContent = model.user || "Who are you?";
    user.classList.toggle("unknown", !model.user);
    model.screens.forEach((screen, number) => {
      if (screen.name === model.screen) buttons[number].setAttribute("aria-current", "page");
      else buttons[number].removeAttribute("aria-current");
    });
    const title = model.screens.find((s) => s.name === model.screen)?.title ?? "";
    document.title = `${title} · ${model.survey_title} · skysift`;
    status.replaceChildren(...model.status.map((text) => make("span", {}, text)),
      ...(model.last_error ? [make("span", { class: "error" }, model.last_error)] : []));
  };
  for (const name of ["survey_title", "busy", "user", "screen", "status", "last_error"]) model.on(name, update);
  // -- the address ---------------------------------------------------------------------------------------------
  let shown = model.screen;
  const write = () => {
    const target = location.pathname + model.address;
    if (target === location.pathname + location.search) return;
    if (model.screen !== shown) history.pushState(null, "", target);  // "back" leads to the screen before
    else history.replaceState(null, "", target);
    shown = model.screen;
  };
  const back = () => send({ address: location.search });
  model.on("address", write);
  addEventListener("popstate", back);

  model.on("msg:custom", (message) => {
    const what = message.data ?? message;
    if (what.toast) showToast(what.toast[0], what.toast[1]);
  });
  el.append(top, nav, status, toasts, helpVeil, nameVeil);
  update();
  document.getElementById("sk-waiting")?.remove();

  if (!model.user) {
    const known = stored.get();
    if (known) send({ user: known });
    else ask();
  }
  model.on("remove", () => {
    document.removeEventListener("keydown", onkey);
    removeEventListener("popstate", back);
  });
}
