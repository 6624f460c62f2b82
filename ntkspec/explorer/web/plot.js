// One chart, drawn by uPlot: axes, curves with marks, and the degree under the pointer.

import uPlot from "uplot";

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
/** Pixels that the pointer moves at least for a zoom. */
const DRAGGED = 8;
const DASHES = { solid: [], dash: [7, 4], dots: [2, 3.5] };
/** About as many marks on a line tell it from others. */
const MARKS = 9;
/** Pixels of a decade with room for 2 and 5. */
const WIDE_DECADE = 100;
const WHOLE = [...Array(16).keys()].flatMap((n) => [1, 2, 5].map((m) => m * 10 ** n));

export class Plot {
  #box;
  #view = null;
  #chart = null;
  #looks = "";
  #zoomed = false;

  /** `on` has hover(degree or null), choose(degree), zoom(range or null). */
  constructor(box, on) {
    this.#box = box;
    this.on = on;
    box.addEventListener("click", () => this.#click());
    box.addEventListener("dblclick", () => on.zoom(null));
    new ResizeObserver(() => this.#chart?.setSize(this.#size())).observe(box);
  }

  /**
   * Draw a view: `x` and `y` axes (label, log, range; those of y in decades where log), `degrees` of
   * the numbers, `curves` (numbers y on a scale, color, dash of a line, shape and size of marks),
   * `told`: degrees that can be pointed at, and the `chosen` one.
   */
  draw(view) {
    const { x, y, curves, degrees } = this.#view = view;
    const looks = JSON.stringify([x.log, x.label, y.log, y.label, curves.map(({ y: _, ...look }) => look)]);
    const data = [degrees, ...curves.map((curve) => curve.y)];
    this.#box.setAttribute("aria-label", `${y.label} against ${x.label}`);
    if (this.#looks === looks) {
      this.#chart.setData(data);
      return;
    }
    this.#looks = looks;
    this.#chart?.destroy();
    this.#chart = new uPlot(this.#options(), data, this.#box);
  }

  /** Draw again, in the colours of a new theme. */
  redraw() {
    this.#chart?.redraw(false);
  }

  /** Show the degree under the pointer; null for none. */
  point(degree) {
    if (this.#at(this.#chart.cursor.left) !== degree) {
      const left = degree === null ? -10 : this.#chart.valToPos(degree, "x");
      this.#chart.setCursor({ left, top: 0 }, false);
    }
    this.#chart.syncRect(true); // what is said above a chart may move it
  }

  /** The picture, on the colour of the page. */
  picture(receive) {
    const drawn = this.#chart.ctx.canvas, copy = document.createElement("canvas");
    [copy.width, copy.height] = [drawn.width, drawn.height];
    const pen = copy.getContext("2d");
    pen.fillStyle = color("card")();
    pen.fillRect(0, 0, copy.width, copy.height);
    pen.drawImage(drawn, 0, 0);
    copy.toBlob(receive);
  }

  #size() {
    return { width: this.#box.clientWidth, height: this.#box.clientHeight };
  }

  #options() {
    const { x, y, curves } = this.#view;
    const axis = {
      font: FONT, labelFont: FONT, stroke: color("text"), labelSize: 20, ticks: { show: false },
      grid: { stroke: color("grid"), width: 1 }, border: { show: true, stroke: color("axis"), width: 1 },
    };
    return {
      ...this.#size(),
      legend: { show: false },
      pxAlign: 0,
      padding: [8, 12, 0, 0],
      scales: {
        x: { time: false, distr: x.log ? 3 : 1, range: () => this.#view.x.range },
        y: { range: () => this.#view.y.range },
        edge: { range: [0, 1] },
      },
      axes: [
        { ...axis, label: x.label, size: 24, incrs: WHOLE, values: (_, at) => at.map(String), ...(x.log && { splits: logSplits, filter: (_, at) => at }) },
        { ...axis, label: y.label, size: widest, ...(y.log ? { incrs: WHOLE, values: (_, at) => at.map(power) } : { values: (_, at) => at.map(short) }) },
      ],
      series: [{}, ...curves.map(series)],
      cursor: {
        y: false, points: { show: false },
        drag: { x: true, setScale: false, dist: DRAGGED, click: () => {} },
        move: (chart, left, top) => [this.#snapped(left), top],
      },
      hooks: {
        drawAxes: [(chart) => this.#drawChosen(chart)],
        setCursor: [(chart) => chart === this.#chart && this.on.hover(this.#at(chart.cursor.left))],
        setSelect: [(chart) => this.#select(chart)],
      },
    };
  }

  #drawChosen({ ctx, bbox, valToPos }) {
    const { chosen, x } = this.#view;
    if (chosen < x.range[0] || chosen > x.range[1]) return;
    ctx.fillStyle = color("mark")();
    ctx.fillRect(valToPos(chosen, "x", true) - uPlot.pxRatio, bbox.top, 2 * uPlot.pxRatio, bbox.height);
  }

  /** Zoom to what was dragged over; a click follows. */
  #select(chart) {
    const { left, width } = chart.select;
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    const ends = [this.#at(left), this.#at(left + width)];
    this.#zoomed = ends[0] < ends[1];
    if (this.#zoomed) this.on.zoom(ends);
  }

  #click() {
    const degree = this.#at(this.#chart.cursor.left);
    if (!this.#zoomed && degree !== null) this.on.choose(degree);
    this.#zoomed = false;
  }

  /** The place of the degree that is nearest to a place. */
  #snapped(left) {
    const degree = this.#at(left);
    return degree === null ? left : this.#chart.valToPos(degree, "x");
  }

  /** The degree of which something is said that is nearest on the screen; null outside. */
  #at(left) {
    if (left < 0) return null;
    const [low, high] = this.#view.x.range;
    const near = this.#view.told.filter((k) => k >= low && k <= high);
    const distance = (k) => Math.abs(this.#chart.valToPos(k, "x") - left);
    return near.length ? near.reduce((best, k) => (distance(k) < distance(best) ? k : best)) : null;
  }
}

const color = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);

/** A curve as uPlot's: a line, marks, or both. */
function series({ scale = "y", color: name, dash, shape, size }) {
  const filled = color(shape === "dot" ? name : "card");
  return {
    scale, stroke: color(name), cap: "round", paths: dash ? undefined : () => null,
    width: dash ? 2 : 0, dash: (DASHES[dash] ?? []).map((length) => length * uPlot.pxRatio),
    points: {
      show: shape !== undefined, size, width: shape === "dot" ? 0 : 1.25, stroke: color(name), fill: filled,
      filter: dash && shape ? spread : () => null, paths: marks(FORMS[shape]),
    },
  };
}

/** Marks of forms that differ without colour too: paths around a place, of a radius. */
const FORMS = {
  dot: (path, x, y, r) => { path.moveTo(x + r, y); path.arc(x, y, r, 0, 2 * Math.PI); },
  square: (path, x, y, r) => path.rect(x - r, y - r, 2 * r, 2 * r),
  triangle: (path, x, y, r) => {
    path.moveTo(x, y - r); path.lineTo(x + r, y + r); path.lineTo(x - r, y + r); path.closePath();
  },
  cross: (path, x, y, r) => {
    path.moveTo(x - r, y - r); path.lineTo(x + r, y + r); path.moveTo(x - r, y + r); path.lineTo(x + r, y - r);
  },
  tick: (path, x, y, r) => { path.moveTo(x, y - r); path.lineTo(x, y + r); },
};

const marks = (form) => (chart, n, first, last, chosen) => {
  const { data, bbox, series: all } = chart, { scale, points } = all[n];
  const r = (points.size / 2) * uPlot.pxRatio, drawn = new Path2D(), clip = new Path2D();
  clip.rect(bbox.left - r, bbox.top, bbox.width + 2 * r, bbox.height);
  for (let i = first; i <= last; i += 1) {
    if (data[n][i] == null || (chosen && !chosen.includes(i))) continue;
    form(drawn, chart.valToPos(data[0][i], "x", true), chart.valToPos(data[n][i], scale, true), r);
  }
  return { stroke: drawn, fill: drawn, clip };
};

/** Some points of a line, evenly on the screen, and beside those of the line before. */
function spread(chart, n) {
  const step = chart.bbox.width / MARKS, found = [];
  let next = chart.bbox.left + step * ((0.3 * n) % 1);
  chart.data[0].forEach((degree, i) => {
    const at = chart.valToPos(degree, "x", true);
    if (chart.data[n][i] == null || at < next) return;
    found.push(i);
    next = at + step;
  });
  return found;
}

const pen = document.createElement("canvas").getContext("2d");

/** Room for the widest number of an axis. */
function widest(chart, words) {
  pen.font = FONT;
  return 10 + Math.max(0, ...(words ?? []).map((word) => pen.measureText(word).width));
}

/** 1, 2, 5, 10, ... where there is room, and even steps within a decade. */
function logSplits(chart, axis, low, high) {
  const decades = Math.log10(high / low), roomy = chart.bbox.width / uPlot.pxRatio / decades > WIDE_DECADE;
  if (decades > 1) return WHOLE.filter((k) => k >= low && k <= high && (roomy || /^10*$/.test(k)));
  const step = WHOLE.find((s) => (high - low) / s <= 5), first = Math.ceil(low / step);
  return [...Array(Math.floor(high / step) - first + 1).keys()].map((n) => (first + n) * step);
}

const power = (n) => (n === 0 ? "1" : n === 1 ? "10" : `10${superscript(n)}`);

/** Digits as superscripts, where there are some for all characters. */
export function superscript(x) {
  const signs = { "-": "⁻", ".": "·" };
  return String(x).replace(/[\d.-]/g, (c) => signs[c] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]);
}

/** A number of a linear axis. */
function short(x) {
  const [digits, ten] = Number(x.toPrecision(3)).toExponential().split("e");
  return Math.abs(x) < 1e-4 && x !== 0 ? `${digits}·${power(Number(ten))}` : String(Number(x.toPrecision(3)));
}
