// The contents of the page, unpacked once when it opens.

import { ofLog, ofValue } from "explorer/numbers.js";

/** Bytes stored in an element as base64 of gzip; the element is emptied. */
export async function unpacked(id) {
  const element = document.getElementById(id);
  const packed = atob(element.textContent);
  element.textContent = "";
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i += 1) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** Doubles from their bytes, of which all first ones come first, then all second ones, and so on. */
export function doubles(buffer) {
  const planes = new Uint8Array(buffer), count = planes.length / 8, bytes = new Uint8Array(planes.length);
  for (let plane = 0; plane < 8; plane += 1) {
    for (let i = 0, at = plane; i < count; i += 1, at += 8) bytes[at] = planes[plane * count + i];
  }
  return new Float64Array(bytes.buffer);
}

/** The table: its networks, and the rows of their numbers. */
export class Store {
  constructor(header, numbers) {
    this.source = header.source;
    this.networks = header.networks;
    this.grids = header.grids;
    this.numbers = numbers;
  }

  grid(network) {
    return this.grids[this.networks[network].grid];
  }

  dims(network) {
    return this.grid(network).dims;
  }

  /** The degrees in a dimension: on the cube they end there. */
  degrees(network, dim) {
    const grid = this.grid(network);
    return grid.degrees.slice(0, grid.counts[grid.dims.indexOf(dim)]);
  }

  /** Eigenvalues of a network in the dimension with an index; a negative double is a logarithm. */
  eigenvalues(network, place) {
    const stored = this.#row(this.networks[network].place, network, place);
    return Array.from(stored, (x) => (x < 0 ? ofLog(x) : ofValue(x)));
  }

  /** N(d, k); a negative double is minus a logarithm. */
  multiplicities(network, place) {
    const stored = this.#row(this.grid(network).place, network, place);
    return Array.from(stored, (x) => (x < 0 ? ofLog(-x) : ofValue(x)));
  }

  #row(start, network, place) {
    const { degrees, counts } = this.grid(network);
    const first = start + place * degrees.length;
    return this.numbers.subarray(first, first + counts[place]);
  }
}
