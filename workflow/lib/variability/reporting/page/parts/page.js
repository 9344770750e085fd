"use strict";
/* Charts, filters, the panel of a run, and tables of the report page. All numbers come from the study's tables; nothing
   is estimated here. Texts of the study are only ever set as textContent. */
(async () => {
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
  const means = rowsOf(data.means).map(withCandidate);
  // The name of a metric may contain the separator.
  const keys = Object.keys(data.runs.values).map((key) => {
    const [phase, split, ...metric] = key.split("|");
    return [phase, split, metric.join("|")];
  });

  /* State of the filters ------------------------------------------------------------------------------------------- */

  const MOST_TASKS = 3, MOST_MARKS = 20000;
  const phases = [...new Set(keys.map(([phase]) => phase))], splits = [...new Set(keys.map(([, split]) => split))];
  const state = {
    task: names.task.length > MOST_TASKS ? names.task[0] : "",
    model: new Set(names.model), method: new Set(names.method),
    metric: "", split: splits.includes("test") ? "test" : splits[0], phase: phases.includes("after") ? "after" : phases[0],
    hot: null, hotRun: null,
  };
  const metricOf = (task) => state.metric || data.primary[task];
  const labelOf = (metric) => (data.metrics[metric] || {}).label || metric || "";
  const passes = (row) =>
    (row.model === undefined || row.model === null || state.model.has(row.model)) &&
    (row.method === undefined || row.method === null || state.method.has(row.method));
  const shownTasks = () => (state.task ? [state.task] : names.task.slice(0, MOST_TASKS));

  const form = document.getElementById("filters");
  const choice = (title, key, options, empty) => {
    const select = element("select", { name: key });
    if (empty !== undefined) select.append(element("option", { value: "", textContent: empty }));
    for (const option of options) select.append(element("option", { value: option, textContent: option }));
    select.value = state[key];
    select.addEventListener("change", () => { state[key] = select.value; refresh(); });
    return options.length + (empty !== undefined) > 1 ? element("label", {}, title, select) : null;
  };
  const choices = (title, key, options) => {
    if (options.length < 2) return null;
    const box = element("div"), summary = element("summary");
    const update = () => { summary.textContent = `${title}: ${state[key].size} of ${options.length}`; };
    const boxes = options.map((option) => {
      const input = element("input", { type: "checkbox", checked: true, value: option, name: key });
      input.addEventListener("change", () => {
        if (input.checked) state[key].add(option); else state[key].delete(option);
        update(); refresh();
      });
      box.append(element("label", {}, input, option));
      return input;
    });
    const all = element("button", { type: "button", textContent: "all or none" });
    all.addEventListener("click", () => {
      const on = state[key].size < options.length;
      state[key] = new Set(on ? options : []);
      for (const input of boxes) input.checked = on;
      update(); refresh();
    });
    box.prepend(all);
    update();
    return element("details", {}, summary, box);
  };
  const most = names.task.length > MOST_TASKS ? `the first ${MOST_TASKS}` : "all";
  const metrics = [...new Set(keys.map(([, , metric]) => metric))];
  for (const control of [
    names.task.length > 1 ? choice("Task", "task", names.task, most) : null,
    choices("Models", "model", names.model), choices("Methods", "method", names.method),
    choice("Metric", "metric", metrics, "primary"), choice("Split", "split", splits), choice("Phase", "phase", phases),
  ]) if (control) form.append(control);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("click", (event) => {
    for (const open of form.querySelectorAll("details[open]")) if (!open.contains(event.target)) open.open = false;
  });

  /* Charts --------------------------------------------------------------------------------------------------------- */

  const script = element("script", { textContent: await unpack("data-vega") });
  document.head.append(script);
  const style = () => getComputedStyle(document.documentElement);
  const color = (name) => style().getPropertyValue(`--${name}`).trim();
  const PALETTE = ["accent", "second", "third", "fourth", "failed", "soft"];
  const config = () => ({
    background: "transparent", font: "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
    view: { stroke: null }, point: { filled: true },
    axis: { labelColor: color("ink"), titleColor: color("ink"), gridColor: color("line"), domainColor: color("faint"),
      tickColor: color("faint"), tickCount: 6, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500, labelLimit: 260 },
    legend: { labelColor: color("ink"), titleColor: color("soft"), labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500,
      symbolType: "circle", layout: { top: { anchor: "start", bounds: "full" }, bottom: { anchor: "start", bounds: "full" } } },
    text: { color: color("ink"), fontSize: 11 }, range: { category: PALETTE.map(color) },
  });
  // On a narrow screen names get less room, and legends a line per entry.
  const narrow = () => innerWidth < 640;
  const fitted = (key, value) => {
    if (!narrow() || value === null) return value;
    if (key === "legend") return { ...value, columns: 1, labelLimit: 205 };
    return key === "axis" && value.labelLimit ? { ...value, labelLimit: 130 } : value;
  };
  const filled = (spec, unit) =>
    JSON.parse(JSON.stringify(spec), (key, value) => fitted(key, typeof value === "string" ?
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
    if (rows.length > MOST_MARKS) {
      plot.append(element("p", { className: "notice", textContent: `${rows.length} runs: only their means are drawn; choose fewer models.` }));
      rows = [];
    }
    const spec = filled(chart.spec, labelOf(metric));
    const domain = [...new Set(rows.map((row) => row.candidate))];
    const datasets = { rows, means: ofRuns ? meanRows(task).filter((row) => domain.includes(row.candidate) || !rows.length) : [] };
    const marks = rows.length, shown = new Set([...rows, ...datasets.means].map((row) => row.candidate));
    // In pixels, because Vega-Lite warns of a step where the width is that of the page.
    if (spec.height.step) spec.height = chart.spec.height.step * shown.size;
    try {
      const { view } = await window.vegaEmbed(plot, { ...spec, datasets, config: config() },
        { actions: false, renderer: marks > 1500 ? "canvas" : "svg", tooltip: showTip });
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
      content.append(element("p", { className: "notice", textContent: `The first ${MOST_TASKS} of ${names.task.length} tasks, in the order of the study; choose another one above.` }));
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

  /* Panel of a run -------------------------------------------------------------------------------------------------- */

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
        encoding: { x: { field: "epoch", type: "quantitative" }, y: { field: "value", type: "quantitative", title: null },
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

  /* Examples that flip ----------------------------------------------------------------------------------------------- */

  const gallery = document.getElementById("examples");
  const showExamples = () => {
    if (!gallery) return;
    gallery.replaceChildren();
    for (const task of shownTasks()) {
      const of = data.examples[task];
      if (!of || !of.shown || !of.shown.length) continue;
      gallery.append(element("h3", { textContent: `${task}: test examples on which the runs disagree most` }));
      const box = element("div", { className: "examples" });
      for (const shown of of.shown) {
        const label = of.classes[of.labels[shown.example]];
        const content = shown.image ? element("img", { src: shown.image, alt: `test example ${of.ids[shown.example]}`, loading: "lazy" })
          : element("blockquote", { textContent: shown.text || "" });
        const tally = new Map(), votes = element("table", { className: "votes" });
        const spans = (counts) => counts.map(([predicted, count]) =>
          element("span", { className: of.classes[predicted] === label ? "right" : "wrong", textContent: `${of.classes[predicted]} ×${count}` }));
        of.cells.forEach(([model, method], cell) => {
          if (!state.model.has(model) || !state.method.has(method)) return;
          for (const [predicted, count] of shown.votes[cell]) tally.set(predicted, (tally.get(predicted) || 0) + count);
          votes.append(element("tr", {}, element("th", { scope: "row", textContent: candidateOf(model, method) }), element("td", {}, ...spans(shown.votes[cell]))));
        });
        const total = spans([...tally].sort((a, b) => b[1] - a[1]));
        box.append(element("div", { className: "example" }, content, element("div", {}, "label: ", element("b", { textContent: label })),
          element("div", { className: "tally" }, ...total),
          element("details", {}, element("summary", { textContent: "by candidate" }), votes, element("small", { textContent: of.sources[shown.example] }))));
      }
      gallery.append(box);
    }
  };

  /* Tables ----------------------------------------------------------------------------------------------------------- */

  const module = await import(URL.createObjectURL(new Blob([await unpack("data-datatables")], { type: "application/javascript" })));
  const tableName = document.getElementById("table-name"), tableBox = document.getElementById("table");
  const escaped = (text) => String(text).replace(/[\\&%$#_{}~^]/g, (sign) => ({ "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" })[sign] || `\\${sign}`);
  // A spreadsheet would run a text that begins with one of these as a formula.
  const safeCell = (text) => (/^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text);
  const formats = {
    CSV: ["csv", (head, rows) => [head, ...rows].map((row) => row.map((cell) => `"${safeCell(cell).replaceAll('"', '""')}"`).join(",")).join("\n") + "\n"],
    Markdown: ["md", (head, rows) => [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map((cell) => cell.replace(/([\\`*_|<])/g, "\\$1").replace(/\s+/g, " ")).join(" | ")} |`).join("\n") + "\n"],
    LaTeX: ["tex", (head, rows) => [`\\begin{tabular}{${"l".repeat(head.length)}}`, "\\toprule", `${head.map(escaped).join(" & ")} \\\\`, "\\midrule", ...rows.map((row) => `${row.map(escaped).join(" & ")} \\\\`), "\\bottomrule", "\\end{tabular}"].join("\n") + "\n"],
  };
  let current = null;
  // Every run can be opened from a table, too, by keyboard or where a chart has too many dots.
  const RUNS = "runs", OPEN = "open";
  const runsTable = () => {
    const columns = [OPEN, "task", "model", "method", "seed", "status", "metric", "test score"];
    const rows = runs.map((run) => {
      const metric = data.primary[run.task], values = data.runs.values[["after", "test", metric].join("|")];
      return [run.run, run.task, run.model, run.method, run.seed, run.status, metric, values ? values[run.run] : null];
    });
    return { columns, rows, caption: "All runs, with their primary metric on the test split after fine-tuning." };
  };
  const storedTable = (name) => {
    const table = data.tables.find((each) => each.name === name), columns = table.columns.map(column);
    const cut = table.total > table.rows ? ` Shown: ${table.rows} of ${table.total} rows; the file ${name}.csv has all.` : "";
    const rows = Array.from({ length: table.rows }, (_, row) => columns.map((values) => values[row]));
    return { columns: table.names, rows, caption: table.caption + cut };
  };
  const showTable = () => {
    const name = tableName.value, table = name === RUNS ? runsTable() : storedTable(name);
    if (current) current.destroy(true);
    document.getElementById("table-caption").textContent = table.caption;
    const html = element("table", { className: "display compact nowrap" });
    const buttons = element("div", { className: "table-buttons" });
    tableBox.replaceChildren(buttons, html);
    const cell = (title) => (value, type) => {
      if (title === OPEN) return type === "display" ? `<button type="button" data-run="${value}">${OPEN}</button>` : value;
      return type === "display" || type === "filter" ? encode(number(value === null ? "" : value)) : value;
    };
    current = new module.default(html, {
      data: table.rows, columns: table.columns.map((title) => ({ title: encode(title), render: cell(title), orderable: title !== OPEN })),
      order: [], pageLength: 15, lengthMenu: [15, 50, 200], autoWidth: false,
    });
    const exported = table.columns.map((title, index) => index).filter((index) => table.columns[index] !== OPEN);
    for (const [title, [suffix, format]] of Object.entries(formats)) {
      const button = element("button", { type: "button", textContent: `Download ${title}` });
      button.addEventListener("click", () => {
        const shown = current.rows({ search: "applied", order: "applied" }).data().toArray()
          .map((row) => exported.map((index) => (row[index] === null ? "" : String(row[index]))));
        const content = new Blob([format(exported.map((index) => table.columns[index]), shown)], { type: "text/plain" });
        const link = element("a", { href: URL.createObjectURL(content), download: `${name}.${suffix}` });
        link.click();
        URL.revokeObjectURL(link.href);
      });
      buttons.append(button);
    }
  };
  tableBox.addEventListener("click", (event) => {
    const { run } = event.target.dataset;
    if (run !== undefined) showRun(Number(run));
  });
  const encode = (text) => element("span", { textContent: text }).innerHTML;
  tableName.addEventListener("change", showTable);

  /* The rest of the page ---------------------------------------------------------------------------------------------- */

  const root = document.documentElement;
  const stored = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  const setTheme = (theme) => {
    root.dataset.theme = theme;
    root.classList.toggle("dark", theme === "dark"); // DataTables looks for this class
  };
  setTheme(stored || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  document.getElementById("theme").addEventListener("click", () => {
    setTheme(root.dataset.theme === "dark" ? "light" : "dark");
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* a file from disk may have no storage */ }
    refresh();
  });
  const menu = document.getElementById("menu"), sections = document.getElementById("sections");
  const toggle = (open) => { sections.classList.toggle("open", open); menu.setAttribute("aria-expanded", String(open)); };
  menu.addEventListener("click", (event) => { event.stopPropagation(); toggle(!sections.classList.contains("open")); });
  document.addEventListener("click", () => toggle(false));
  refresh();
  showTable();
  // What is folded on the screen is not lost on paper.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("main details:not([open])")];
    for (const each of folded) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of folded) each.open = false; });
  // Charts above a linked section change its position, so they are drawn first.
  const reach = async () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (const box of boxes)
      if (pending.has(box) && box.compareDocumentPosition(target) & Node.DOCUMENT_POSITION_FOLLOWING) await fill(box);
    target.scrollIntoView({ behavior: "instant" });
  };
  addEventListener("hashchange", reach);
  await reach();
  window.report = { data, state, runs, refresh, showRun, ready: true };
})().catch((error) => {
  console.error(error);
  const notice = document.createElement("p");
  notice.className = "notice";
  notice.textContent = `Charts and tables of this page cannot be shown in this browser: ${error.message}. The figures ` +
    "are in the folder plot, the tables in the folder analyse.";
  document.getElementById("filters").replaceWith(notice);
});
