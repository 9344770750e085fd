/* Examples that flip: the example itself where it can be shown, its name, its label, and the votes of the runs. */
const gallery = document.getElementById("examples");
const voteOf = ([answer, count, right]) =>
  element("span", { className: right === null ? "" : right ? "right" : "wrong", textContent: `${answer} ×${count}` });
// The answers with most votes, the right one among them, and how many votes all others have together.
const MOST_ANSWERS = 8;
const tallied = (tally) => {
  const sorted = [...tally].sort((a, b) => b[1][0] - a[1][0]);
  const others = sorted.filter(([, [, right]], index) => index >= MOST_ANSWERS && !right);
  // One that is left out would take as much room as itself.
  const rest = others.length > 1 ? others : [], shown = sorted.filter((entry) => !rest.includes(entry));
  const votes = rest.reduce((sum, [, [count]]) => sum + count, 0);
  return [...shown.map(([answer, [count, right]]) => voteOf([answer, count, right])),
    rest.length > 0 ? element("span", { textContent: `${rest.length} other answers ×${votes}` }) : null];
};
const exampleBox = (shown, cells, numbers) => {
  const tally = new Map(), votes = element("table", { className: "votes" });
  cells.forEach(([model, method], cell) => {
    if (!state.model.has(model) || !state.method.has(method)) return;
    for (const [answer, count, right] of shown.votes[cell]) {
      const [sum] = tally.get(answer) || [0];
      tally.set(answer, [sum + count, right]);
    }
    votes.append(element("tr", {}, element("th", { scope: "row", textContent: candidateOf(model, method) }),
      element("td", {}, ...shown.votes[cell].map(voteOf))));
  });
  const content = shown.image ? element("img", { src: shown.image, alt: `test example ${shown.id}`, loading: "lazy" })
    : element("blockquote", { textContent: shown.text || (/^\d+$/.test(shown.source) ? `example ${shown.source}` : shown.source) });
  const counted = shown.range ? [] : tallied(tally), plain = [...tally.values()].every(([, right]) => right === null);
  return element("div", { className: "example" }, content,
    shown.label === null ? null : element("div", {}, "label: ", element("b", { textContent: shown.label })),
    shown.range ? element("div", {}, `${numbers}: `, shown.range) : null,
    // Ranges of numbers of several candidates have no sum.
    element("div", { className: "tally" }, counted.length && plain ? `${numbers}: ` : null, ...counted),
    element("details", {}, element("summary", { textContent: "by candidate" }), votes,
      element("small", { textContent: shown.image || shown.text ? shown.source : "" })));
};
const showExamples = () => {
  if (!gallery) return;
  gallery.replaceChildren();
  for (const task of shownTasks()) {
    const of = data.examples[task];
    if (!of || !of.shown.length) continue;
    gallery.append(element("h3", { textContent: `${task}: test examples on which the runs disagree most` }),
      element("div", { className: of.shown[0].image ? "examples" : "examples words" }, ...of.shown.map((shown) => exampleBox(shown, of.cells, of.numbers))));
  }
};
