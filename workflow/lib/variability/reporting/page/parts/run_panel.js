/* Panel of a run: its numbers, recipe, learning curve, confusion and errors. */
const panel = document.getElementById("run");
let opener = null;
const close = () => { if (panel.hidden) return; panel.hidden = true; if (opener) opener.focus({ preventScroll: true }); };
document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
const listing = (pairs) => {
  const table = element("table");
  for (const [name, value] of pairs)
    if (value !== null && value !== undefined && value !== "")
      table.append(element("tr", {}, element("th", { textContent: name, scope: "row" }), element("td", { textContent: typeof value === "object" ? JSON.stringify(value) : number(value) })));
  return table;
};
const flat = (recipe, prefix = "") => Object.entries(recipe).flatMap(([name, value]) =>
  value !== null && typeof value === "object" && !Array.isArray(value) ? flat(value, `${prefix}${name}.`) : [[prefix + name, value]]);
const predictionsOf = (packed) => {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  return new Uint16Array(bytes.buffer);
};
const showRun = async (index) => {
  const run = runs[index];
  opener = document.activeElement;
  const button = element("button", { className: "close", type: "button", textContent: "Close" });
  button.addEventListener("click", close);
  const parts = [button, element("h2", { textContent: `${run.candidate}, seed ${run.seed}` }), element("p", { textContent: run.task })];
  const scores = keys.filter(([phase, split]) => phase === "after" && split === "test")
    .map((key) => [key[2], data.runs.values[key.join("|")][index]]);
  parts.push(element("h3", { textContent: "Test split, after fine-tuning" }), listing(scores));
  parts.push(element("h3", { textContent: "Run" }), listing(Object.entries(facts).map(([name, values]) => [name, values[index]])));
  const { cells = {}, entries = [] } = data.recipes;
  const recipe = entries[cells[[run.model, run.task, run.method].join("|")]];
  if (recipe) parts.push(element("details", { open: false }, element("summary", { textContent: "Recipe" }), listing(flat(recipe))));
  const streams = Object.entries(data.runs.streams).map(([name, values]) => [name, column(values)[index]]);
  if (streams.length) parts.push(element("details", {}, element("summary", { textContent: "Random streams" }), listing(streams)));
  const curve = data.history && data.history.curves[index];
  const curveBox = element("div", { className: "plot" });
  if (curve && curve[0].length > 1) parts.push(element("h3", { textContent: "Learning curve" }), curveBox);
  const counts = data.confusion && data.confusion.counts[index];
  if (counts) parts.push(element("h3", { textContent: "Confusion (row: class, column: predicted)" }), confusion(counts));
  parts.push(...errors(run));
  if (data.leftOut.length)
    parts.push(element("p", { className: "notice", textContent: `Too many for this page: ${data.leftOut.join(", ")}. The files of the study have them.` }));
  panel.replaceChildren(...parts);
  panel.hidden = false;
  button.focus({ preventScroll: true });
  if (curve && curve[0].length > 1) {
    const rows = data.history.names.slice(1).flatMap((name, index) =>
      curve[0].map((epoch, row) => ({ epoch, name: name.replaceAll("_", " "), value: curve[index + 1][row] }))).filter((row) => row.value !== null);
    const legend = { title: null, orient: "bottom", columns: 2 };
    await window.vegaEmbed(curveBox, {
      data: { values: rows }, width: "container", height: 150, autosize: { type: "fit-x", contains: "padding" }, config: config(),
      mark: { type: "line", point: { size: 18 } },
      encoding: { x: { field: "epoch", type: "quantitative", axis: { format: "d", labelExpr: "datum.value % 1 ? '' : datum.label" } }, y: { field: "value", type: "quantitative", title: null },
        color: { field: "name", legend }, strokeDash: { field: "name", legend } },
    }, { actions: false, renderer: "svg", tooltip: showTip });
  }
};
const confusion = (counts) => {
  const used = [...new Set(counts.filter((_, index) => index % 3 < 2))].sort((a, b) => a - b);
  const cells = new Map();
  for (let index = 0; index < counts.length; index += 3) cells.set(`${counts[index]},${counts[index + 1]}`, counts[index + 2]);
  const table = element("table", { className: "confusion" });
  table.append(element("tr", {}, element("td"), ...used.map((label) => element("th", { textContent: data.confusion.classes[label], scope: "col" }))));
  for (const label of used)
    table.append(element("tr", {}, element("th", { textContent: data.confusion.classes[label], scope: "row" }),
      ...used.map((predicted) => {
        const count = cells.get(`${label},${predicted}`) || 0;
        return element("td", { textContent: count || "·", className: !count ? "" : label === predicted ? "right" : "wrong" });
      })));
  return table;
};
const MOST_ERRORS = 50;
const errors = (run) => {
  const task = data.examples[run.task];
  if (!task || !task.predictions || !task.predictions[run.run]) return [];
  const predicted = predictionsOf(task.predictions[run.run]);
  const wrong = task.labels.map((label, index) => index).filter((index) => task.labels[index] !== predicted[index]);
  const list = element("ul");
  for (const index of wrong.slice(0, MOST_ERRORS))
    list.append(element("li", { textContent: `${task.sources[index]}: ${task.classes[task.labels[index]]}, predicted ${task.classes[predicted[index]]}` }));
  const more = wrong.length > MOST_ERRORS ? `, the first ${MOST_ERRORS}` : "";
  return [element("details", {}, element("summary", { textContent: `Its ${wrong.length} errors among ${task.labels.length} test examples${more}` }), list)];
};
