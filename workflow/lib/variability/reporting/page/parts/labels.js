/* Room for the texts of charts: names of candidates, legends and titles of axes fit the width of their chart. */
const FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", FONT_SIZE = 12;
const pen = document.createElement("canvas").getContext("2d");
const textWidth = (text) => { pen.font = `${FONT_SIZE}px ${FONT}`; return pen.measureText(text).width; };
const shortened = (text, most, share) => {
  const letters = [...text];
  let shown = letters.length;
  const made = () => {
    const start = Math.round(shown * share);
    return shown < letters.length ? `${letters.slice(0, start).join("")}…${letters.slice(letters.length - shown + start).join("")}` : text;
  };
  while (shown > 1 && textWidth(made()) > most) shown -= 1;
  return made();
};
// Long names lose a part in their middle: the first of some parts that leaves all names different.
const shortNames = (full, most) => {
  let short = [];
  for (const share of [0.5, 0.25, 0.75, 0, 1]) {
    short = full.map((name) => shortened(name, most, share));
    if (new Set(short).size === full.length) break;
  }
  return Object.fromEntries(full.map((name, index) => [name, short[index]]));
};
const lines = (text, most) => {
  const made = [];
  for (const word of text.split(" ")) {
    const longer = made.length ? `${made[made.length - 1]} ${word}` : word;
    if (made.length && textWidth(longer) <= most) made[made.length - 1] = longer;
    else made.push(word);
  }
  return made;
};

// In charts narrower than this, names are above the rows, which then have the whole width.
const NARROW = 480, ABOVE = 16;
const ofCandidates = (channel) => Boolean(channel) && channel.field === "candidate";
const NAMED = { labelExpr: "names[datum.value] || datum.label" };
const WRAPPED = { labelExpr: "wrapped[datum.label] || datum.label" }, SYMBOL = 28;
const entriesOf = ({ field, type, scale = {} }, rows) =>
  scale.domain || (type === "quantitative" ? [] : [...new Set(rows.map((row) => row[field]))]);
const fittedLegend = (channel, entries, narrow, longest, room) => {
  const { legend } = channel;
  const total = entries.reduce((sum, entry) => sum + textWidth(entry) + SYMBOL, 0);
  const crowded = narrow || (ofCandidates(channel) ? legend.columns * (longest + 24) > room : total > room);
  return { ...legend, ...(crowded ? { columns: 1 } : {}), ...(ofCandidates(channel) ? NAMED : WRAPPED), labelLimit: room - 20 };
};
// Logarithmic axes label few of their ticks, within a factor of ten perhaps none; numbers look like those of sentences.
const LEADING = "round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-9)))";
const OF_DECADES = `indexof([1, 2, 5], ${LEADING}) < 0 ? '' : datum.value < 1e4 ? replace(datum.label, ',', '') : datum.label`;
const OF_ALL = "format(datum.value, datum.value < 1e4 ? '.6~g' : ',.6~g')";
const logLabels = (encodings, rows) => {
  const values = encodings.flatMap(({ x }) => (x ? rows.map((row) => row[x.field]) : [])).filter((value) => value > 0);
  return Math.max(...values) < 10 * Math.min(...values) ? OF_ALL : OF_DECADES;
};
/* Fits a chart, in place, to a width in pixels. candidates: names in full. rows: those of the chart. */
const fit = (spec, width, candidates, rows) => {
  const narrow = width < NARROW, { step } = spec.height;
  const longest = Math.max(0, ...candidates.map(textWidth));
  const most = !step ? width - 60 : narrow ? width - 12 : Math.min(340, 0.45 * width);
  const room = width - 24 - (step && !narrow ? Math.min(most, longest) : 0);
  const encodings = (spec.layer || [spec]).map(({ encoding }) => encoding || {});
  const spread = encodings.some(({ yOffset }) => yOffset), wrapped = {};
  for (const { x, y, color, shape } of encodings) {
    if (x && typeof x.title === "string") x.title = lines(x.title, room);
    if (x && x.scale && x.scale.type === "log") x.axis = { ...x.axis, labelExpr: logLabels(encodings, rows) };
    for (const channel of [color, shape]) {
      if (!channel || !channel.legend) continue;
      const entries = entriesOf(channel, rows);
      channel.legend = fittedLegend(channel, entries, narrow, longest, room);
      for (const entry of entries) if (textWidth(entry) + SYMBOL > room) wrapped[entry] = lines(entry, room - SYMBOL);
      // Legends of colours and of shapes are one if they list the same.
      if (ofCandidates(channel)) channel.scale = { ...channel.scale, domain: candidates };
    }
    if (!step || !ofCandidates(y)) continue;
    // A layer may lack candidates, such as those without an interval.
    y.scale = { domain: candidates };
    y.axis = { ...y.axis, ...NAMED, labelLimit: most + 4 };
    if (!narrow) continue;
    Object.assign(y.axis, { labelAlign: "left", labelPadding: 0, labelOffset: -(step / 2 + (spread ? 8 : 4)) });
    // Runs of a candidate are spread over its band, which is below its name.
    if (spread) Object.assign(y.scale, { paddingInner: 1 - (0.8 * step) / (step + ABOVE), paddingOuter: 0.3 });
  }
  spec.params = [...(spec.params || []), { name: "names", value: shortNames(candidates, most) },
    { name: "wrapped", value: wrapped }];
  if (step && narrow) spec.height.step = step + ABOVE;
};
// Who points at a shortened name sees it in full.
const withFullNames = (compiled) => {
  const tooltip = { signal: "names[datum.value] && names[datum.value] !== datum.value ? {candidate: datum.value} : null" };
  for (const guide of [...(compiled.axes || []), ...(compiled.legends || [])]) {
    const labels = guide.encode && guide.encode.labels;
    if (labels && JSON.stringify(labels).includes("names[")) guide.encode.labels = { ...labels, interactive: true, update: { ...labels.update, tooltip } };
  }
  return compiled;
};
