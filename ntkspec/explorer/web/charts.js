// The four charts: what each shows, and the numbers of the degree that is pointed at.

import { Plot, superscript } from "explorer/plot.js";
import { isDerived, lawPart } from "explorer/spectra.js";
import { log10, text } from "explorer/numbers.js";

const HOVER_DIGITS = 12;
/** Most points drawn of a curve; if there are more degrees, high ones are thinned. */
const MOST_POINTS = 3000;
/** Fewest decades that a logarithmic axis shows. */
const LEAST_DECADES = 2;
/** Part of an axis that a row of ticks takes. */
const ROW = 0.045;

const VIEWS = { eigenvalue, time, share, ratio };

export class Charts {
  #plots = {};
  #drawn = null;

  /** `select` receives a degree that was clicked, `zoom` a range of degrees or null for all. */
  constructor(select, zoom) {
    for (const name of Object.keys(VIEWS)) {
      const box = document.getElementById(`chart-${name}`);
      const on = { choose: select, zoom, hover: (degree) => this.#hover(degree) };
      this.#plots[name] = new Plot(box, on);
      document.getElementById(`save-${name}`).addEventListener("click", () => this.#save(name));
    }
  }

  /** Draw curves: results of `spectra.js` with a colour and a name. */
  draw(curves, choice) {
    const x = degreeAxis(curves, choice);
    const inside = ({ degrees }, i) => degrees[i] >= x.range[0] && degrees[i] <= x.range[1];
    const shown = curves.map((curve) =>
      ({ ...curve, places: places(curve, choice).filter((i) => inside(curve.spectrum, i)), many: curves.length > 1 }));
    const degrees = everyDegree(shown, x.range);
    for (const curve of shown) curve.at = degrees.map(placeIn(curve));
    const views = {};
    for (const [name, view] of Object.entries(VIEWS)) {
      const chart = view(shown, choice);
      views[name] = chart;
      const told = degreesOf(shown, chart.words);
      this.#plots[name].draw({ x, ...chart, degrees, told, chosen: choice.degree });
    }
    this.#drawn = { views, curves: shown, chosen: choice.degree };
    this.#hover(null);
  }

  /** Draw again, in the colours of a new theme. */
  redraw() {
    for (const plot of Object.values(this.#plots)) plot.redraw();
  }

  /** Say what the charts show at a degree; null for the chosen one. */
  #hover(degree) {
    if (this.#drawn === null) return;
    const { views, curves, chosen } = this.#drawn;
    for (const [name, { words }] of Object.entries(views)) {
      this.#plots[name].point(degree);
      tell(document.getElementById(`tip-${name}`), degree ?? chosen, curves, words);
    }
  }

  #save(name) {
    this.#plots[name].picture((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${name}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }
}

/** The line above a chart: a degree, and what is said of each curve at this very degree. */
function tell(box, degree, curves, words) {
  const lines = curves.flatMap((curve) => {
    const i = curve.spectrum.degrees.indexOf(degree);
    const mine = i < 0 ? [] : words(curve, i).filter((line) => line !== null);
    return mine.length ? [[curve, mine]] : [];
  });
  const title = document.createElement("b");
  title.textContent = `${curves[0].spectrum.indexName} ${degree}`;
  box.replaceChildren(title);
  for (const [curve, mine] of lines) {
    const row = document.createElement("span");
    row.className = "told";
    if (curves.length > 1) {
      const swatch = document.createElement("i");
      swatch.className = `swatch shape-${curve.shape}`;
      swatch.style.background = `var(--${curve.color})`;
      swatch.title = curve.label;
      row.append(swatch);
    }
    for (const line of mine) {
      const piece = document.createElement("span");
      piece.className = "number";
      piece.textContent = line;
      row.append(piece);
    }
    box.append(row);
  }
  // The chart below stays in its place while the pointer moves.
  const tallest = box.dataset.curves === String(curves.length) ? Number(box.dataset.tallest) : 0;
  box.style.minHeight = "";
  box.dataset.curves = curves.length;
  box.dataset.tallest = Math.max(tallest, box.offsetHeight);
  box.style.minHeight = `${box.dataset.tallest}px`;
}

/** Degrees of which something is said. */
function degreesOf(curves, words) {
  const found = curves.flatMap((curve) => curve.places
    .filter((i) => words(curve, i).some((line) => line !== null))
    .map((i) => curve.spectrum.degrees[i]));
  return [...new Set(found)].sort((a, b) => a - b);
}

function eigenvalue(shown) {
  const curves = shown.flatMap((curve) => [
    // A law is drawn from the degree at which it is within 10 % of the eigenvalues.
    ...lines(curve, curve.spectrum.held, "dash"),
    dots(curve, curve.spectrum.eigenvalues),
  ]);
  const words = ({ spectrum: { held, eigenvalues } }, i) => [
    said(eigenvalues[i], undefined, (value) => `λ = ${value}`) ?? "λ = 0 exactly",
    said(held[i], 6, (law) => `law ≈ ${law}`),
  ];
  const numbers = shown.flatMap((curve) => visible(curve, curve.spectrum.eigenvalues));
  const ticks = zeros(shown, false);
  return { curves: [...curves, ...ticks], words, y: decades(numbers, "eigenvalue λ", ticks.length) };
}

function time(shown, choice) {
  const kinds = ({ times }) =>
    [[times.plain, "solid"], [times.sobolev, "dash"], [times.residual, "dots"]].filter(([t]) => t !== null);
  const curves = shown.flatMap((curve) => kinds(curve).flatMap(([t, dash]) => lines(curve, t, dash, true)));
  const words = ({ spectrum: { eigenvalues }, times }, i) =>
    isZero(eigenvalues[i]) ? ["never learned: λ = 0 exactly"] : [
      said(times.plain[i], HOVER_DIGITS, (t) => `L²: t = ${t}`),
      said(times.sobolev[i], HOVER_DIGITS, (t) => `H${superscript(choice.s)}: t = ${t}`),
      times.residual && (said(times.residual[i], HOVER_DIGITS, (t) => `PINN: t = ${t}`) ?? "PINN: never"),
    ];
  const numbers = shown.flatMap((curve) => kinds(curve).flatMap(([t]) => visible(curve, t)));
  const ticks = zeros(shown, true);
  const y = decades(numbers, "time t = steps × step size", 0, ticks.length);
  return { curves: [...curves, ...ticks], words, y };
}

function share(shown, choice) {
  const log = choice.share === "log";
  const known = shown.filter(({ spectrum }) => spectrum.shares !== null);
  const curves = known.map((curve) => dots(curve, curve.spectrum.shares, !log));
  const words = ({ spectrum: { shares } }, i) => shares === null ? []
    : [said(shares[i], HOVER_DIGITS, (part) => `share = ${part}`) ?? "share = 0 exactly"];
  const numbers = known.flatMap((curve) => visible(curve, curve.spectrum.shares));
  const label = "share N λ / K(1)  (1 = all)";
  const top = Math.max(1e-300, ...numbers.map(({ value }) => value));
  const ticks = zeros(known, false);
  const y = log ? decades(numbers, label, ticks.length)
    : { log: false, label, range: [-(0.04 + ROW * ticks.length) * top, 1.06 * top] };
  return { curves: [...curves, ...ticks], words, y };
}

function ratio(shown) {
  const one = { y: shown[0].at.map(() => 1), color: "muted", dash: "dots" };
  const curves = [one, ...shown.map((curve) => dots(curve, curve.spectrum.ratios, true))];
  const words = ({ spectrum: { ratios } }, i) =>
    [said(ratios[i], 8, (part) => `λ / law = ${part}`)];
  const y = { log: false, label: "eigenvalue / law", range: [0, 2] };
  return { curves, words, y };
}

const isZero = (number) => number.log === -Infinity;

/** A number as text; null if there is none. */
const said = (number, digits, say) =>
  number === null || !Number.isFinite(number.log) ? null : say(text(number, digits));

/** All degrees of curves, and the ends of the axis. */
function everyDegree(curves, ends) {
  const found = curves.flatMap(({ spectrum: { degrees }, places: at }) => at.map((i) => degrees[i]));
  return [...new Set([...ends, ...found])].sort((a, b) => a - b);
}

/** Map a degree to its index in a curve; undefined where the curve has none. */
function placeIn({ spectrum: { degrees }, places: at }) {
  const index = new Map(at.map((i) => [degrees[i], i]));
  return (degree) => index.get(degree);
}

/** Numbers at all degrees: null where a line ends, undefined where a curve has no degree. */
const aligned = ({ spectrum: { degrees }, at }, numbers, linear, parity = null) =>
  at.map((i) => {
    if (i === undefined || (parity !== null && degrees[i] % 2 !== parity)) return undefined;
    const number = numbers[i];
    if (number === null || !Number.isFinite(number.log)) return null;
    return linear ? number.value : log10(number);
  });

/** Even and odd degrees of the sphere are two lines; where there are many curves, lines have marks. */
const lines = (curve, numbers, dash, marked = false) =>
  (curve.spectrum.hasParity ? [0, 1] : [null]).map((parity) => ({
    y: aligned(curve, numbers, false, parity), color: curve.color, dash,
    ...(marked && curve.many && { shape: curve.shape, size: 7 }),
  }));

const dots = (curve, numbers, linear) =>
  ({ y: aligned(curve, numbers, linear), color: curve.color, shape: curve.shape, size: sizeOf(curve) });

/** Ticks at the edge, a row for each curve, at the degrees whose eigenvalue is exactly zero. */
function zeros(shown, top) {
  const some = shown.filter(({ spectrum: { eigenvalues }, places: at }) => at.some((i) => isZero(eigenvalues[i])));
  return some.map(({ at, spectrum: { eigenvalues }, color }, n) => {
    const row = (n + 0.4) * ROW;
    const y = at.map((i) => (i !== undefined && isZero(eigenvalues[i]) ? (top ? 1 - row : row) : undefined));
    return { y, scale: "edge", color, shape: "tick", size: 7 };
  });
}

/** Indices of the degrees that are drawn: a logarithmic axis has no 0. */
function places({ spectrum: { degrees } }, choice) {
  const [low, high] = choice.zoom ?? [0, Infinity];
  const all = [...degrees.keys()].filter((i) =>
    (choice.axis !== "log" || degrees[i] > 0) && degrees[i] >= low && degrees[i] <= high);
  if (all.length <= MOST_POINTS) return all;
  const first = all.slice(0, MOST_POINTS / 2);
  const step = 2 * Math.ceil((all.length - first.length) / (MOST_POINTS / 2));
  // Neighbours, so that both parities stay.
  return all.filter((i, n) => n < first.length || n % step < 2);
}

const visible = ({ places: at }, numbers) =>
  at.map((i) => numbers[i]).filter((q) => q && Number.isFinite(q.log));

const sizeOf = ({ places: at }) => (at.length > 400 ? 3 : at.length > 150 ? 4 : 5);

/** An axis of decimal logarithms, with room for rows of ticks below or above. */
function decades(numbers, label, below = 0, above = 0) {
  const logs = numbers.map(log10);
  let low = Infinity, high = -Infinity;
  for (const x of logs) [low, high] = [Math.min(low, x), Math.max(high, x)];
  if (!(low <= high)) [low, high] = [-1, 0];
  const pad = Math.max(0.06 * (high - low), (LEAST_DECADES - (high - low)) / 2, 0.1);
  const row = ROW * (high - low + 2 * pad) / (1 - ROW * (below + above));
  return { log: true, label, range: [low - pad - below * row, high + pad + above * row] };
}

function degreeAxis(curves, choice) {
  const last = Math.max(...curves.map(({ spectrum }) => spectrum.degrees.at(-1)), 2);
  const log = choice.axis === "log";
  const [low, high] = choice.zoom ?? [log ? 1 : 0, last];
  const names = [...new Set(curves.map(({ spectrum }) => spectrum.indexName))];
  const label = names.map((name) => `${name} k`).join(", ");
  if (!log) return { log, label, range: [low - 0.025 * (high - low), high + 0.025 * (high - low)] };
  const factor = (high / Math.max(low, 1)) ** 0.03;
  return { log, label, range: [Math.max(low, 1) / factor, high * factor] };
}

/** A network's law, or why it is not drawn, as pieces of text; true marks a superscript. */
export function lawWords({ law }) {
  if (law.unknown !== undefined) return [["No law: "], [law.unknown]];
  const parts = law.parts.filter((part, i) => i === 0 || isDerived(part));
  const words = parts.flatMap((part, i) => [[i ? "; " : "Law: "], ...partWords(law, part)]);
  const ends = [0, 1].find((parity) => lawPart(law, parity) === null);
  if (ends === undefined) return words;
  return [...words, [`; ${ends ? "odd" : "even"} degrees are 0 from some degree on`]];
}

function partWords(law, part) {
  const which = part.parity === null ? "" : part.parity ? " for odd k" : " for even k";
  if (part.rate === null) return [["falls faster than geometrically; no formula is derived"]];
  const words = [[`λ ~ ${part.log_constant === null ? "C" : constantOf(part.log_constant)}`]];
  if (part.power === null) words.push([" k"], ["p", true]);
  else if (part.power !== 0) words.push([" k"], [short(part.power), true]);
  if (part.rate !== 0) words.push([" exp(" + short(-part.rate) + " k"], [stretchOf(part), true], [")"]);
  if (part.factorial) words.push([" / k!"], [part.factorial === 1 ? "" : short(part.factorial), true]);
  words.push([which]);
  if (!isDerived(part)) {
    const names = [part.log_constant === null && "C", part.power === null && "p"].filter(Boolean);
    words.push([` (${law.kind}; ${names.join(" and ")} not derived, so it is not drawn)`]);
  } else if (part.holds_from === null) {
    words.push([", not shown to be within 10 % at these degrees, so it is not drawn"]);
  } else {
    words.push([`, within 10 % from k = ${part.holds_from}`]);
  }
  return words;
}

const constantOf = (log) => text({ value: Math.exp(log), log }, 4);
const short = (x) => String(Number(x.toPrecision(4))).replace("-", "−");
const stretchOf = ({ stretch }) =>
  stretch === 1 ? "" : Math.abs(stretch - 2 / 3) < 1e-12 ? "2/3" : short(stretch);
