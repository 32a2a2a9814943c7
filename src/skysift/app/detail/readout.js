// What is under the mouse: position, pixel and value.
const say = (text) => { if (out.text !== text) out.text = text; };
const here = { width: about.data.width[0], height: about.data.height[0], step: about.data.step[0] };
const nothing = "<span class='faint'>Move the mouse over the image to read positions and values.</span>";
if (cb_obj.event_name === "mouseleave" || !here.width) { say(nothing); return; }
const x = cb_obj.x / here.step + here.width / 2 - 0.5;
const y = cb_obj.y / here.step + here.height / 2 - 0.5;
const column = Math.round(x);
const row = Math.round(y);
if (column < 0 || row < 0 || column >= here.width || row >= here.height) { say(nothing); return; }
const pad = (number, digits) => {
  const text = number.toFixed(digits);
  return (text.indexOf(".") === 1 || text.length === 1) ? `0${text}` : text;
};
const sexagesimal = (value, digits) => {
  const unit = 10 ** digits;
  let whole = Math.round(value * 3600 * unit);
  const seconds = (whole % (60 * unit)) / unit;
  whole = Math.floor(whole / (60 * unit));
  return [Math.floor(whole / 60), whole % 60, seconds];
};
const parts = [];
if (about.data.sky[0]) {
  const n = about.data.grid[0];
  const u = ((x + 0.5) / here.width) * (n - 1);
  const v = ((y + 0.5) / here.height) * (n - 1);
  const i = Math.min(n - 2, Math.max(0, Math.floor(u)));
  const j = Math.min(n - 2, Math.max(0, Math.floor(v)));
  const a = u - i;
  const b = v - j;
  const mix = (values) => (1 - b) * ((1 - a) * values[j * n + i] + a * values[j * n + i + 1])
    + b * ((1 - a) * values[(j + 1) * n + i] + a * values[(j + 1) * n + i + 1]);
  const [p, q, r] = [mix(sky.data.x), mix(sky.data.y), mix(sky.data.z)];
  const ra = ((Math.atan2(q, p) * 180) / Math.PI + 360) % 360;
  const dec = (Math.atan2(r, Math.hypot(p, q)) * 180) / Math.PI;
  const [h, m, s] = sexagesimal(ra / 15, 2);
  const [d, e, f] = sexagesimal(Math.abs(dec), 1);
  parts.push(`RA ${pad(h % 24, 0)}:${pad(m, 0)}:${pad(s, 2)}  Dec ${dec < 0 ? "−" : "+"}${pad(d, 0)}:${pad(e, 0)}:${pad(f, 1)}`);
} else {
  parts.push("no sky position");
}
parts.push(`pixel ${column}, ${row}`);
const image = pixels.data.value[0];
const shape = image.shape ?? [here.height, here.width];
const ky = Math.min(shape[0] - 1, Math.floor((row * shape[0]) / here.height));
const kx = Math.min(shape[1] - 1, Math.floor((column * shape[1]) / here.width));
const value = Array.isArray(image[0]) || ArrayBuffer.isView(image[0]) ? image[ky][kx] : image[ky * shape[1] + kx];
parts.push(Number.isFinite(value) ? `${Number(value.toPrecision(4))} ${about.data.unit[0]}`.trim() : "no data");
say(parts.map((part) => `<span>${part.replace(/&/g, "&amp;").replace(/</g, "&lt;")}</span>`).join(""));
