// What a page of Lethe does beyond being read: values under the pointer or the arrow keys, a choice of parts, tables
// that sort. Everything is on the page without it.
"use strict";

(() => {
  const REACH = 20; // pixels from the pointer within which a value is shown

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("aria-hidden", "true"); // whoever listens hears the name of the point itself
  tip.hidden = true;
  document.body.append(tip);

  let lit = null;

  function hide() {
    tip.hidden = true;
    if (lit) {
      lit.classList.remove("lit");
      document.getElementById(lit.dataset.line || "")?.classList.remove("lit");
      lit = null;
    }
  }

  function show(mark) {
    if (mark === lit && !tip.hidden) return;
    hide();
    lit = mark;
    mark.classList.add("lit");
    document.getElementById(mark.dataset.line || "")?.classList.add("lit");
    tip.textContent = mark.getAttribute("aria-label");
    tip.hidden = false;
    const at = mark.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const left = at.left + at.width / 2 - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(4, Math.min(left, width - tip.offsetWidth - 4)) + window.scrollX}px`;
    const above = at.top - tip.offsetHeight - 6;
    tip.style.top = `${(above > 0 ? above : at.bottom + 6) + window.scrollY}px`;
  }

  function nearest(marks, event) {
    let found = null;
    let least = REACH;
    for (const mark of marks) {
      const at = mark.getBoundingClientRect();
      const far = Math.hypot(at.left + at.width / 2 - event.clientX, at.top + at.height / 2 - event.clientY);
      if (far < least) [found, least] = [mark, far];
    }
    return found;
  }

  // One stop of the Tab key a figure; arrows go from value to value.
  function walk(marks, event) {
    const here = marks.indexOf(event.target);
    const steps = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1 };
    const to = { ...steps, Home: 0, End: marks.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const mark = marks[Math.max(0, Math.min(to, marks.length - 1))];
    event.target.setAttribute("tabindex", "-1");
    mark.setAttribute("tabindex", "0");
    mark.focus({ preventScroll: true });
  }

  for (const layer of document.querySelectorAll("svg.marks")) {
    const marks = [...layer.querySelectorAll(".mark")];
    for (const [place, mark] of marks.entries()) {
      const title = mark.querySelector("title");
      mark.setAttribute("aria-label", title.textContent);
      title.remove(); // or the browser's own tooltip would lie over this one
      mark.setAttribute("tabindex", place ? "-1" : "0");
      mark.addEventListener("focus", () => show(mark));
      mark.addEventListener("blur", hide);
    }
    layer.addEventListener("keydown", (event) => walk(marks, event));
    layer.addEventListener("pointermove", (event) => {
      const mark = nearest(marks, event);
      if (mark) show(mark);
      else hide();
    });
    layer.addEventListener("pointerleave", hide);
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });

  function choice(filter, number) {
    const parts = [...filter.querySelectorAll(":scope > .part")];
    const select = document.createElement("select");
    select.id = `choice-${number}`;
    if (filter.dataset.all) select.append(new Option(filter.dataset.all, ""));
    for (const part of parts) select.append(new Option(part.dataset.name, part.dataset.name));
    const chosen = () => {
      for (const part of parts) part.hidden = select.value !== "" && part.dataset.name !== select.value;
    };
    select.addEventListener("change", chosen);
    chosen();
    const label = document.createElement("label");
    label.htmlFor = select.id;
    label.textContent = filter.dataset.label;
    const line = document.createElement("p");
    line.className = "choice";
    line.append(label, " ", select);
    filter.prepend(line);
  }

  [...document.querySelectorAll(".filter")].forEach(choice);

  // The first number of a cell, with its true minus and thousands apart; text where there is none.
  function key(row, column) {
    const text = row.cells[column].textContent.trim();
    const number = text.replaceAll(",", "").replaceAll("\u2212", "-").match(/[-+]?\d+(\.\d+)?/);
    return [number ? Number(number[0]) : -Infinity, text];
  }

  function sort(table, column, head) {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const numeric = head.classList.contains("n");
    const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) => (numeric ? a[0] - b[0] : a[1].localeCompare(b[1], "en", { numeric: true })));
    if (down) rows.reverse();
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column, head));
      head.append(button);
    }
  }
})();
