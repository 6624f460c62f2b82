// One chart as SVG: axes, curves, a mark, and the degree under the pointer.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { right: 12, top: 8, bottom: 40 };
const CHARACTER = 6.9; // width of one in pixels, at the size of the style sheet
/** Pixels that the pointer moves at least for a zoom. */
const DRAGGED = 8;
const DASHES = { solid: "", dash: "7 4", dots: "2 3.5" };
const DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

export class Plot {
  #box;
  #view = null;
  #degrees = [];

  /** `on` has hover(degree or null), choose(degree), zoom(range or null). */
  constructor(box, on) {
    this.#box = box;
    this.on = on;
    box.addEventListener("pointermove", (event) => this.#move(event));
    box.addEventListener("pointerleave", () => this.on.hover(null));
    box.addEventListener("pointerdown", (event) => { this.from = event; });
    box.addEventListener("click", (event) => this.#click(event));
    box.addEventListener("dblclick", () => this.on.zoom(null));
    new ResizeObserver(() => this.#view && this.#render()).observe(box);
  }

  /**
   * Draw a view: `x` and `y` axes (label, log, range; those of y in decades where log), `curves`
   * (x, y, color, and mark "dots" with a shape or "line" with a dash), `zeros` (x, color, top),
   * `levels` (y), `degrees` that can be pointed at, and the `chosen` one.
   */
  draw(view) {
    this.#view = view;
    this.#degrees = view.degrees;
    this.#render();
  }

  /** Show the degree under the pointer; null for none. */
  point(degree) {
    const line = this.#box.querySelector(".cursor");
    if (!line) return;
    line.toggleAttribute("hidden", degree === null);
    if (degree !== null) place(line, this.across(degree), this.frame);
  }

  /** A copy of the picture that needs no style sheet. */
  picture() {
    const drawn = this.#box.firstChild, copy = drawn.cloneNode(true);
    const kinds = ["stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "fill", "font", "opacity", "text-anchor"];
    const copies = [copy, ...copy.querySelectorAll("*")];
    [drawn, ...drawn.querySelectorAll("*")].forEach((element, n) => {
      const style = getComputedStyle(element);
      for (const kind of kinds) copies[n].style.setProperty(kind, style.getPropertyValue(kind));
    });
    copy.querySelectorAll("[hidden]").forEach((element) => element.remove());
    copy.style.background = getComputedStyle(this.#box.parentElement).backgroundColor;
    return new XMLSerializer().serializeToString(copy);
  }

  #render() {
    const { x, y, curves, zeros, levels, chosen } = this.#view;
    const width = this.#box.clientWidth, height = this.#box.clientHeight;
    if (width < 80 || height < 80) return;
    const ticks = y.log ? decadeTicks(y.range) : evenTicks(y.range, 6);
    const left = 26 + CHARACTER * Math.max(2, ...ticks.map(([, words]) => shownLength(words)));
    const frame = { left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
    this.frame = frame;
    this.across = scale(x.log, x.range, frame.left, frame.right);
    const down = scale(false, y.range, frame.bottom, frame.top);
    const svg = made("svg", { width, height, viewBox: `0 0 ${width} ${height}`, xmlns: SVG, role: "img", "aria-label": `${y.label} against ${x.label}` });
    for (const [at, words] of ticks) {
      const here = down(at);
      svg.append(made("path", { class: "gridline", d: `M${frame.left} ${here}H${frame.right}` }));
      svg.append(named(words, { x: frame.left - 6, y: here + 4, class: "ticks", "text-anchor": "end" }));
    }
    for (const [at, words] of spaced(x.log ? logTicks(x.range) : evenTicks(x.range, 8, true), this.across)) {
      const here = this.across(at);
      svg.append(made("path", { class: "gridline", d: `M${here} ${frame.top}V${frame.bottom}` }));
      svg.append(named(words, { x: here, y: frame.bottom + 15, class: "ticks", "text-anchor": "middle" }));
    }
    svg.append(made("path", { class: "frame", d: `M${frame.left} ${frame.top}V${frame.bottom}H${frame.right}` }));
    svg.append(named(x.label, { x: (frame.left + frame.right) / 2, y: height - 6, class: "axis", "text-anchor": "middle" }));
    const middle = (frame.top + frame.bottom) / 2;
    svg.append(named(y.label, { x: 12, y: middle, class: "axis", "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }));
    for (const level of levels) {
      svg.append(made("path", { class: "level", d: `M${frame.left} ${down(level)}H${frame.right}` }));
    }
    const inside = (at) => at >= x.range[0] && at <= x.range[1];
    if (inside(chosen)) svg.append(place(made("path", { class: "chosen" }), this.across(chosen), frame));
    svg.append(place(made("path", { class: "cursor", hidden: "" }), 0, frame));
    for (const curve of curves) svg.append(drawn(curve, this.across, down, inside, y.range));
    for (const { x: at, color, top } of zeros) {
      const from = top ? frame.top : frame.bottom - 7;
      const d = at.filter(inside).map((k) => `M${round(this.across(k))} ${from}v7`).join("");
      svg.append(made("path", { class: "zeros", d, stroke: `var(--${color})` }));
    }
    this.#box.replaceChildren(svg);
  }

  /** The degree that is nearest on the screen. */
  #at(event) {
    const place = event.clientX - this.#box.getBoundingClientRect().left;
    const [low, high] = this.#view.x.range;
    const near = this.#degrees.filter((k) => k >= low && k <= high);
    const distance = (k) => Math.abs(this.across(k) - place);
    return near.length ? near.reduce((best, k) => (distance(k) < distance(best) ? k : best)) : null;
  }

  #move(event) {
    if (!this.#view || event.pointerType !== "mouse") return;
    this.hovered = this.#at(event);
    this.on.hover(this.hovered);
  }

  #click(event) {
    if (!this.#view) return;
    const mouse = event.pointerType === "mouse";
    if (mouse && this.from && Math.abs(event.clientX - this.from.clientX) > DRAGGED) {
      const ends = [this.#at(this.from), this.#at(event)].sort((a, b) => a - b);
      if (ends[0] !== null && ends[1] > ends[0]) this.on.zoom(ends);
      return;
    }
    // A click has whole pixels: it chooses the degree that is shown, not one beside it.
    const degree = mouse ? this.hovered : this.#at(event);
    if (degree !== null && degree !== undefined) this.on.choose(degree);
  }
}

function made(kind, attributes) {
  const element = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function named(words, attributes) {
  const text = made("text", attributes);
  text.textContent = words;
  return text;
}

function place(line, across, { top, bottom }) {
  line.setAttribute("d", `M${round(across)} ${top}V${bottom}`);
  return line;
}

const round = (x) => Math.round(10 * x) / 10;

/** Draw one curve; null in its numbers ends a line. */
function drawn({ x, y, color, mark, size, shape, dash }, across, down, inside, [low, high]) {
  let d = "", pen = "M";
  const pad = mark === "line" ? (high - low) : 0; // lines are cut at the frame by the picture's end
  for (let i = 0; i < x.length; i += 1) {
    const is = x[i] !== null && inside(x[i]) && y[i] >= low - pad && y[i] <= high + pad;
    if (!is) pen = "M";
    else if (mark === "dots") d += marker(shape, round(across(x[i])), round(down(y[i])), size);
    else {
      d += `${pen}${round(across(x[i]))} ${round(down(y[i]))}`;
      pen = "L";
    }
  }
  const look = { class: mark, d, stroke: `var(--${color})` };
  if (mark === "dots") look["stroke-width"] = shape === 0 ? size : 1.2;
  else if (DASHES[dash]) look["stroke-dasharray"] = DASHES[dash];
  return made("path", look);
}

/** Marks of four forms, so that curves differ without colour too. */
function marker(shape, x, y, size) {
  const r = size / 2 + 0.4;
  return [
    `M${x} ${y}h0`,
    `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
    `M${x} ${y - r}l${r} ${2 * r}h${-2 * r}z`,
    `M${x - r} ${y - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`,
  ][shape];
}

/** Map a range to pixels. */
function scale(log, [low, high], from, to) {
  const of = log ? Math.log10 : (x) => x;
  const slope = (to - from) / (of(high) - of(low));
  return (x) => from + slope * (of(x) - of(low));
}

/** Steps of 1, 2 or 5 times a power of ten, at most `most`. */
function evenTicks([low, high], most, whole = false) {
  const rough = (high - low) / most, ten = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((n) => n * ten).find((s) => s >= rough);
  if (whole) step = Math.max(1, step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) {
    const small = digits > 4;
    found.push([n * step, small ? power(n * step) : (n * step).toFixed(digits)]);
  }
  return found;
}

/** Powers of ten, and where there are few of them 2 and 5 times those. */
function decadeTicks([low, high]) {
  const size = high - low, found = [];
  if (size > 2.2) {
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((s) => size / s <= 7) ?? size / 5;
    for (let n = Math.ceil(low / step); n * step <= high; n += 1) found.push([n * step, power10(n * step)]);
    return found;
  }
  for (let ten = Math.floor(low); ten <= high; ten += 1) {
    for (const times of size > 1.2 ? [1, 3] : [1, 2, 5]) {
      const at = ten + Math.log10(times);
      if (at >= low && at <= high) found.push([at, times === 1 ? power10(ten) : plainOr(times, ten)]);
    }
  }
  return found;
}

const raised = (n) => (n < 0 ? "⁻" : "") + String(Math.abs(n)).replace(/\d/g, (digit) => DIGITS[digit]);
const power10 = (n) => (n === 0 ? "1" : n === 1 ? "10" : `10${raised(Math.round(n))}`);
const plainOr = (times, ten) =>
  ten >= -2 && ten <= 3 ? String(Number((times * 10 ** ten).toPrecision(3))) : `${times}·${power10(ten)}`;
const shownLength = (words) => [...words].reduce((n, c) => n + (DIGITS.includes(c) || c === "⁻" ? 0.75 : 1), 0);

function power(x) {
  const [digits, exponent] = x.toExponential(1).split("e");
  return x === 0 ? "0" : `${Number(digits)}·${power10(Number(exponent))}`;
}

function logTicks([low, high]) {
  const found = [];
  for (let ten = 1; ten <= high; ten *= 10) {
    for (const times of [1, 2, 5]) {
      if (times * ten >= low && times * ten <= high) found.push([times * ten, String(times * ten)]);
    }
  }
  return found.length > 1 ? found : evenTicks([low, high], 4, true).filter(([at]) => at > 0);
}

/** Ticks whose words do not touch. */
function spaced(ticks, across) {
  let end = -Infinity;
  return ticks.filter(([at, words]) => {
    const half = (CHARACTER * words.length) / 2 + 3, here = across(at);
    if (here - half < end) return false;
    end = here + half;
    return true;
  });
}
