// A card beside the cursor: the thumbnail of the point under it, and what is known of it; and a line on the place itself.

export function render({ model, el }) {
  const card = document.createElement("div");
  card.className = "card";
  card.dataset.testid = model.testid;
  const image = document.createElement("img");
  image.alt = "";
  image.addEventListener("error", () => { image.style.visibility = "hidden"; });
  image.addEventListener("load", () => { image.style.visibility = "visible"; });
  const lines = document.createElement("div");
  card.append(image, lines);
  const update = () => {
    const { url, lines: texts, left, top } = model.content;
    card.classList.toggle("on", Boolean(texts && texts.length));
    if (!texts || !texts.length) return;
    if (image.getAttribute("src") !== url) {
      image.style.visibility = "hidden";
      image.src = url;
    }
    lines.replaceChildren(...texts.map((text) => {
      const line = document.createElement("div");
      line.textContent = text;
      return line;
    }));
    card.style.left = `${left}px`;
    card.style.top = `${top}px`;
  };
  const readout = document.createElement("div");
  readout.className = "readout";
  readout.dataset.testid = `${model.testid}-readout`;
  const read = () => {
    readout.textContent = model.readout;
    readout.hidden = !model.readout;
  };
  model.on("content", update);
  model.on("readout", read);
  el.append(readout, card);
  update();
  read();
}
