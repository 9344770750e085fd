/* Printing: folded parts are opened, colours are light, and charts higher than a page continue on the next one. */
// Height in pixels of the highest chart that stays in one piece, less than a page in landscape, and of pieces of others.
const HIGHEST = 600, PIECE = 200;
const copied = (graphic) => {
  const copy = graphic.cloneNode(true);
  if (graphic instanceof HTMLCanvasElement) copy.getContext("2d").drawImage(graphic, 0, 0);
  return copy;
};
// A window on a chart, from one height to another; as wide as the paper allows.
const piece = (graphic, { width }, from, to) => {
  const copy = copied(graphic), box = element("div", { className: "piece" }, copy);
  Object.assign(box.style, { maxWidth: `${width}px`, aspectRatio: `${width} / ${to - from}` });
  copy.style.top = `${(-100 * from) / (to - from)}%`;
  return box;
};
// Heights between which a row of the chart is; a row in a narrow chart has its name above it.
const rowsOfChart = (view, top) => {
  const scale = view.scale("y"), names = scale.domain(), height = scale.range()[1] / names.length;
  const [first, second] = names.map((name) => scale(name) + scale.bandwidth() / 2);
  const step = second - first, above = step > height ? 0 : view.width() < NARROW ? ABOVE / 2 : 0;
  return { top, height };
};
