/* The rest of the page: colours, menu, links to sections. */
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
