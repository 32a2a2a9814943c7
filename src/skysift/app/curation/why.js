// Why a cutout is kept, or is not: its picture, one sentence, and its path in the tree. Below it the command.

function make(tag, className, text, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

export function render({ model, el }) {
  const root = make("div", "why");
  root.dataset.testid = "why";
  const code = make("pre", "command");
  code.dataset.testid = "command";
  const copy = make("button", "copy", "Copy");
  copy.addEventListener("click", () => navigator.clipboard?.writeText(model.command).then(() => {
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  }));
  el.append(root, make("div", "shell", "", make("div", "row", "", make("h3", "", "The same in a terminal"), copy), code));

  const draw = () => {
    code.textContent = model.command;
    const why = model.why;
    root.replaceChildren(make("h3", "", "Why was this kept?"));
    if (!why.id) {
      root.append(make("p", "hint", "Click a picture to see its path through the tree and what decided."));
      return;
    }
    const image = make("img", why.kept ? "kept" : "");
    image.src = `./thumbnail/${why.id}.png?size=192&${model.look}`;
    image.alt = `Cutout ${why.id}`;
    const detail = make("button", "link", "Open in Detail");
    detail.addEventListener("click", () => model.send_msg({ look: why.id }));
    root.append(make("div", "pair", "", image, make("div", "", "", make("p", "sentence", why.sentence), detail)));
    const table = make("table");
    const head = make("tr", "", "", ...["Cluster", "of", "holds", "gives"].map((t) => make("th", "", t)));
    table.append(head, ...why.steps.map((step) => make("tr", step.quota === null ? "" : "pinned", "",
      make("td", "", `${step.level}:${step.cluster}`), make("td", "", step.siblings.toLocaleString("en")),
      make("td", "", step.size.toLocaleString("en")),
      make("td", "", step.kept.toLocaleString("en") + (step.quota === null ? "" : " (quota)")))));
    root.append(table, make("p", "hint", why.place));
  };
  for (const name of ["why", "command", "look"]) model.on(name, draw);
  draw();
}
