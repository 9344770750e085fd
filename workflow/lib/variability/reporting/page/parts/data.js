/* Data of the page, unpacked, and helpers of all parts. Texts of the study are only ever set as textContent. */
const unpack = async (id) => {
  const text = document.getElementById(id).textContent;
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};
const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};
const column = (stored) =>
  Array.isArray(stored) ? stored : stored.codes.map((code) => (code < 0 ? null : stored.texts[code]));
const rowsOf = (table) => {
  const columns = table.columns.map(column);
  return Array.from({ length: table.rows }, (_, row) =>
    Object.fromEntries(table.names.map((name, index) => [name, columns[index][row]])));
};
const number = (value) => {
  if (value === null || value === undefined) return "none";
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1e6 || Math.abs(value) < 1e-4 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
};

const data = JSON.parse(await unpack("data-payload"));
const { names } = data.runs;
const several = names.method.length > 1;
const candidateOf = (model, method) => (several ? `${model} (${method})` : model);
const withCandidate = (row) => {
  if (row.model !== undefined && row.model !== null) row.candidate = candidateOf(row.model, row.method);
  return row;
};

/* Runs ---------------------------------------------------------------------------------------------------------- */

// A fixed offset per run, so that dots of equal values do not hide each other, and do not move when filters change.
const offsetOf = (run) => (((run * 0.618034) % 1) - 0.5) * 1.1;
const facts = Object.fromEntries(Object.entries(data.runs.facts).map(([name, stored]) => [name, column(stored)]));
const runs = data.runs.seed.map((seed, run) => withCandidate({
  run, seed,
  model: names.model[data.runs.model[run]],
  task: names.task[data.runs.task[run]],
  method: names.method[data.runs.method[run]],
  status: facts.status ? facts.status[run] : null,
  repeats: facts.repeats ? facts.repeats[run] : null,
  offset: offsetOf(run),
}));
// Methods that only repeat runs of others are in no chart.
const compared = Object.fromEntries(Object.entries(names).map(([key, all]) => {
  const used = new Set(runs.filter((run) => !run.repeats).map((run) => run[key]));
  return [key, all.filter((name) => used.has(name))];
}));
const means = rowsOf(data.means).map(withCandidate);
// The name of a metric may contain the separator.
const keys = Object.keys(data.runs.values).map((key) => {
  const [phase, split, ...metric] = key.split("|");
  return [phase, split, metric.join("|")];
});
