"use strict";
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  // Everything from the data becomes text, never markup.
  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const put = (parent, ...children) => { parent.append(...children); return parent; };
  const number = (n) => n.toLocaleString("en");
  const time = (us) => us < 1e3 ? us + " µs" : us < 1e6 ? +(us / 1e3).toPrecision(3) + " ms" : +(us / 1e6).toPrecision(3) + " s";

  at("title").textContent = page.title;
  at("summary").textContent = page.summary;
  at("summary").className = page.ok ? "" : "bad";
  for (const [label, value] of page.facts) {
    put(at("facts"), put(make("div", value.length > 24 ? "long" : ""), make("dt", "", label), make("dd", "", value)));
  }

  // Latency: bars over a logarithmic scale.
  const SVG = "http://www.w3.org/2000/svg";
  const BARS = 72;
  const drawn = page.latencies.filter((one) => one.counts.length);
  at("latency").hidden = !drawn.length;
  const first = Math.min(...drawn.map((one) => one.counts[0][0]));
  const last = Math.max(...drawn.map((one) => one.counts[one.counts.length - 1][0]));
  const low = Math.log(Math.max(first, 1)), high = Math.max(Math.log(Math.max(last, 1)), low + 0.1);
  for (const one of drawn) {
    const total = one.counts.reduce((sum, [, n]) => sum + n, 0);
    const share = (part) => {
      let seen = 0;
      for (const [us, n] of one.counts) if ((seen += n) >= total * part) return us;
      return one.counts[one.counts.length - 1][0];
    };
    const bars = new Array(BARS).fill(0);
    for (const [us, n] of one.counts) {
      bars[Math.min(BARS - 1, Math.floor((Math.log(Math.max(us, 1)) - low) / (high - low) * BARS))] += n;
    }
    const figures = `p50 ${time(share(0.5))}, p90 ${time(share(0.9))}, p99 ${time(share(0.99))}, p99.9 ${time(share(0.999))}, max ${time(share(1))}`;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${BARS} 100`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${one.name}: ${figures}`);
    const tallest = Math.max(...bars);
    bars.forEach((n, index) => {
      if (!n) return;
      const rect = document.createElementNS(SVG, "rect");
      const height = Math.max(1.5, n / tallest * 100);
      for (const [key, value] of [["x", index + 0.08], ["y", 100 - height], ["width", 0.84], ["height", height]]) rect.setAttribute(key, value);
      const from = Math.exp(low + (high - low) * index / BARS), to = Math.exp(low + (high - low) * (index + 1) / BARS);
      const title = document.createElementNS(SVG, "title");
      title.textContent = `${time(Math.round(from))} to ${time(Math.round(to))}: ${number(n)}`;
      svg.append(put(rect, title));
    });
    const axis = make("div", "axis");
    for (let step = 0; step <= 4; step++) axis.append(make("span", "", time(Math.round(Math.exp(low + (high - low) * step / 4)))));
    put(at("charts"), put(make("figure"), put(make("figcaption"), make("strong", "", one.name), make("span", "", number(total)), make("span", "", figures)), svg, axis));
  }

  // Findings.
  const WORDS = { fine: "ok", bad: "finding", expected: "expected", note: "note" };
  const NAMES = 12, CONTEXT = 3;
  const entries = new Map();
  const radius = ([name, counts]) => {
    const sorted = Object.entries(counts).sort((a, b) => b[1] - a[1]);
    const box = put(make("div"), make("h3", "", `by ${name}`));
    for (const [key, n] of sorted.slice(0, NAMES)) {
      const bar = make("i");
      bar.style.width = n / sorted[0][1] * 100 + "%";
      const label = make("span", "", key || "-");
      label.title = key;
      put(box, put(make("div", "bar"), label, bar, make("span", "", number(n))));
    }
    if (sorted.length > NAMES) put(box, make("div", "hint", `and ${number(sorted.length - NAMES)} more`));
    return box;
  };
  const line = ([tag, left, right]) => {
    const row = make("tr");
    put(row, make("td", tag === "=" ? "same" : tag === "+" ? "" : "gone", left));
    put(row, make("td", tag === "=" ? "same" : tag === "-" ? "" : "come", right));
    return row;
  };
  const diff = (entry) => {
    const body = make("tbody");
    const lines = entry.diff;
    const near = new Array(lines.length).fill(false);
    lines.forEach(([tag], index) => {
      if (tag !== "=") near.fill(true, Math.max(0, index - CONTEXT), index + CONTEXT + 1);
    });
    for (let index = 0; index < lines.length;) {
      if (near[index]) { body.append(line(lines[index++])); continue; }
      let end = index;
      while (end < lines.length && !near[end]) end++;
      const hidden = lines.slice(index, end);
      const cell = make("td");
      cell.colSpan = 2;
      const button = make("button", "", `${number(hidden.length)} equal lines`);
      button.type = "button";
      const row = put(make("tr"), put(cell, button));
      button.addEventListener("click", () => row.replaceWith(...hidden.map(line)));
      body.append(row);
      index = end;
    }
    const head = put(make("thead"), put(make("tr"), make("th", "", entry.sides[0]), make("th", "", entry.sides[1])));
    const box = put(make("div", "diff"), put(make("table"), head, body));
    box.tabIndex = 0;
    return box;
  };
  const fill = (inside, entry) => {
    const list = make("ul");
    for (const text of entry.lines) if (text) list.append(make("li", /^ /.test(text) ? "below" : "", text.trim()));
    put(inside, list);
    const spread = entry.radius.filter(([, counts]) => Object.keys(counts).length);
    if (spread.length) put(inside, put(make("div", "radius"), ...spread.map(radius)));
    if (entry.diff.length) put(inside, make("h3", "", entry.example), diff(entry));
    if (entry.minimal) put(inside, make("h3", "", "smallest object that shows it"), make("pre", "", entry.minimal));
  };
  at("found").hidden = !page.entries.length;
  at("heading").textContent = `${page.heading} (${number(page.entries.length)})`;
  for (const entry of page.entries) {
    const details = make("details");
    const head = put(make("summary"), make("span", `badge ${entry.status}`, WORDS[entry.status]), make("span", "what", entry.title), make("span", "count", number(entry.count)));
    const inside = make("div", "inside");
    // A page of thousands of findings is filled as it is opened.
    details.addEventListener("toggle", () => { if (details.open && !inside.firstChild) fill(inside, entry); });
    put(at("entries"), put(details, head, inside));
    entries.set(entry.id, { details, head, entry });
  }
  const opened = page.entries.find((entry) => entry.status === "bad" && entry.diff.length);
  if (opened) entries.get(opened.id).details.open = true;

  // The list: only the rows in view are in the document.
  const HEIGHT = 30, SPARE = 8;
  const rows = at("rows"), space = at("space");
  at("list").hidden = !page.rows.length;
  const texts = page.rows.map((row) => row.cells.concat(row.entries.map((id) => entries.get(id)?.entry.title ?? "")).join("\n").toLowerCase());
  const numeric = page.columns.map((_, column) => page.rows.length > 0 && page.rows.every((row) => /^\d+$/.test(row.cells[column])));
  const classes = page.rows.some((row) => row.entries.length);
  const widths = page.columns.map((_, column) => numeric[column] ? "9ch" : "minmax(0, 2fr)");
  rows.style.setProperty("--columns", widths.concat(classes ? ["minmax(0, 4fr)"] : []).join(" "));
  page.columns.forEach((name, column) => at("head").append(make("span", numeric[column] ? "number" : "", name)));
  if (classes) at("head").append(make("span", "", "findings"));
  for (const span of at("head").children) span.setAttribute("role", "columnheader");
  let found = page.rows.map((_, index) => index), selected = 0;
  const draw = () => {
    const from = Math.max(0, Math.floor(rows.scrollTop / HEIGHT) - SPARE);
    const to = Math.min(found.length, from + Math.ceil(rows.clientHeight / HEIGHT) + 2 * SPARE);
    const shown = [];
    for (let place = from; place < to; place++) {
      const row = page.rows[found[place]];
      const element = make("div", row.entries.length ? "has" : "");
      element.id = "row-" + place;
      element.style.top = place * HEIGHT + "px";
      element.setAttribute("role", "row");
      element.setAttribute("aria-rowindex", place + 2);
      element.setAttribute("aria-selected", place === selected);
      const cells = row.cells.map((text, column) => make("span", numeric[column] ? "number" : "", text));
      if (classes) {
        const titles = row.entries.map((id) => entries.get(id)?.entry.title ?? id);
        cells.push(put(make("span", "", ""), make("b", "", titles.length + ""), titles.join("; ")));
      }
      for (const cell of cells) { cell.setAttribute("role", "gridcell"); cell.title = cell.textContent; }
      element.addEventListener("click", () => { selected = place; draw(); visit(); });
      shown.push(put(element, ...cells));
    }
    space.replaceChildren(...shown);
    rows.setAttribute("aria-activedescendant", "row-" + selected);
    rows.setAttribute("aria-rowcount", found.length + 1);
  };
  const visit = () => {
    const row = page.rows[found[selected]];
    const target = row && entries.get(row.entries[0]);
    if (!target) return;
    target.details.open = true;
    target.head.scrollIntoView({ block: "start" });
    target.head.focus({ preventScroll: true });
  };
  const filter = () => {
    const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const id = at("only").value;
    found = [];
    page.rows.forEach((row, index) => {
      if ((!id || row.entries.includes(id)) && words.every((word) => texts[index].includes(word))) found.push(index);
    });
    selected = 0;
    rows.scrollTop = 0;
    space.style.height = found.length * HEIGHT + "px";
    const beyond = page.unlisted ? `, ${number(page.unlisted)} not listed` : "";
    at("shown").textContent = `${number(found.length)} of ${number(page.rows.length)}${beyond}`;
    draw();
  };
  const move = (to) => {
    selected = Math.max(0, Math.min(found.length - 1, to));
    const top = selected * HEIGHT, view = rows.clientHeight - 2 * HEIGHT;
    if (top < rows.scrollTop) rows.scrollTop = top;
    else if (top > rows.scrollTop + view) rows.scrollTop = top - view;
    draw();
  };
  at("listed").textContent = `${page.listed || "List"} (${number(page.rows.length + page.unlisted)})`;
  at("only").append(new Option("all findings", ""));
  for (const entry of page.entries) {
    if (classes) at("only").append(new Option(entry.title.length > 80 ? entry.title.slice(0, 79) + "…" : entry.title, entry.id));
  }
  at("only").closest("label").hidden = !classes;
  at("only").addEventListener("change", filter);
  at("search").addEventListener("input", filter);
  at("search").addEventListener("keydown", (event) => { if (event.key === "ArrowDown") { event.preventDefault(); rows.focus(); } });
  rows.addEventListener("scroll", draw, { passive: true });
  rows.addEventListener("keydown", (event) => {
    const jump = Math.max(1, Math.floor(rows.clientHeight / HEIGHT) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: jump, PageUp: -jump, Home: -Infinity, End: Infinity };
    if (event.key === "Enter") visit();
    else if (event.key in steps) { event.preventDefault(); move(selected + steps[event.key]); }
  });
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "")) {
      event.preventDefault();
      at("search").focus();
    }
  });
  addEventListener("resize", draw);
  // `report.html#search=shop` opens a search.
  const wanted = new URLSearchParams(location.hash.slice(1)).get("search");
  if (wanted) at("search").value = wanted;
  filter();
})();
