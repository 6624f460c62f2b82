// Numbers that may be outside the range of doubles: a value and its natural logarithm.

export const SMALLEST = 2.2250738585072014e-308;
const LOGGED_DIGITS = 10;

/** A number known by its value. */
export const ofValue = (value) => ({ value, log: Math.log(value) });

/** A number known by its logarithm. */
export const ofLog = (log) => ({ value: Math.exp(log), log });

/** Whether a double represents a number with all digits. */
const isWhole = ({ value }) => value >= SMALLEST && Number.isFinite(value);

/**
 * a b... / (c d...), from the values where doubles hold them all and the result.
 * The logarithms lose digits, but have no range to leave.
 */
export function quotient(above, below) {
  if ([...above, ...below].every(isWhole)) {
    const value = above.reduce((p, q) => p * q.value, 1) / below.reduce((p, q) => p * q.value, 1);
    if (isWhole({ value })) return ofValue(value);
  }
  const log = above.reduce((p, q) => p + q.log, 0) - below.reduce((p, q) => p + q.log, 0);
  return ofLog(log);
}

/** Decimal text of a number, by default with all digits of a double. */
export function text(number, digits) {
  if (number === null) return "unknown";
  if (number.log === -Infinity) return "0";
  if (number.log === Infinity) return "∞";
  if (!isWhole(number)) return textOfLog(number.log, Math.min(digits ?? LOGGED_DIGITS, LOGGED_DIGITS));
  const value = digits === undefined ? number.value : Number(number.value.toPrecision(digits));
  // Avoid long rows of zeros; JavaScript uses exponents only from 1e-7 on, and from 1e21 on.
  return value < 1e-3 || value >= 10 ** Math.max(digits, 6) ? value.toExponential() : String(value);
}

/** Decimal text of the number with a given logarithm, such as 3.2e-412. */
function textOfLog(log, digits) {
  const ten = log / Math.LN10;
  let exponent = Math.floor(ten);
  let mantissa = (10 ** (ten - exponent)).toPrecision(digits);
  if (Number(mantissa) >= 10) {
    exponent += 1;
    mantissa = (10 ** (ten - exponent)).toPrecision(digits);
  }
  return `${Number(mantissa)}e${exponent < 0 ? "" : "+"}${exponent}`;
}

export const log10 = (number) => number.log / Math.LN10;
