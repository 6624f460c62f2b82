// The four charts, drawn by plotly.

import { isDerived, lawPart } from "explorer/spectra.js";
import { log10, text } from "explorer/numbers.js";

const HOVER_DIGITS = 12;
/** Most points drawn of a curve; if there are more degrees, high ones are thinned. */
const MOST_POINTS = 3000;
/** Fewest decades that a logarithmic axis shows. */
const LEAST_DECADES = 1;

const CONFIG = {
  displayModeBar: matchMedia("(pointer: coarse)").matches ? false : "hover", responsive: true, displaylogo: false, doubleClick: "reset",
  modeBarButtons: [["toImage", "resetScale2d"]],
};

/** Text with tags escaped, as plotly interprets some tags. */
const escaped = (words) =>
  words.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

export class Charts {
  #plotly;
  #coarse = matchMedia("(pointer: coarse)");

  /** `select` is called with the degree of a point that was clicked. */
  constructor(plotly, select) {
    this.#plotly = plotly;
    this.select = select;
  }

  /** Draw curves: results of `spectra.js` with a colour and a name. */
  draw(curves, choice, colors) {
    const views = { eigenvalue, time, share, ratio };
    for (const [name, view] of Object.entries(views)) {
      const chart = view(curves, choice);
      chart.traces.push(tooltip(curves, choice, chart.words));
      const layout = this.#layout(chart, curves, choice, colors);
      this.#show(`chart-${name}`, chart.traces, layout);
    }
  }

  #show(id, traces, layout) {
    const box = document.getElementById(id);
    const fresh = box.data === undefined;
    this.#plotly.react(box, traces, layout, CONFIG);
    if (fresh) box.on("plotly_click", ({ event }) => this.select(degreeAt(box, event)));
  }

  #layout(chart, curves, choice, colors) {
    const lines = { gridcolor: colors.grid, linecolor: colors.axis, tickcolor: colors.axis };
    const fixedrange = this.#coarse.matches;
    return {
      margin: { l: 58, r: 14, t: 10, b: 38 }, showlegend: false, hovermode: "x unified",
      hoverdistance: -1, // the nearest degree, however far it is on the screen
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: colors.font, size: 12, color: colors.text },
      hoverlabel: { bgcolor: colors.card, bordercolor: colors.axis, font: { size: 12 } },
      dragmode: fixedrange ? false : "zoom",
      xaxis: {
        ...degreeAxis(curves, choice), ...lines, fixedrange, zeroline: false, showline: true,
        ticks: "outside", ticklen: 4, title: { text: "degree k", standoff: 6 },
        unifiedhovertitle: { text: "degree %{x:d}" }, spikecolor: colors.muted, spikethickness: 1,
      },
      yaxis: {
        ...chart.axis, ...lines, fixedrange, zeroline: false, automargin: true, nticks: 7,
        ticks: "outside", ticklen: 4,
      },
      // Marks of exact zeros are at its ends for any range of numbers.
      yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
      shapes: [markOf(choice, colors), ...(chart.lines ?? []).map((y) => levelAt(y, colors))],
      uirevision: `${choice.axis} ${choice.share} ${curves[0].label}`,
    };
  }
}

/**
 * The degree of the tooltip at a click or tap.  The points that plotly gives with it may be those
 * of an earlier place: it looks for new ones some 50 ms later, and a tap is a click twice.
 */
function degreeAt(box, { clientX }) {
  const axis = box._fullLayout.xaxis;
  const place = clientX - box.getBoundingClientRect().left - axis._offset;
  const distance = (degree) => Math.abs(axis.d2p(degree) - place);
  return box.data.at(-1).x.reduce((best, k) => (distance(k) < distance(best) ? k : best));
}

function eigenvalue(curves, choice) {
  const traces = [];
  for (const curve of curves) {
    const { spectrum } = curve;
    const ink = { color: curve.color };
    traces.push(trace(curve, choice, spectrum.held, {
      mode: "lines", line: { ...ink, width: 1.5, dash: "dash" }, opacity: 0.75,
    }));
    traces.push(trace(curve, choice, spectrum.eigenvalues, {
      mode: "markers", marker: { ...ink, size: sizeOf(spectrum) },
    }));
    traces.push(zeros(curve, choice, 0.02));
  }
  const words = ({ spectrum: { held, eigenvalues } }, i) => [
    said(held[i], 6, (law) => `law ≈ ${law}`),
    said(eigenvalues[i], undefined, (value) => `λ = ${value}`) ?? "λ = 0 exactly",
  ];
  // A law is drawn from the degree at which it is within 10 % of the eigenvalues.
  const numbers = curves.flatMap((curve) => visible(curve, choice, curve.spectrum.eigenvalues));
  return { traces, words, axis: decades(numbers) };
}

function time(curves, choice) {
  const traces = [];
  for (const curve of curves) {
    const line = { color: curve.color, width: 2 };
    traces.push(trace(curve, choice, curve.times.plain, { mode: "lines", line }));
    traces.push(trace(curve, choice, curve.times.sobolev, {
      mode: "lines", line: { ...line, dash: "dash" },
    }));
    traces.push(zeros(curve, choice, 0.98));
  }
  const words = ({ spectrum: { eigenvalues }, times }, i) =>
    isZero(eigenvalues[i]) ? ["never learned: λ = 0 exactly"] : [
      said(times.plain[i], HOVER_DIGITS, (t) => `L²: t = ${t}`),
      said(times.sobolev[i], HOVER_DIGITS, (t) => `H<sup>${choice.s}</sup>: t = ${t}`),
    ];
  const numbers = curves.flatMap(
    (curve) => [curve.times.plain, curve.times.sobolev].flatMap((t) => visible(curve, choice, t)));
  return { traces, words, axis: decades(numbers) };
}

function share(curves, choice) {
  const log = choice.share === "log";
  const traces = [];
  for (const curve of curves) {
    if (curve.spectrum.shares === null) continue;
    traces.push(trace(curve, choice, curve.spectrum.shares, {
      mode: "markers", marker: { color: curve.color, size: sizeOf(curve.spectrum) }, linear: !log,
    }));
    traces.push(zeros(curve, choice, 0.02));
  }
  const words = ({ spectrum: { shares } }, i) => shares === null ? []
    : [said(shares[i], HOVER_DIGITS, (part) => `share = ${part}`) ?? "share = 0 exactly"];
  const numbers = curves.flatMap((curve) => visible(curve, choice, curve.spectrum.shares ?? []));
  if (log) return { traces, words, axis: decades(numbers) };
  const top = Math.max(...numbers.map(({ value }) => value));
  return { traces, words, axis: { range: [-0.04 * top, 1.06 * top], tickformat: ".2~g" } };
}

function ratio(curves, choice) {
  const traces = curves.map((curve) => trace(curve, choice, curve.spectrum.ratios, {
    mode: "markers", marker: { color: curve.color, size: sizeOf(curve.spectrum) }, linear: true,
  }));
  const words = ({ spectrum: { ratios } }, i) =>
    [said(ratios[i], 8, (part) => `λ / law = ${part}`)];
  return { traces, words, axis: { range: [0, 2], tickformat: ".2~f" }, lines: [1] };
}

const isZero = (number) => number.log === -Infinity;

/** A number as text; null if there is none. */
const said = (number, digits, say) =>
  number === null || !Number.isFinite(number.log) ? null : say(text(number, digits));

/** One curve of positive numbers against degrees; even and odd degrees are separate lines. */
function trace(curve, choice, numbers, { linear, ...look }) {
  const { degrees } = curve.spectrum;
  const x = [], y = [];
  for (const parity of [0, 1]) {
    for (const i of places(curve, choice)) {
      const number = numbers[i];
      if (degrees[i] % 2 !== parity || number === null || !Number.isFinite(number.log)) continue;
      x.push(degrees[i]);
      y.push(linear ? number.value : log10(number));
    }
    x.push(null);
    y.push(null);
  }
  return { x, y, hoverinfo: "skip", ...look };
}

/** Marks at the degrees whose eigenvalue is exactly zero. */
function zeros(curve, choice, y) {
  const { degrees, eigenvalues } = curve.spectrum;
  const found = places(curve, choice).filter((i) => isZero(eigenvalues[i]));
  return {
    x: found.map((i) => degrees[i]), y: found.map(() => y), yaxis: "y2", mode: "markers",
    marker: { symbol: "line-ns-open", size: 6, color: curve.color, line: { width: 1 } },
    opacity: 0.8, hoverinfo: "skip",
  };
}

/**
 * The only trace that the pointer finds: one point for each degree, with what `words` says of all
 * curves at this very degree.  The nearest points of several traces would be of several degrees.
 */
function tooltip(curves, choice, words) {
  const indices = curves.map(({ spectrum }) => new Map(spectrum.degrees.map((k, i) => [k, i])));
  const drawn = curves.flatMap(
    (curve) => places(curve, choice).map((i) => curve.spectrum.degrees[i]));
  const x = [], texts = [];
  for (const degree of [...new Set(drawn)].sort((a, b) => a - b)) {
    const lines = curves.flatMap((curve, n) => {
      const i = indices[n].get(degree);
      if (i === undefined) return [];
      const mine = words(curve, i).filter((line) => line !== null);
      if (mine.length === 0 || curves.length === 1) return mine;
      return [`<span style="color:${curve.color}">●</span> ${escaped(curve.label)}`, ...mine];
    });
    if (lines.length === 0) continue;
    x.push(degree);
    texts.push(lines.join("<br>"));
  }
  return {
    x, y: x.map(() => 0.5), yaxis: "y2", mode: "markers", marker: { color: "rgba(0,0,0,0)" }, text: texts,
    hovertemplate: "%{text}<extra></extra>",
  };
}

/** Indices of the degrees that are drawn: a logarithmic axis has no 0. */
function places({ spectrum: { degrees } }, choice) {
  const all = [...degrees.keys()].filter((i) => choice.axis !== "log" || degrees[i] > 0);
  if (all.length <= MOST_POINTS) return all;
  const first = all.slice(0, MOST_POINTS / 2);
  const step = 2 * Math.ceil((all.length - first.length) / (MOST_POINTS / 2));
  // Neighbours, so that both parities stay.
  return all.filter((i, n) => n < first.length || n % step < 2);
}

const visible = (curve, choice, numbers) =>
  places(curve, choice).map((i) => numbers[i]).filter((q) => q && Number.isFinite(q.log));

const sizeOf = ({ degrees }) => (degrees.length > 400 ? 3 : degrees.length > 150 ? 4 : 5);

/** An axis of decimal logarithms, labelled as powers of ten. */
function decades(numbers) {
  const logs = numbers.map(log10);
  let low = Math.min(...logs), high = Math.max(...logs);
  if (!(low <= high)) [low, high] = [-1, 0];
  const pad = Math.max(0.06 * (high - low), (LEAST_DECADES - (high - low)) / 2, 0.1);
  const axis = { range: [low - pad, high + pad], tickprefix: "10<sup>", ticksuffix: "</sup>" };
  return high - low < 6 ? { ...axis, dtick: high - low < 2 ? 0.5 : 1 } : axis;
}

function degreeAxis(curves, choice) {
  const last = Math.max(...curves.map(({ spectrum }) => spectrum.degrees.at(-1)), 2);
  if (choice.axis === "linear") return { type: "linear", range: [-0.025 * last, 1.025 * last] };
  const ticks = [];
  for (let ten = 1; ten <= 2 * last; ten *= 10) ticks.push(ten, 2 * ten, 5 * ten);
  const end = Math.log10(last);
  const range = [-0.03 * end, 1.03 * end];
  return { type: "log", range, tickvals: ticks, ticktext: ticks.map(String) };
}

const markOf = ({ degree }, colors) => ({
  type: "line", x0: degree, x1: degree, y0: 0, y1: 1, yref: "paper", layer: "below",
  line: { color: colors.mark, width: 1.5 },
});

const levelAt = (y, colors) => ({
  type: "line", x0: 0, x1: 1, xref: "paper", y0: y, y1: y, layer: "below",
  line: { color: colors.muted, width: 1, dash: "dot" },
});

/** A network's law, or why it is not drawn, as pieces of text; true marks a superscript. */
export function lawWords({ law }) {
  if (law.unknown !== undefined) return [["No law: "], [law.unknown]];
  const parts = law.parts.filter((part, i) => i === 0 || isDerived(part));
  const words = parts.flatMap((part, i) => [[i ? "; " : "Law: "], ...partWords(law, part)]);
  const ends = [0, 1].find((parity) => lawPart(law, parity) === null);
  if (ends === undefined) return words;
  return [...words, [`; ${ends ? "odd" : "even"} degrees end in zeros`]];
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
