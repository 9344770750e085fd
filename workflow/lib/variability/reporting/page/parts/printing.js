/* Printing: folded parts are opened, colours are light, charts fit the paper, and high charts are cut between rows. */
// In pixels: width of A4 without its margins, and height of the highest piece of a chart, half of the height.
const PAPER = 680, HIGHEST = 480;
// Most candidates whose votes are listed for each example.
const MOST_VOTES = 8;
// Smallest size of a table, compared with the screen.
const SMALLEST = 0.55;
// Height by which names are above the rows of narrow charts.
const NAME = 7;
const graphicOf = (plot) => plot.querySelector("svg, canvas");
// A chart from one height to another.
const part = (graphic, width, [from, to]) => {
  const copy = graphic.cloneNode(true), size = graphic.width / width;
  if (graphic.localName === "canvas") {
    copy.height = (to - from) * size;
    copy.getContext("2d").drawImage(graphic, 0, -from * size);
  } else {
    copy.setAttribute("viewBox", `0 ${from} ${width} ${to - from}`);
    copy.setAttribute("height", to - from);
  }
  return copy;
};
// Heights of the ends of all rows, the first of which is the end of what is above them.
const rowEnds = (view, width) => {
  const scale = view.scale("y"), names = scale.domain(), row = scale(names[1]) - scale(names[0]);
  const top = view.origin()[1] + view.padding().top, above = (scale.bandwidth() - row) / 2 - (width < NARROW ? NAME : 0);
  const starts = names.map((name) => top + scale(name) + above);
  return [...starts.map((start) => Math.max(0, start)), top + view.height() - 1];
};
// Each piece has the title, the legend above the rows, some rows, and the axis below them.
const inPieces = (plot) => {
  const graphic = graphicOf(plot), { width, height } = graphic.getBoundingClientRect();
  if (height <= HIGHEST || !plot.view.scale("y").bandwidth) return [];
  const title = plot.closest(".chart").querySelector("h3"), ends = rowEnds(plot.view, width), rows = ends.length - 1;
  const head = [0, ends[0]], foot = [ends[rows], height], around = ends[0] + height - ends[rows] + title.offsetHeight;
  const count = Math.ceil((ends[rows] - ends[0]) / Math.max(HIGHEST - around, (ends[rows] - ends[0]) / rows));
  const at = Array.from({ length: count + 1 }, (_, index) => ends[Math.round((index * rows) / count)]);
  const pieces = at.slice(1).map((to, index) => element("div", { className: "piece" },
    element("h3", { textContent: `${title.textContent} (${index + 1} of ${count})` }),
    ...[head, [at[index], to], foot].filter(([from, to]) => to > from).map((heights) => part(graphic, width, heights))));
  const replaced = [title, graphic];
  for (const each of replaced) each.style.display = "none";
  plot.append(...pieces);
  return [() => {
    for (const each of pieces) each.remove();
    for (const each of replaced) each.style.display = "";
  }];
};
const asWideAsPaper = (plot) => {
  const { width } = graphicOf(plot).getBoundingClientRect();
  if (width <= PAPER) return [];
  plot.view.width(PAPER).resize().run();
  return [() => plot.view.width(width).resize().run()];
};
const SHADES = ["page", "card", "ink", "soft", "faint", "line", "accent", "second", "third", "fourth", "failed"];
const recolored = (graphics, before, after) => {
  const shades = new Map(before.map((shade, index) => [shade, after[index]]));
  for (const mark of graphics.flatMap((graphic) => [...graphic.querySelectorAll("[fill], [stroke]")]))
    for (const name of ["fill", "stroke"]) {
      const shade = shades.get(mark.getAttribute(name));
      if (shade) mark.setAttribute(name, shade);
    }
  for (const graphic of graphics) graphic.style.filter = graphic.localName === "canvas" && !graphic.style.filter ? "invert(1) hue-rotate(180deg)" : "";
};
const inLightColors = (plots) => {
  if (root.dataset.theme !== "dark") return [];
  const before = SHADES.map(color), graphics = plots.map(graphicOf);
  setTheme("light");
  const after = SHADES.map(color);
  recolored(graphics, before, after);
  return [() => { setTheme("dark"); recolored(graphics, after, before); }];
};
// What is folded on the screen is not lost on paper, except for long lists of votes, whose sums are shown.
const opened = () => {
  const folded = [...document.querySelectorAll("main details:not([open])")].filter((each) => each.querySelectorAll("tr").length <= MOST_VOTES);
  for (const each of folded) each.open = true;
  return [() => { for (const each of folded) each.open = false; }];
};
// Tables are made smaller, as long as they can be read.
const tableOnPaper = () => {
  const table = tableBox.querySelector("table.dataTable");
  if (!table) return [];
  table.style.width = "auto";
  const zoom = Math.min(1, PAPER / table.scrollWidth);
  table.style.width = "";
  if (zoom >= SMALLEST) {
    tableBox.style.zoom = zoom;
    return [() => { tableBox.style.zoom = ""; }];
  }
  const notice = element("p", { className: "notice", textContent: "This table is too wide for paper; the links below lead to its file." });
  tableBox.style.display = "none";
  tableBox.after(notice);
  return [() => { notice.remove(); tableBox.style.display = ""; }];
};
const plots = () => [...document.querySelectorAll("main .plot")].filter((plot) => plot.view);
let undo = [];
addEventListener("beforeprint", () => { undo = [...opened(), ...tableOnPaper(), ...plots().flatMap(asWideAsPaper)]; });
// Vega draws between two listeners.
addEventListener("beforeprint", () => { undo.push(...inLightColors(plots()), ...plots().flatMap(inPieces)); });
addEventListener("afterprint", () => {
  for (const step of undo.reverse()) step();
  undo = [];
});
