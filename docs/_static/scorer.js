// Weights of the search: what a page is about first, then tasks before lists of names and options.
const LISTS = /^(api\/|api$|options$|recipes$|run_recipes$|run_files$|names$|auto_gallery\/sg)/;
const TASKS = /^(start\/|tasks$|tutorial$|tour$|howto\/)/;

var Scorer = {
  score: ([page, title, anchor, description, score, file, kind]) =>
    score + (TASKS.test(page) ? 4 : 0) - (LISTS.test(page) ? 14 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: {0: 15, 1: 5, 2: -5},
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
