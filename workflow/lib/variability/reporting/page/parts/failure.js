/* Shown instead of charts and tables where the browser cannot run the rest. */
function cannotShow(error) {
  console.error(error);
  const notice = document.createElement("p");
  notice.className = "notice";
  notice.textContent = `Charts and tables of this page cannot be shown in this browser: ${error.message}. The figures ` +
    "are in the folder plot, the tables in the folder analyse.";
  document.getElementById("filters").replaceWith(notice);
}
