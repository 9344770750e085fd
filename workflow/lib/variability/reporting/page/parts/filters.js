/* State of the filters, and their controls. */
const MOST_TASKS = 3;
const phases = [...new Set(keys.map(([phase]) => phase))], splits = [...new Set(keys.map(([, split]) => split))];
const state = {
  task: names.task.length > MOST_TASKS ? data.relevantTasks[0] : "",
  model: new Set(compared.model), method: new Set(compared.method),
  metric: "", split: splits.includes("test") ? "test" : splits[0], phase: phases.includes("after") ? "after" : phases[0],
  hot: null, hotRun: null,
};
const metricOf = (task) => state.metric || data.primary[task];
const labelOf = (metric) => (data.metrics[metric] || {}).label || metric || "";
const passes = (row) =>
  (row.model === undefined || row.model === null || state.model.has(row.model)) &&
  (row.method === undefined || row.method === null || state.method.has(row.method));
const shownTasks = () => (state.task ? [state.task] : data.relevantTasks.slice(0, MOST_TASKS));

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
const most = names.task.length > MOST_TASKS ? `${MOST_TASKS} with the clearest differences` : "all";
const metrics = [...new Set(keys.map(([, , metric]) => metric))];
for (const control of [
  names.task.length > 1 ? choice("Task", "task", names.task, most) : null,
  choices("Models", "model", compared.model), choices("Methods", "method", compared.method),
  choice("Metric", "metric", metrics, "primary"), choice("Split", "split", splits), choice("Phase", "phase", phases),
]) if (control) form.append(control);
form.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("click", (event) => {
  for (const open of form.querySelectorAll("details[open]")) if (!open.contains(event.target)) open.open = false;
});
