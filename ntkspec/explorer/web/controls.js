// The form: selects for parameters in which the networks differ, and the rest of the choice.

import { checkedError, checkedExponent, checkedShift, label, nearest, placeOf } from "explorer/choice.js";
import { hasLaplacian, isTorus } from "explorer/spectra.js";

const NAMES = {
  domain: "Inputs", activation: "Activation", slope: "Slope", power: "Power", depth: "Hidden layers",
  bias_variance: "Bias variance", bias: "Bias at the start", weight_variance: "Weight variance",
  readout_variance: "Readout variance", readout_bias_variance: "Readout bias variance",
  normalize: "Layers", trained: "Trained", weights: "Inner weights",
  parameterization: "Parameterization", kernel: "Kernel", name: "Entry of the table",
};
const VALUES = {
  trained: { hidden: "hidden layers", all: "all, readout too" },
  weights: { gaussian: "Gaussian", sphere: "on a sphere" },
  bias: { gaussian: "Gaussian", zero: "zero" },
  normalize: { true: "normalized", false: "plain" },
  kernel: { ntk: "NTK", nngp: "NNGP" },
  domain: { sphere: "on the sphere", cube: "on the cube", gaussian: "Gaussian", ball: "in the unit ball" },
};
/** Defaults that are not mentioned if they are the same for all networks. */
const PLAIN = {
  bias_variance: 0, bias: "gaussian", weight_variance: 1, readout_variance: 1,
  readout_bias_variance: 0, normalize: false, weights: "gaussian", parameterization: "ntk",
  domain: "sphere",
};

const element = (id) => document.getElementById(id);
const shown = (key, value) =>
  key === "bias_variance" && value === 0 ? "0 (no bias)"
    : VALUES[key]?.[value] ?? (key === "domain" ? placeOf(value) : String(value));

export class Controls {
  #store;
  #change;
  #selects = new Map();

  /** `change` receives the new values, and whether they are transient (a slider's steps). */
  constructor(store, change) {
    this.#store = store;
    this.#change = change;
    for (const key of Object.keys(NAMES)) this.#addSelect(key);
    element("dim").addEventListener("change", (e) => change({ dim: Number(e.target.value) }));
    element("weight").addEventListener("change", (e) => change({ weight: e.target.value }));
    for (const name of ["axis", "share"]) {
      for (const radio of document.getElementsByName(name)) {
        radio.addEventListener("change", () => change({ [name]: radio.value }));
      }
    }
    element("s-range").addEventListener("input", (e) => change({ s: Number(e.target.value) }, true));
    element("s-range").addEventListener("change", (e) => change({ s: Number(e.target.value) }));
    this.#number("s", checkedExponent, "a number from −50 to 50");
    this.#number("error", checkedError, "a number between 0 and 1");
    this.#number("shift", checkedShift, "a number from −1000000 to 1000000");
    element("degree").addEventListener("input", (e) => this.#degree(e.target, true));
    element("degree").addEventListener("change", (e) => this.#degree(e.target, false));
    element("controls").addEventListener("submit", (e) => e.preventDefault());
  }

  /** Show a choice. */
  show(choice) {
    this.current = choice.network;
    this.dim = choice.dim;
    const entry = this.#store.networks[choice.network];
    for (const [key, select] of this.#selects) this.#fillSelect(key, select, entry);
    element("fixed").textContent = this.#sameForAll(entry);
    const dims = this.#store.dims(choice.network);
    fill(element("dim"), dims, String, choice.dim);
    element("dim").parentElement.hidden = isTorus(this.#store.grid(choice.network));
    element("shift").parentElement.hidden = entry.residual !== null;
    const laplacian = hasLaplacian(this.#store.grid(choice.network), choice.dim);
    element("weight").querySelector("[value=laplacian]").disabled = !laplacian;
    element("weight").value = laplacian ? choice.weight : "power";
    for (const name of ["axis", "share"]) {
      for (const radio of document.getElementsByName(name)) radio.checked = radio.value === choice[name];
    }
    element("s-range").value = choice.s;
    for (const key of ["s", "error", "shift", "degree"]) {
      const input = element(key);
      if (Number(input.value) !== choice[key] || input.value === "") input.value = choice[key];
      clearError(input);
    }
    const degrees = this.#store.degrees(choice.network, choice.dim);
    element("degree").max = degrees.at(-1);
  }

  #addSelect(key) {
    const box = document.createElement("label");
    const select = document.createElement("select");
    select.id = `choose-${key}`;
    const name = document.createElement("span");
    name.textContent = NAMES[key];
    box.className = "field";
    box.append(name, " ", select);
    element("parameters").append(box);
    this.#selects.set(key, select);
    select.addEventListener("change", () => this.#changeNetwork(key, select.value));
  }

  /** Values of a parameter among the networks with the same activation. */
  #values(key, entry) {
    const values = this.#candidates(key, entry).map((other) => valueOf(other, key));
    const unique = [...new Set(values)].filter((value) => value !== null);
    return unique.every((x) => typeof x === "number") ? unique.sort((a, b) => a - b) : unique;
  }

  #candidates(key, entry) {
    const { networks } = this.#store;
    if (key === "activation" || key === "domain") return networks;
    if (key === "name") return networks.filter((other) => sameParameters(other, entry));
    return networks.filter((x) => x.parameters.activation === entry.parameters.activation);
  }

  #fillSelect(key, select, entry) {
    const values = this.#values(key, entry);
    // Networks of layers, whose names are long, come last.
    if (key === "activation") values.sort((a, b) => /^Linear/.test(a) - /^Linear/.test(b));
    select.parentElement.hidden = values.length < 2;
    fill(select, values, (value) => shown(key, value), valueOf(entry, key));
  }

  /** Parameters that all networks share and that are not defaults. */
  #sameForAll(entry) {
    const words = Object.keys(entry.parameters)
      .filter((key) => this.#selects.get(key).parentElement.hidden)
      .filter((key) => entry.parameters[key] !== null && entry.parameters[key] !== PLAIN[key])
      .map((key) => `${NAMES[key].toLowerCase()}: ${shown(key, entry.parameters[key])}`);
    return words.join("; ");
  }

  /** The network with the chosen value that is most similar to the current one. */
  #changeNetwork(key, text) {
    const current = this.#store.networks[this.current];
    const others = this.#candidates(key, current).filter((x) => String(valueOf(x, key)) === text);
    const common = (entry) =>
      Object.keys(NAMES).reduce((n, k) => 2 * n + (valueOf(entry, k) === valueOf(current, k)), 0);
    const best = others.reduce((x, y) => (common(y) > common(x) ? y : x));
    const changed = Object.keys(current.parameters)
      .filter((k) => k !== key && current.parameters[k] !== null && best.parameters[k] !== null)
      .filter((k) => best.parameters[k] !== current.parameters[k]);
    this.#change({ network: this.#store.networks.indexOf(best) }, false, notice(best, changed));
  }

  #number(id, check, allowed) {
    const input = element(id);
    const take = (transient) => {
      const value = check(input.value);
      if (value !== null) this.#change({ [id]: value }, transient);
      else showError(input, `must be ${allowed}`);
    };
    input.addEventListener("input", () => take(true));
    input.addEventListener("change", () => take(false));
  }

  #degree(input, transient) {
    if (input.value.trim() === "") return;
    const degree = nearest(this.#store.degrees(this.current, this.dim), Number(input.value));
    if (transient && degree !== Number(input.value)) return;
    this.#change({ degree }, transient);
  }
}

/** The value of a parameter; the name distinguishes networks with equal parameters. */
const valueOf = (entry, key) => (key === "name" ? entry.name : entry.parameters[key]);

const sameParameters = (one, other) =>
  Object.keys(one.parameters).every((key) => one.parameters[key] === other.parameters[key]);

function notice(entry, changed) {
  if (changed.length === 0) return "";
  const words = changed.map((k) => `${NAMES[k].toLowerCase()} is now ${shown(k, entry.parameters[k])}`);
  return `The table has no such network; the nearest is ${label(entry)} (${words.join(", ")}).`;
}

function fill(select, values, name, chosen) {
  const options = values.map((value) => new Option(name(value), String(value)));
  select.replaceChildren(...options);
  select.value = String(chosen);
}

function showError(input, words) {
  input.setAttribute("aria-invalid", "true");
  element(`${input.id}-error`).textContent = words;
}

function clearError(input) {
  input.removeAttribute("aria-invalid");
  const error = document.getElementById(`${input.id}-error`);
  if (error) error.textContent = "";
}
