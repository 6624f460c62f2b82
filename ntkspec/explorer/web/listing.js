// The numbers as an HTML table with pages of rows, and as CSV.

import { text } from "explorer/numbers.js";

const ROWS = 50;
const COLUMNS = [
  ["degree", "k", ({ spectrum }, i) => String(spectrum.degrees[i])],
  ["eigenvalue", "λ", ({ spectrum }, i) => text(spectrum.eigenvalues[i])],
  ["log_eigenvalue", "ln λ", ({ spectrum }, i) => logText(spectrum.eigenvalues[i])],
  ["law", "law", ({ spectrum }, i) => known(spectrum.laws[i])],
  ["multiplicity", "N(d,k)", ({ spectrum }, i) => text(spectrum.multiplicities[i])],
  ["share", "share", ({ spectrum }, i) => known(spectrum.shares?.[i] ?? null)],
  ["time_l2", "time, L²", ({ times }, i) => infinite(times.plain[i])],
  ["time_sobolev", "time, Hˢ", ({ times }, i) => infinite(times.sobolev[i])],
  ["time_residual", "time, PINN", ({ times }, i) => (times.residual ? infinite(times.residual[i]) : "")],
];

const logText = ({ log }) => (log === -Infinity ? "-inf" : String(log));
const known = (number) => (number === null ? "" : text(number));
const infinite = (number) => (number.log === Infinity ? "inf" : text(number));
const element = (id) => document.getElementById(id);

export class Listing {
  #curve;
  #first = 0;

  /** `say` shows a message to the user. */
  constructor(say) {
    this.say = say;
    element("listing").addEventListener("toggle", () => this.#render());
    element("previous").addEventListener("click", () => this.#turn(-ROWS));
    element("next").addEventListener("click", () => this.#turn(ROWS));
    element("copy").addEventListener("click", () => this.#copy());
    element("download").addEventListener("click", () => this.#download());
    element("columns").replaceChildren(...COLUMNS.map(([, name]) => cell("th", name)));
  }

  show(curve) {
    const count = curve.spectrum.degrees.length;
    if (this.#first >= count) this.#first = 0;
    this.#curve = curve;
    this.#render();
  }

  #turn(rows) {
    this.#first += rows;
    this.#render();
  }

  #render() {
    if (!element("listing").open) return;
    const count = this.#curve.spectrum.degrees.length;
    const end = Math.min(this.#first + ROWS, count);
    const rows = [];
    for (let i = this.#first; i < end; i += 1) {
      const row = document.createElement("tr");
      row.append(...COLUMNS.map(([, , value], n) => cell(n ? "td" : "th", value(this.#curve, i))));
      rows.push(row);
    }
    element("cells").replaceChildren(...rows);
    element("caption").textContent = this.#curve.label;
    element("rows").textContent = `rows ${this.#first + 1}–${end} of ${count}`;
    element("previous").disabled = this.#first === 0;
    element("next").disabled = end === count;
  }

  #csv() {
    const lines = [COLUMNS.map(([name]) => name)];
    for (let i = 0; i < this.#curve.spectrum.degrees.length; i += 1) {
      lines.push(COLUMNS.map(([, , value]) => value(this.#curve, i).replace("∞", "inf")));
    }
    return `${lines.map((cells) => cells.join(",")).join("\n")}\n`;
  }

  async #copy() {
    await copied(this.#csv());
    this.say("Copied the numbers to the clipboard as CSV.");
  }

  #download() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([this.#csv()], { type: "text/csv" }));
    link.download = `${this.#curve.label.replace(/[^\w.=-]+/g, "-")}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
}

function cell(kind, words) {
  const made = document.createElement(kind);
  made.textContent = words;
  if (kind === "th") made.scope = words === "" || Number.isNaN(Number(words)) ? "col" : "row";
  return made;
}

/** Copy text to the clipboard; pages opened as files may not have the API. */
export async function copied(words) {
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    const area = document.createElement("textarea");
    area.value = words;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
