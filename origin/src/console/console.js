// The live page: follows /v1/changes, asks each published query again when a
// change may touch it, and draws what comes. It knows no table by name.
"use strict";

const REFETCH_MS = 500; // the least time between two fetches of one query
const TABLES_MS = 1000;
const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawn(tag, attributes = {}, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const short = (number) =>
  Math.abs(number) >= 10000
    ? new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(number)
    : new Intl.NumberFormat("en", { maximumFractionDigits: 2 }).format(number);

// --- charts -----------------------------------------------------------------

// The fields of a Vega-Lite chart: x, y and whether it is a line over time.
function chartOf(query, answer) {
  const encoding = (query.chart && query.chart.encoding) || {};
  const names = answer.meta.map((column) => column.name);
  const x = encoding.x && encoding.x.field, y = encoding.y && encoding.y.field;
  if (!names.includes(x) || !names.includes(y)) return null;
  const mark = typeof query.chart.mark === "object" ? query.chart.mark.type : query.chart.mark;
  const rows = answer.data;
  const numeric = (field) => rows.every((row) => row[field] === null || isFinite(row[field]));
  if (mark === "line" || mark === "area") return { kind: "line", x, y };
  // A bar chart may lie on its side: the measure is the numeric field.
  if (encoding.x.type === "quantitative" || (numeric(x) && !numeric(y))) return { kind: "bar", x: y, y: x };
  return { kind: "bar", x, y };
}

function lineChart(rows, x, y) {
  const [width, height, left, bottom] = [640, 240, 48, 22];
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const time = (value) => (isFinite(value) ? Number(value) : Date.parse(/[zZ]|[+-]\d\d:\d\d$/.test(value) ? value : value + (String(value).includes("T") ? "Z" : "T00:00Z")));
  const points = rows.map((row) => [time(row[x]), Number(row[y]), row[x]]).filter((p) => isFinite(p[0]) && isFinite(p[1]));
  points.sort((a, b) => a[0] - b[0]);
  if (!points.length) return element("p", { class: "soft" }, "no rows yet");
  const [first, last] = [points[0][0], points[points.length - 1][0]];
  const top = Math.max(...points.map((p) => p[1]), 0) || 1;
  const low = Math.min(...points.map((p) => p[1]), 0);
  const across = (t) => left + ((t - first) / (last - first || 1)) * (width - left - 8);
  const up = (v) => 8 + (1 - (v - low) / (top - low || 1)) * (height - bottom - 8);
  for (const value of [low, (top + low) / 2, top]) {
    svg.append(drawn("line", { class: "axis", x1: left, x2: width - 8, y1: up(value), y2: up(value) }));
    svg.append(drawn("text", { x: left - 6, y: up(value) + 4, "text-anchor": "end" }, short(value)));
  }
  const path = points.map((p) => `${across(p[0]).toFixed(1)},${up(p[1]).toFixed(1)}`).join(" L");
  svg.append(drawn("path", { class: "area", d: `M${across(first)},${up(low)} L${path} L${across(last)},${up(low)} Z` }));
  svg.append(drawn("path", { class: "line", d: `M${path}` }));
  const label = (point) => String(point[2]).replace("T", " ").slice(0, 16);
  svg.append(drawn("text", { x: left, y: height - 6 }, label(points[0])));
  svg.append(drawn("text", { x: width - 8, y: height - 6, "text-anchor": "end" }, label(points[points.length - 1])));
  return svg;
}

function barChart(rows, x, y) {
  const shown = rows.slice(0, 20);
  const [width, step, left] = [640, 22, 150];
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${Math.max(shown.length, 1) * step}`, role: "img" });
  const top = Math.max(...shown.map((row) => Math.abs(Number(row[y])) || 0), 0) || 1;
  shown.forEach((row, i) => {
    const value = Number(row[y]) || 0;
    const long = (Math.abs(value) / top) * (width - left - 80);
    svg.append(drawn("text", { x: left - 8, y: i * step + 15, "text-anchor": "end" }, String(row[x]).slice(0, 24)));
    svg.append(drawn("rect", { class: "bar", x: left, y: i * step + 3, width: long.toFixed(1), height: step - 6, rx: 2 }));
    svg.append(drawn("text", { class: "value", x: left + long + 6, y: i * step + 15 }, short(value)));
  });
  return svg;
}

function tableOf(answer) {
  const numbers = new Set(answer.meta.filter((c) => /INT|DECIMAL|DOUBLE|FLOAT/.test(c.type)).map((c) => c.name));
  const kind = (name) => (numbers.has(name) ? { class: "number" } : {});
  const text = (value) => (value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));
  const head = element("tr", {}, ...answer.meta.map((c) => element("th", { ...kind(c.name), title: c.type }, c.name)));
  const body = answer.data.slice(0, 200).map((row) =>
    element("tr", {}, ...answer.meta.map((c) => element("td", kind(c.name), text(row[c.name])))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

// --- fetching ---------------------------------------------------------------

// An answer with the headers that say where it comes from.
async function ask(url) {
  const start = performance.now();
  // As any page would: what is held is revalidated by its ETag.
  const response = await fetch(url);
  const body = await response.json();
  const header = (name) => response.headers.get(name) || "";
  return {
    ok: response.ok, body, ms: performance.now() - start, etag: header("etag"),
    cache: header("cache-status"), age: header("age"), lag: header("springtide-lag-ms"),
    version: header("springtide-version").split("~S")[0],
  };
}

function facts(into, answer) {
  const cache = (answer.cache.split(",").pop() || "").split(";").slice(1).map((p) => p.trim());
  const outcome = cache.find((p) => p === "hit" || p.startsWith("fwd=")) || "";
  into.replaceChildren();
  const fact = (name, value) => {
    if (value !== "") into.append(`${name} `, element("b", {}, value), "  ");
  };
  fact("lag", answer.lag === "" ? "" : `${answer.lag} ms`);
  fact("cache", outcome);
  fact("took", `${answer.ms.toFixed(0)} ms`);
  fact("ETag", answer.etag);
}

// --- the parts of the page ----------------------------------------------------

class Query {
  constructor(query) {
    this.query = query;
    this.facts = element("p", { class: "facts" });
    this.picture = element("div", { class: "scroll" });
    this.card = element("article", { class: "card" },
      element("h2", {}, element("a", { href: query.url }, query.name)),
      element("p", { class: "soft" }, query.description || ""), this.picture, this.facts);
    this.etag = null;
    this.asked = 0;
    this.waiting = null; // a fetch that is due
    this.busy = false; // a fetch that runs
    this.again = false; // something changed while it ran
  }

  // Soon, but not more often than REFETCH_MS.
  refresh() {
    if (this.busy) this.again = true;
    if (this.busy || this.waiting !== null) return;
    const pause = Math.max(0, this.asked + REFETCH_MS - performance.now());
    this.waiting = setTimeout(() => this.fetch(), pause);
  }

  async fetch() {
    this.asked = performance.now();
    [this.waiting, this.busy, this.again] = [null, true, false];
    try {
      const answer = await ask(this.query.url);
      if (!answer.ok) throw new Error(answer.body.detail);
      facts(this.facts, answer);
      if (answer.etag !== this.etag) this.show(answer);
    } catch (error) {
      this.facts.replaceChildren(element("span", { class: "bad" }, String(error.message || error)));
    }
    this.busy = false;
    if (this.again) this.refresh();
  }

  show(answer) {
    const chart = chartOf(this.query, answer.body);
    const picture = !chart ? tableOf(answer.body)
      : chart.kind === "line" ? lineChart(answer.body.data, chart.x, chart.y)
      : barChart(answer.body.data, chart.x, chart.y);
    this.picture.replaceChildren(picture);
    if (this.etag !== null) {
      this.card.classList.remove("changed");
      void this.card.offsetWidth; // starts the animation again
      this.card.classList.add("changed");
    }
    this.etag = answer.etag;
  }
}

async function showTables() {
  try {
    const { body } = await ask("/v1/tables");
    byId("tables").replaceChildren(...body.tables.map((table) => {
      const state = element("span", table.state === "live" ? {} : { class: "warn" }, table.state || "unknown");
      const tail = table.tail ? `${short(table.tail.rows)} rows in the tail` : "";
      return element("article", { class: "card" },
        element("h2", {}, element("a", { href: `/v1/tables/${table.name}` }, table.name)),
        element("p", { class: "big" }, table.lag_ms == null ? "–" : `${table.lag_ms} ms behind`),
        element("p", { class: "soft" }, state, table.reason ? ` – ${table.reason}` : "", tail && ` · ${tail}`),
        element("code", {}, table.version || ""));
    }));
    const sql = byId("sql");
    if (!sql.value && body.tables.length) sql.value = `SELECT count(*) AS n FROM ${body.tables[0].name}`;
  } catch { /* the connection's line says it */ }
}

async function runSql() {
  const url = "/v1/sql?q=" + encodeURIComponent(byId("sql").value);
  try {
    const answer = await ask(url);
    if (!answer.ok) throw new Error(answer.body.detail || answer.body.title);
    facts(byId("sql-facts"), answer);
    byId("sql-answer").replaceChildren(tableOf(answer.body));
  } catch (error) {
    byId("sql-facts").replaceChildren(element("span", { class: "bad" }, String(error.message || error)));
  }
}

function follow(queries) {
  const said = byId("connection");
  const feed = new EventSource("/v1/changes");
  const all = () => queries.forEach((query) => query.refresh());
  const state = (text, kind) => { said.textContent = text; said.className = kind; };
  feed.addEventListener("open", () => { state("live", "live"); all(); });
  feed.addEventListener("change", all);
  feed.addEventListener("reset", all);
  feed.addEventListener("error", () => state("connection lost; trying again…", "lost"));
}

async function start() {
  byId("run").addEventListener("click", runSql);
  byId("sql").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) runSql();
  });
  showTables();
  setInterval(showTables, TABLES_MS);
  let queries = [];
  try {
    const { body } = await ask("/v1/queries");
    // A query that needs a parameter has nothing to show by itself.
    const open = body.queries.filter((q) => !q.error && q.parameters.every((p) => p.default !== undefined));
    queries = open.map((query) => new Query(query));
    byId("queries").replaceChildren(...queries.map((query) => query.card));
  } catch (error) {
    byId("queries").replaceChildren(element("p", { class: "bad" }, String(error.message || error)));
  }
  queries.forEach((query) => query.refresh());
  follow(queries);
}

start();
