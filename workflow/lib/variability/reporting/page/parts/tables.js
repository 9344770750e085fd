/* Tables that can be sorted, searched and exported. */
const dataTables = await import(URL.createObjectURL(new Blob([await unpack("data-datatables")], { type: "application/javascript" })));
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
  current = new dataTables.default(html, {
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
