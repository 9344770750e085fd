/* Charts by Vega-Lite, drawn when they come into view. */
const script = element("script", { textContent: await unpack("data-vega") });
document.head.append(script);
const style = () => getComputedStyle(document.documentElement);
const color = (name) => style().getPropertyValue(`--${name}`).trim();
const PALETTE = ["accent", "second", "third", "fourth", "failed", "soft"];
const config = () => ({
  // Room for half of the last label of an axis.
  background: "transparent", font: FONT, padding: { left: 4, top: 4, bottom: 4, right: 16 },
  view: { stroke: null }, point: { filled: true },
  axis: { labelColor: color("ink"), titleColor: color("ink"), gridColor: color("line"), domainColor: color("faint"),
    tickColor: color("faint"), tickCount: 6, labelFontSize: FONT_SIZE, titleFontSize: FONT_SIZE, titleFontWeight: 500, labelSeparation: 6 },
  legend: { labelColor: color("ink"), titleColor: color("soft"), labelFontSize: FONT_SIZE, titleFontSize: FONT_SIZE, titleFontWeight: 500,
    symbolType: "circle", layout: { top: { anchor: "start", bounds: "full" }, bottom: { anchor: "start", bounds: "full" } } },
  text: { color: color("ink"), fontSize: 11 }, range: { category: PALETTE.map(color) },
});
const filled = (spec, unit) => JSON.parse(JSON.stringify(spec), (key, value) => (typeof value === "string" ?
  value.replace(/\{([a-z-]+)\}/g, (all, name) => (name === "unit" ? unit : color(name) || all)) : value));

// Vega writes all values as texts; a name such as 007 or 1.10 is not a number.
const typed = (text) => (String(Number(text)) === String(text) ? number(Number(text)) : String(text));
const tip = element("div", { className: "tip", hidden: true, role: "tooltip" });
document.body.append(tip);
const showTip = (handler, event, item, value) => {
  if (!value) { tip.hidden = true; return; }
  const table = element("table");
  for (const [name, text] of Object.entries(value)) {
    if (text === null || text === undefined || text === "null" || text === "") continue;
    table.append(element("tr", {}, element("th", { textContent: name }), element("td", { textContent: typed(text) })));
  }
  tip.replaceChildren(table);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - width - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - height - 8)}px`;
};

let drawn = [];
const setHot = (hot, hotRun) => {
  if (hot === state.hot && hotRun === state.hotRun) return;
  Object.assign(state, { hot, hotRun });
  for (const { view, signals } of drawn) {
    if (!view) continue;
    view.signal("hot", hot);
    if (signals.has("hotRun")) view.signal("hotRun", hotRun);
    view.runAsync();
  }
};
const order = (rows, value) => {
  const higher = (data.metrics[metricOf(rows.length ? rows[0].task : "")] || { higher: true }).higher;
  const sums = new Map();
  for (const row of rows) {
    if (row[value] === null) continue;
    const [sum, count] = sums.get(row.candidate) || [0, 0];
    sums.set(row.candidate, [sum + row[value], count + 1]);
  }
  const mean = (row) => { const known = sums.get(row.candidate); return known ? known[0] / known[1] : null; };
  return [...rows].sort((a, b) => {
    const [left, right] = [mean(a), mean(b)];
    if (left === null || right === null) return (left === null) - (right === null);
    return higher ? right - left : left - right;
  });
};
// The order of the candidates in all charts of a task is that of their means, the best first.
const ranked = new Map();
for (const task of names.task) {
  const of = order(means.filter((row) => row.task === task && row.metric === data.primary[task] && row.split === "test" && row.phase === "after"), "estimate");
  ranked.set(task, new Map(of.map((row, index) => [row.candidate, index])));
}
const byRank = (rows, task) => {
  const rank = ranked.get(task);
  return rank ? [...rows].sort((a, b) => (rank.get(a.candidate) ?? 1e9) - (rank.get(b.candidate) ?? 1e9)) : rows;
};
const runRows = (task) => {
  const metric = metricOf(task), values = data.runs.values[[state.phase, state.split, metric].join("|")];
  if (!values) return [];
  return runs.filter((run) => run.task === task && !run.repeats && passes(run) && values[run.run] !== null)
    .map((run) => ({ ...run, value: values[run.run] }));
};
const meanRows = (task) => means.filter((row) => row.task === task && row.metric === metricOf(task) &&
  row.phase === state.phase && row.split === state.split && passes(row));

// Counts of runs by candidate, in bins of equal width from the lowest value to the highest.
const BINS = 60;
const counted = (rows) => {
  let low = Infinity, high = -Infinity;
  for (const { value } of rows) { low = Math.min(low, value); high = Math.max(high, value); }
  const width = (high - low) / BINS || 1, cells = new Map(), totals = new Map();
  for (const { candidate, value } of rows) {
    const bin = Math.min(BINS - 1, Math.floor((value - low) / width)), key = JSON.stringify([candidate, bin]);
    if (!cells.has(key)) cells.set(key, { candidate, from: low + bin * width, to: low + (bin + 1) * width, count: 0 });
    cells.get(key).count += 1;
    totals.set(candidate, (totals.get(candidate) || 0) + 1);
  }
  return [...cells.values()].map((cell) => ({ ...cell, share: cell.count / totals.get(cell.candidate) }));
};

const hasRows = (chart, task) => chart.rows === null || chart.cached.some((row) => (row.task ?? task) === task);
const frame = (chart, task) => {
  const title = element("h3", {}, names.task.length > 1 ? `${task}: ${chart.title}` : chart.title);
  const plot = element("div", { className: "plot" });
  return { chart, task, plot, box: element("div", { className: "chart" }, title, plot) };
};
const draw = async ({ chart, task, plot }) => {
  const ofRuns = chart.rows === null;
  const metric = ofRuns ? metricOf(task) : data.primary[task];
  let rows = ofRuns ? order(runRows(task), "value") : byRank(chart.cached.filter((row) => (row.task ?? task) === task && passes(row)), task);
  if (!rows.length) { plot.append(element("p", { className: "notice", textContent: "Nothing to show with these filters." })); return; }
  const counting = rows.length > data.mostMarks && chart.counts;
  if (counting) {
    const text = `${rows.length} runs are too many for a dot each: colours count the runs in each ${BINS}th of the scale. ` +
      "Point at a cell for its numbers; choose fewer models or methods to see single runs.";
    plot.before(element("p", { className: "notice", textContent: text }));
    rows = counted(rows);
  } else if (rows.length > data.mostMarks) {
    plot.append(element("p", { className: "notice", textContent: `${rows.length} marks are too many to draw; choose fewer models or methods.` }));
    return;
  }
  const spec = filled(counting || chart.spec, labelOf(metric));
  const domain = [...new Set(rows.map((row) => row.candidate))];
  // In one order in both data sets: Vega takes that of the chart from either of them.
  const inOrder = (of) => of.filter((row) => domain.includes(row.candidate)).sort((a, b) => domain.indexOf(a.candidate) - domain.indexOf(b.candidate));
  const datasets = { rows, means: ofRuns ? inOrder(meanRows(task)) : [] };
  // Intervals that no row has, as with few runs: Vega warns of an axis without an end.
  const known = ({ data: source, encoding: { x } }) => !x || x.type !== "quantitative" || !datasets[(source || {}).name]
    || datasets[source.name].some((row) => Number.isFinite(row[x.field]));
  if (spec.layer) spec.layer = spec.layer.filter(known);
  // Vega warns of lines that no row has, such as intervals of single runs.
  const drawable = ({ data: { name } = {}, encoding: { x, x2 } = {} }) =>
    !x2 || !datasets[name] || !datasets[name].length || datasets[name].some((row) => row[x.field] !== null);
  if (spec.layer) spec.layer = spec.layer.filter(drawable);
  const marks = rows.length, shown = new Set([...rows, ...datasets.means].map((row) => row.candidate));
  fit(spec, plot.clientWidth, domain, rows);
  // In pixels, because Vega-Lite warns of a step where the width is that of the page.
  if (spec.height.step) spec.height = spec.height.step * shown.size;
  try {
    const { view } = await window.vegaEmbed(plot, { ...spec, datasets, config: config() },
      { actions: false, renderer: marks > 1500 ? "canvas" : "svg", tooltip: showTip, patch: withFullNames });
    const signals = new Set((spec.params || []).map(({ name }) => name));
    plot.view = view;
    const entry = { view, signals };
    drawn.push(entry);
    view.addEventListener("mousemove", (event, item) => {
      const datum = item && item.datum;
      setHot((datum && datum.candidate) || null, datum && Number.isInteger(datum.run) ? datum.run : null);
    });
    view.addEventListener("mouseout", () => setHot(null, null));
    view.addEventListener("click", (event, item) => {
      if (item && item.datum && Number.isInteger(item.datum.run)) showRun(item.datum.run);
    });
  } catch (error) {
    plot.append(element("p", { className: "notice", textContent: `This chart could not be drawn: ${error.message}` }));
    console.error(error);
  }
};

const boxes = [...document.querySelectorAll("[data-charts]")];
for (const charts of Object.values(data.charts))
  for (const chart of charts) chart.cached = chart.rows === null ? null : rowsOf(chart.rows).map(withCandidate);
const pending = new Map();
let generation = 0;
const fill = async (box) => {
  const mine = generation;
  pending.delete(box);
  const content = element("div", { className: state.task ? "one" : "grid" });
  const frames = data.charts[box.dataset.charts].flatMap((chart) =>
    shownTasks().filter((task) => hasRows(chart, task)).map((task) => frame(chart, task)));
  content.append(...frames.map((each) => each.box));
  if (names.task.length > MOST_TASKS && !state.task)
    content.append(element("p", { className: "notice", textContent: `${MOST_TASKS} of ${names.task.length} tasks, those on which candidates differ most compared with seeds; choose another one above.` }));
  // Vega measures the width of its place, so that all places are in the page before one is filled.
  box.replaceChildren(content);
  for (const each of frames) {
    if (mine !== generation) return;
    await draw(each);
  }
};
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting && pending.has(entry.target)) fill(entry.target);
}, { rootMargin: "400px" });
const refresh = () => {
  generation += 1;
  for (const { view } of drawn) if (view) view.finalize();
  drawn = [];
  for (const box of boxes) {
    box.style.minHeight = `${box.offsetHeight}px`;
    pending.set(box, true);
    watcher.unobserve(box);
    watcher.observe(box);
  }
  delete document.documentElement.dataset.drawn;
  showExamples();
  drawRest();
};
// Charts that are not in view are drawn when nothing else is to do, so that printing and searching find them.
const later = window.requestIdleCallback || ((callback) => setTimeout(callback, 50));
const drawRest = async () => {
  const mine = generation;
  for (const box of boxes) {
    await new Promise((resolve) => later(resolve));
    if (mine !== generation) return;
    if (pending.has(box)) await fill(box);
  }
  if (mine === generation) document.documentElement.dataset.drawn = "all";
};
