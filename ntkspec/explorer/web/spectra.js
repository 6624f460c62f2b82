// The curves of one network in one dimension.

import { ofLog, ofValue, quotient } from "explorer/numbers.js";

/** Everything that does not depend on the loss, for each degree of the table. */
export function spectrum(store, network, dim) {
  const place = store.dims(network).indexOf(dim);
  const entry = store.networks[network];
  const degrees = store.degrees(network, dim);
  const grid = store.grid(network);
  const eigenvalues = store.eigenvalues(network, place);
  const multiplicities = store.multiplicities(network, place);
  const law = entry.laws[place];
  const laws = lawValues(law, degrees);
  const held = laws.map((value, i) => {
    const from = lawPart(law, degrees[i] % 2)?.holds_from ?? null;
    return from !== null && degrees[i] >= from ? value : null;
  });
  const found = entry.traces[place] ?? entry.traces[0];
  const trace = found.value === undefined ? null : ofValue(found.value);
  return {
    network, dim, degrees, eigenvalues, multiplicities, law, laws, held, trace, entry,
    noTrace: found.unknown, traceName: /^(gaussian|ball)/.test(grid.domain) ? "E K(x, x)" : "K(1)",
    laplacian: hasLaplacian(grid, dim),
    isTorus: isTorus(grid), hasParity: !isTorus(grid), indexName: isTorus(grid) ? "frequency" : "degree", indices: isTorus(grid) ? "frequencies" : "degrees",
    noResidual: entry.residual,
    relativeError: entry.relative_error[place],
    shares: trace && eigenvalues.map((value, i) => quotient([multiplicities[i], value], [trace])),
    ratios: eigenvalues.map((value, i) =>
      laws[i] === null || value.value === 0 && value.log === -Infinity
        ? null : quotient([value], [laws[i]])),
  };
}

export const isTorus = (grid) => grid.domain.startsWith("torus");

/** Whether the domain of a grid has a weight by its Laplacian in a dimension. */
export const hasLaplacian = (grid, dim) => grid.laplacian[grid.dims.indexOf(dim)];

/** mu_k of the Sobolev loss: (1+k)^(2s), or (1 + k(k+d-2))^s. */
export function sobolevWeight(degree, dim, s, weight) {
  const [base, exponent] =
    weight === "power" ? [1 + degree, 2 * s] : [1 + degree * (degree + dim - 2), s];
  return { value: base ** exponent, log: exponent * Math.log(base) };
}

/** The square of the symbol of the Laplacian plus a shift; on the torus x runs from 0 to 1. */
function residualWeight(degree, dim, flat, shift) {
  const symbol = Math.abs(shift - (flat ? (2 * Math.PI * degree) ** 2 : degree * (degree + dim - 2)));
  return { value: symbol ** 2, log: 2 * Math.log(symbol) };
}

/**
 * ln(1/error) / (lambda_k mu_k), under L2 (mu_k = 1), under the Sobolev loss, and of the residual
 * of an operator, where its kernel is finite.
 */
export function learningTimes(spectrum, { s, weight, error, shift }) {
  const { degrees, eigenvalues, laplacian, isTorus: flat, noResidual } = spectrum;
  const dim = flat ? 2 : spectrum.dim; // a frequency has the weight of a degree on the circle
  const wanted = ofValue(-Math.log(error));
  return {
    residual: noResidual !== null ? null : eigenvalues.map((value, i) =>
      quotient([wanted], [value, residualWeight(degrees[i], dim, flat, shift)])),
    plain: eigenvalues.map((value) => quotient([wanted], [value])),
    sobolev: eigenvalues.map((value, i) =>
      quotient([wanted], [value, sobolevWeight(degrees[i], dim, s, laplacian ? weight : "power")])),
  };
}

/** The part of a law for degrees of a parity; null if they vanish. */
export function lawPart(law, parity) {
  if (law.parts === undefined) return null;
  return law.parts.find((part) => part.parity === null || part.parity === parity) ?? null;
}

/** Whether all constants of a law's part are known. */
export const isDerived = (part) =>
  part.log_constant !== null && part.power !== null && part.rate !== null;

/** C k^power exp(-rate k^stretch) / k!^factorial for each degree; null if there is no law. */
function lawValues(law, degrees) {
  const parts = [0, 1].map((parity) => lawPart(law, parity));
  const factorials = parts.some((part) => part?.factorial) ? logFactorials(degrees.at(-1)) : null;
  return degrees.map((k) => {
    const part = parts[k % 2];
    if (k === 0 || part === null || !isDerived(part)) return null;
    let log = part.log_constant + part.power * Math.log(k) - part.rate * k ** part.stretch;
    if (factorials) log -= part.factorial * factorials[k];
    return ofLog(log);
  });
}

function logFactorials(last) {
  const logs = new Float64Array(last + 1);
  for (let k = 1; k <= last; k += 1) logs[k] = logs[k - 1] + Math.log(k);
  return logs;
}

/** Number of leading degrees that contain a fraction of the trace. */
export function degreesHolding({ degrees, shares }, part) {
  let sum = 0;
  for (let i = 0; i < degrees.length; i += 1) {
    sum += shares[i].value;
    if (sum >= part) return degrees[i];
  }
  return null;
}

export const sumOf = (numbers) => numbers.reduce((sum, number) => sum + number.value, 0);
