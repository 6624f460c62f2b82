// Opens the page: unpacks the table, and shows the choice.

import { MOST_PINS, firstChoice, fromHash, nearest, toHash } from "explorer/choice.js";
import { nameOf, showCurves, showDegree, showNotes, showSource, showSummary } from "explorer/readout.js";
import { followTheme } from "explorer/theme.js";
import { learningTimes, spectrum } from "explorer/spectra.js";
import { Charts } from "explorer/charts.js";
import { Controls } from "explorer/controls.js";
import { Listing, copied } from "explorer/listing.js";
import { Store, doubles, unpacked } from "explorer/store.js";

/** The marks of the chosen curve and of those pinned. */
const SHAPES = ["dot", "square", "triangle", "cross"];

const element = (id) => document.getElementById(id);

/** Show a notice; empty text hides it. */
function say(words) {
  element("notice").textContent = words;
  element("notice").hidden = words === "";
}

class Explorer {
  constructor(store) {
    this.store = store;
    this.choice = firstChoice(store);
    this.spectra = new Map();
    this.charts = new Charts((degree) => this.change({ degree }), (zoom) => this.change({ zoom }));
    this.controls = new Controls(store, (...change) => this.change(...change));
    this.listing = new Listing(say);
    element("pin").addEventListener("click", () => this.pin());
    element("all-degrees").addEventListener("click", () => this.change({ zoom: null }));
    element("listing").addEventListener("toggle", (event) => {
      if (event.target.open !== this.choice.table) this.change({ table: event.target.open }, true);
    });
    element("link").addEventListener("click", () => this.copyLink());
    for (const jump of document.querySelectorAll("[data-jump]")) {
      jump.addEventListener("click", (event) => {
        event.preventDefault(); // the link after # is the choice
        const place = element(jump.hash.slice(1));
        place.focus({ preventScroll: true });
        place.scrollIntoView();
      });
    }
    window.addEventListener("popstate", () => this.open());
    showSource(store.source);
  }

  /** Show the choice in the link. */
  open() {
    const { choice, refused } = fromHash(this.store, location.hash);
    this.choice = choice;
    this.show();
    say(refused.length ? `The link contains values that are not in this table: ${refused.join(", ")}.` : "");
  }

  /** Apply a change of the choice; a transient one adds no entry to the browser's history. */
  change(part, transient = false, words = "") {
    const choice = { ...this.choice, ...part };
    const dims = this.store.dims(choice.network);
    if (!dims.includes(choice.dim)) {
      choice.dim = nearest(dims, choice.dim);
      words = `${words} The dimension is now ${choice.dim}.`.trim();
    }
    choice.degree = nearest(this.store.degrees(choice.network, choice.dim), choice.degree);
    this.choice = choice;
    const hash = toHash(this.store, choice);
    const settled = history.state?.transient !== true;
    if (hash !== location.hash) {
      const way = settled ? "pushState" : "replaceState";
      history[way]({ transient }, "", hash);
    } else if (!transient) {
      history.replaceState({ transient: false }, "", hash);
    }
    this.show();
    say(words);
  }

  pin() {
    const { network, dim, pins } = this.choice;
    if (pins.some((pin) => pin.network === network && pin.dim === dim)) {
      say("This curve is pinned already; choose another network or dimension to compare it with.");
    } else if (pins.length === MOST_PINS) {
      say(`At most ${MOST_PINS} curves can be pinned; remove one first.`);
    } else {
      const words = "Pinned: now choose another network or dimension to compare it with.";
      this.change({ pins: [...pins, { network, dim }] }, false, words);
    }
  }

  async copyLink() {
    await copied(location.href.split("#")[0] + toHash(this.store, this.choice));
    say("Copied a link to this view to the clipboard.");
  }

  /** The curve of a network in a dimension, computed once. */
  curve({ network, dim }, shape) {
    const key = `${network} ${dim}`;
    if (!this.spectra.has(key)) this.spectra.set(key, spectrum(this.store, network, dim));
    const found = this.spectra.get(key);
    const label = nameOf(found, dim);
    return { spectrum: found, times: learningTimes(found, this.choice), label, color: `curve-${shape}`, shape: SHAPES[shape] };
  }

  show() {
    const { choice } = this;
    const current = this.curve(choice, 0);
    const isCurrent = (pin) => pin.network === choice.network && pin.dim === choice.dim;
    const pinned = choice.pins.map((pin, n) => this.curve(pin, n + 1));
    const drawn = [current, ...pinned.filter((_, n) => !isCurrent(choice.pins[n]))];
    this.controls.show(choice);
    showSummary(current, choice);
    showDegree(current, choice);
    showNotes(current, choice);
    showCurves([current, ...pinned], (n) => this.unpin(n));
    this.keys(drawn, choice);
    this.charts.draw(drawn, choice);
    this.listing.show(current);
  }

  unpin(n) {
    this.change({ pins: this.choice.pins.filter((_, other) => other !== n) });
    element("pin").focus();
  }

  /** The keys next to the charts' titles. */
  keys(curves, choice) {
    for (const exponent of document.querySelectorAll(".exponent")) exponent.textContent = choice.s;
    const zero = curves.some((curve) => curve.spectrum.eigenvalues.some((q) => q.log === -Infinity));
    for (const key of document.querySelectorAll("[data-zeros]")) key.hidden = !zero;
    const residual = curves.some((curve) => curve.times.residual !== null);
    for (const key of document.querySelectorAll("[data-residual]")) key.hidden = !residual;
    element("listing").open = choice.table;
    element("zoomed").hidden = choice.zoom === null;
    if (choice.zoom) element("zoom-range").textContent = choice.zoom.join(" to ");
  }
}

async function start() {
  let drawn = () => {};
  followTheme(element("theme"), () => drawn());
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser is too old to unpack the table; its version of 2023 or later can");
  }
  const [header, numbers] = await Promise.all([unpacked("header"), unpacked("numbers")]);
  const contents = JSON.parse(new TextDecoder().decode(header));
  const explorer = new Explorer(new Store(contents, doubles(numbers)));
  drawn = () => explorer.charts.redraw();
  element("loading").hidden = true;
  element("explorer").hidden = false;
  explorer.open();
}

start().catch((error) => {
  element("loading").textContent = `The page cannot be shown: ${error.message}.`;
  throw error;
});
