// The user's choice, and the link that contains it.

const DEFAULTS = { s: 1, weight: "power", error: 0.01, axis: "log", share: "log", shift: -1, zoom: null, table: false };
const ALLOWED = {
  weight: ["power", "laplacian"], axis: ["log", "linear"], share: ["log", "linear"],
};
const MOST_EXPONENT = 50;
const MOST_SHIFT = 1e6;
/** With the network that is chosen, four are compared. */
export const MOST_PINS = 3;

/** A finite Sobolev exponent, or null. */
export function checkedExponent(text) {
  const s = text.trim() === "" ? NaN : Number(text);
  return Math.abs(s) <= MOST_EXPONENT ? s : null;
}

/** A target error between 0 and 1, or null. */
export function checkedError(text) {
  const error = text.trim() === "" ? NaN : Number(text);
  return error > 0 && error < 1 ? error : null;
}

/** A finite shift of the operator, or null. */
export function checkedShift(text) {
  const shift = text.trim() === "" ? NaN : Number(text);
  return Math.abs(shift) <= MOST_SHIFT ? shift : null;
}

/** A range of degrees from a link, or null. */
function checkedZoom(text) {
  const ends = (/^(\d+)-(\d+)$/.exec(text) ?? []).slice(1).map(Number);
  return ends.length === 2 && ends[0] < ends[1] ? ends : null;
}

/** The value of a sorted list nearest to a number. */
export function nearest(values, wanted) {
  return values.reduce((best, x) => (Math.abs(x - wanted) < Math.abs(best - wanted) ? x : best));
}

/** The initial choice: the poster's ReLU network, or else the first that a name describes. */
export function firstChoice(store) {
  const named = store.networks.findIndex((entry) => entry.name === "relu");
  const short = store.networks.findIndex((entry) => entry.parameters.depth !== null);
  const network = Math.max(named < 0 ? short : named, 0);
  const dim = nearest(store.dims(network), 3);
  const eigenvalues = store.eigenvalues(network, store.dims(network).indexOf(dim));
  const degrees = store.degrees(network, dim);
  const learned = degrees.filter((_, i) => eigenvalues[i].log !== -Infinity);
  const degree = nearest(learned.length ? learned : degrees, 10);
  return { network, dim, degree, pins: [], ...DEFAULTS };
}

/** The part of the link after #. */
export function toHash(store, choice) {
  const query = new URLSearchParams();
  query.set("network", store.networks[choice.network].name);
  for (const key of ["dim", "s", "weight", "error", "shift", "axis", "share", "degree"]) {
    query.set(key, String(choice[key]));
  }
  if (choice.zoom) query.set("zoom", choice.zoom.join("-"));
  if (choice.table) query.set("table", "open");
  for (const pin of choice.pins) query.append("pin", `${pin.dim} ${store.networks[pin.network].name}`);
  return `#${query}`;
}

/** The choice in a link, with initial values for anything missing or not in the table. */
export function fromHash(store, hash) {
  const query = new URLSearchParams(hash.replace(/^#/, ""));
  const choice = firstChoice(store);
  const refused = [];
  const take = (key, found) => {
    if (!query.has(key)) return;
    const value = found(query.get(key));
    if (value === null || value === undefined) refused.push(`${key} = ${query.get(key)}`);
    else choice[key] = value;
  };
  const whole = (values) => (text) => values.find((x) => String(x) === text);
  take("network", (name) => networkNamed(store, name));
  choice.dim = nearest(store.dims(choice.network), choice.dim);
  take("dim", whole(store.dims(choice.network)));
  const degrees = store.degrees(choice.network, choice.dim);
  choice.degree = nearest(degrees, choice.degree);
  take("degree", whole(degrees));
  take("s", checkedExponent);
  take("error", checkedError);
  take("shift", checkedShift);
  take("zoom", checkedZoom);
  take("table", (text) => text === "open" || null);
  for (const key of Object.keys(ALLOWED)) take(key, whole(ALLOWED[key]));
  for (const text of query.getAll("pin")) {
    const pin = readPin(store, text);
    if (pin === null || choice.pins.length === MOST_PINS) refused.push(`pin = ${text}`);
    else choice.pins.push(pin);
  }
  return { choice, refused };
}

function networkNamed(store, name) {
  const found = store.networks.findIndex((entry) => entry.name === name);
  return found < 0 ? null : found;
}

function readPin(store, text) {
  const [, dim, name] = /^(\d+) (.*)$/s.exec(text) ?? [];
  const network = networkNamed(store, name);
  if (network === null || !store.dims(network).includes(Number(dim))) return null;
  return { network, dim: Number(dim) };
}

/** Where the inputs are, other than on the sphere. */
export const placeOf = (domain) => ({ cube: "on the cube", gaussian: "gaussian inputs" })[domain]
  ?? (domain.startsWith("torus") ? domain.replace("torus", "on the torus") : `inputs in ${domain}`);

const TRAINED = { all: "NTK, all trained", hidden: "NTK" };

/** A short description of a network. */
export function label(entry) {
  const { activation, slope, power, depth, bias_variance: variance, bias, weight_variance: weight,
    readout_variance: readout, readout_bias_variance: readoutBias, normalize, trained, weights,
    parameterization, kernel, domain } = entry.parameters;
  const words = [activation];
  if (slope !== null) words.push(`slope ${slope}`);
  if (power !== null) words.push(`power ${power}`);
  if (depth !== null) {
    words.push(`depth ${depth}`);
    if (variance !== 0) words.push(`bias ${variance}${bias === "zero" ? " from zero" : ""}`);
    if (weight !== 1) words.push(`weight variance ${weight}`);
    if (readout !== 1) words.push(`readout variance ${readout}`);
    if (readoutBias !== 0) words.push(`readout bias ${readoutBias}`);
    if (normalize) words.push("normalized layers");
    if (weights !== "gaussian") words.push("weights on a sphere");
    if (parameterization !== "ntk") words.push(`${parameterization} parameterization`);
  }
  if (domain !== "sphere") words.push(placeOf(domain));
  words.push(kernel === "nngp" ? "NNGP" : TRAINED[trained] ?? (trained === null ? "NTK" : `NTK, trained ${trained}`));
  return words.join(", ");
}
