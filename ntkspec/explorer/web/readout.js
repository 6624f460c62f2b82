// Text and single numbers: the summary, the numbers of one degree, the names of curves.

import { label } from "explorer/choice.js";
import { degreesHolding, isDerived, lawPart, sumOf } from "explorer/spectra.js";
import { lawWords } from "explorer/charts.js";
import { text } from "explorer/numbers.js";

const DIGITS = 12;
const element = (id) => document.getElementById(id);

/** Text as nodes; a piece whose second part is true is a superscript. */
function nodes(pieces) {
  return pieces.map(([words, raised]) => {
    if (!raised) return document.createTextNode(words);
    const sup = document.createElement("sup");
    sup.textContent = words;
    return sup;
  });
}

/** A fraction in percent; anything below 1 is not rounded up to 100 %. */
function percent(x) {
  const rounded = Number((100 * x).toPrecision(3));
  return rounded === 100 && x < 1 - 1e-12 ? "more than 99.9 %" : `${rounded} %`;
}

export function showSummary({ spectrum, times, label: name }, choice) {
  const first = document.createElement("strong");
  first.textContent = name;
  const words = [[". "], [shareWords(spectrum)], ...timeWords(spectrum, times, choice)];
  element("summary").replaceChildren(first, ...nodes(words));
}

function shareWords(spectrum) {
  if (spectrum.shares === null) return "";
  const { degrees, indexName, indices } = spectrum;
  const half = degreesHolding(spectrum, 0.5);
  const most = degreesHolding(spectrum, 0.99);
  const held = `The table's ${indices} to ${degrees.at(-1)} hold ${percent(sumOf(spectrum.shares))} of the trace`;
  const parts = [half !== null && `half to ${indexName} ${half}`, most !== null && `99 % to ${indexName} ${most}`];
  return [held, ...parts.filter(Boolean)].join(", ") + ". ";
}

function timeWords({ degrees, indexName }, { plain, sobolev }, { degree, s, error }) {
  const i = degrees.indexOf(degree);
  const which = `${capital(indexName)} ${degree}`;
  if (plain[i].log === Infinity) {
    return [[`${which} is never learned: its eigenvalue is exactly 0.`]];
  }
  const times = `in t = ${text(plain[i], 4)} under L², ${text(sobolev[i], 4)} under H`;
  return [[`${which} is learned to ε = ${error} ${times}`], [String(s), true], ["."]];
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);

/** All numbers of the chosen degree. */
export function showDegree({ spectrum, times }, choice) {
  const i = spectrum.degrees.indexOf(choice.degree);
  const value = spectrum.eigenvalues[i];
  const isZero = value.log === -Infinity;
  const rows = [
    ["Eigenvalue λ", isZero ? "0 exactly" : text(value), boundWords(spectrum, isZero)],
    ["ln λ", isZero ? "−∞" : String(value.log)],
    ["Law", lawText(spectrum, i)],
    ["Multiplicity N", text(spectrum.multiplicities[i])],
    ["Share of the trace", spectrum.shares ? text(spectrum.shares[i], DIGITS) : "trace unknown"],
    ["Time, L²", timeText(times.plain[i])],
    ["Time, H", timeText(times.sobolev[i]), "", String(choice.s)],
    ["Time, PINN residual", times.residual ? timeText(times.residual[i]) : "none"],
  ];
  element("index-name").textContent = capital(spectrum.indexName);
  element("numbers-of-degree").replaceChildren(...rows.map(pair));
}

const timeText = (time) => (time.log === Infinity ? "∞ (never)" : text(time, DIGITS));

const boundWords = ({ relativeError }, isZero) =>
  isZero ? "" : `relative error below ${relativeError.toPrecision(2)}`;

function lawText({ law, laws, degrees }, i) {
  if (laws[i] !== null) return text(laws[i], 6);
  if (law.parts === undefined || degrees[i] === 0) return "none";
  const part = lawPart(law, degrees[i] % 2);
  return part === null ? "0 from some degree on" : isDerived(part) ? "none" : "not derived";
}

function pair([name, value, hint, raised = ""]) {
  const box = document.createElement("div");
  const term = document.createElement("dt");
  const data = document.createElement("dd");
  term.replaceChildren(...nodes([[name], [raised, true]]));
  data.textContent = value;
  if (hint) box.title = hint;
  box.append(term, data);
  return box;
}

/** The notes below the charts: of the chosen curve, which is named where there are others. */
export function showNotes({ spectrum, label: name }, choice) {
  const weight = spectrum.laplacian ? choice.weight : "power";
  const notes = {
    eigenvalue: [...lawWords(spectrum), ["."], ...degreeZero(spectrum, choice)],
    time: [[`ε = ${choice.error}; weight ${weight}. ${residualWords(spectrum, choice)}`]],
    share: [[spectrum.shares === null
      ? `Not drawn: ${spectrum.noTrace}.` : `${spectrum.traceName} = ${text(spectrum.trace)}.`]],
    ratio: [[ratioWords(spectrum)]],
  };
  const whose = choice.pins.length ? [[`${name}: `]] : [];
  for (const [chart, words] of Object.entries(notes)) {
    element(`note-${chart}`).replaceChildren(...nodes([...whose, ...words]));
  }
}

function residualWords({ noResidual }, { shift }) {
  if (noResidual !== null) return `No PINN residual: ${noResidual}.`;
  const size = Math.abs(shift) === 1 ? "" : `${Math.abs(shift)} `;
  const operator = shift === 0 ? "Δu" : `Δu ${shift < 0 ? "−" : "+"} ${size}u`;
  return `PINN: of the residual ${operator} − g, in L².`;
}

function degreeZero({ degrees, eigenvalues, indexName }, { axis }) {
  if (axis !== "log" || degrees[0] !== 0) return [];
  return [[` ${capital(indexName)} 0 (λ = ${text(eigenvalues[0], 6)}) is off the logarithmic axis.`]];
}

function ratioWords({ ratios, degrees }) {
  const known = ratios.map((ratio, i) => [ratio, degrees[i]]).filter(([ratio]) => ratio !== null);
  if (known.length === 0) return "Not drawn: there is no law with all its constants.";
  if (!known.some(([ratio]) => ratio.value > 0 && ratio.value < 2)) {
    return "The law is still far off at all of the table's degrees.";
  }
  const [ratio, degree] = known.at(-1);
  return `It tends to 1 as k grows; at degree ${degree} it is ${text(ratio, 5)}.`;
}

/** The names of the curves in their colours; pinned curves can be removed. */
export function showCurves(curves, remove) {
  const items = curves.map((curve, n) => {
    const item = document.createElement("li");
    const swatch = document.createElement("span");
    swatch.className = `swatch shape-${curve.shape}`;
    swatch.style.background = `var(--${curve.color})`;
    item.append(swatch, curve.label);
    if (n > 0) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "×";
      button.setAttribute("aria-label", `Remove ${curve.label}`);
      button.addEventListener("click", () => remove(n - 1));
      item.append(button);
    }
    return item;
  });
  element("curves").replaceChildren(...items);
  element("curves").hidden = curves.length === 1; // the summary names the only one
}

/** A curve's name. */
export const nameOf = ({ entry, isTorus }, dim) => label(entry) + (isTorus ? "" : `, d = ${dim}`);

export function showSource({ file, time, program }) {
  element("source").textContent = file;
  const parts = [`Table ${file}`, time && `created ${time}`, program && `by ntkspec ${program}`];
  element("made").textContent = `${parts.filter(Boolean).join(", ")}.`;
}
