"use strict";
// One query in three columns. All that comes from documents is set as text, never as HTML.

const COLUMNS = [["bm25", "BM25"], ["auto", "q-net"], ["hybrid", "both, by RRF"]];
const SNIPPET = 280;
const LONGEST = 20000; // characters of a text, also when all of it is shown
const by = (id) => document.getElementById(id);
let asked = 0; // answers to earlier queries are dropped

function make(name, kind, text) {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  return element;
}

async function ask(path) {
  const token = by("token").value;
  const answer = await fetch(path, token ? { headers: { Authorization: `Bearer ${token}` } } : {});
  if (answer.status === 401) by("guard").hidden = false;
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

// An index of a URL: quoted for HTTP, and again, as the server unquotes it like Pyserini's.
const place = (index) => "v1/" + encodeURIComponent(encodeURIComponent(index));

function textOf(doc) {
  if (doc === null) return "";
  if (typeof doc === "string" || typeof doc !== "object") return String(doc);
  const values = [doc.title, doc.contents ?? doc.text ?? doc.body ?? doc.content];
  const [title, text] = values.map((value) => (typeof value === "string" ? value : ""));
  const both = text.startsWith(title) ? text : `${title}\n${text}`.trim();
  return both || JSON.stringify(doc);
}

function wordsOf(query) {
  const words = query.toLowerCase().match(/[\p{L}\p{N}]{2,}/gu) ?? [];
  return [...new Set(words)].sort((one, other) => other.length - one.length);
}

// The text from a little before the first word of the query, those words marked.
function snippet(stored, words, whole) {
  const text = whole ? stored : stored.replace(/\s+/g, " ");
  const paragraph = make("p", "text");
  const pattern = words.length ? new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.join("|")})(?:e?s)?(?![\\p{L}\\p{N}])`, "giu") : null;
  const first = pattern ? text.search(pattern) : -1;
  const start = whole || first < 100 ? 0 : text.lastIndexOf(" ", first - 60) + 1;
  const shown = whole ? text : text.slice(start, start + SNIPPET);
  if (start) paragraph.append("… ");
  let at = 0;
  for (const match of pattern ? shown.matchAll(pattern) : []) {
    paragraph.append(shown.slice(at, match.index), make("mark", "", match[0]));
    at = match.index + match[0].length;
  }
  paragraph.append(shown.slice(at));
  if (start + shown.length < text.length) paragraph.append(" …");
  return paragraph;
}

function moved(rank, before) {
  if (before === undefined) return make("span", "up", "▲ not among BM25's");
  const way = before - rank;
  const told = make("span", way > 0 ? "up" : way < 0 ? "down" : "", way ? `${way > 0 ? "▲" : "▼"}${Math.abs(way)}` : "=");
  told.title = `rank ${before} by BM25`;
  return told;
}

function hitItem(hit, words, ranks) {
  const item = make("li");
  item.tabIndex = 0;
  item.dataset.docid = hit.docid;
  const head = make("div", "head");
  head.append(make("b", "", hit.rank), make("span", "", hit.docid));
  if (ranks) head.append(moved(hit.rank, ranks.get(hit.docid)));
  head.append(make("span", "score", hit.score.toFixed(3)));
  const text = textOf(hit.doc);
  item.append(head, snippet(text, words, false));
  const turn = () => {
    const open = item.toggleAttribute("data-open");
    item.lastChild.replaceWith(snippet(text, words, open));
  };
  item.addEventListener("click", () => { if (!String(getSelection())) turn(); });
  item.addEventListener("keydown", (event) => { if (event.key === "Enter") turn(); });
  for (const [kind, on] of [["focus", true], ["mouseenter", true], ["blur", false], ["mouseleave", false]]) {
    item.addEventListener(kind, () => pair(hit.docid, on));
  }
  return item;
}

// The same document in the other columns.
function pair(docid, on) {
  for (const item of document.querySelectorAll("li")) {
    item.classList.toggle("same", on && item.dataset.docid === docid);
  }
}

function toldCost(cost) {
  const ms = `${cost.batch_ms.toFixed(1)} ms`;
  return cost.evaluations ? `${ms}, ${cost.evaluations.toLocaleString()} documents scored (${cost.mode})` : ms;
}

async function search(event) {
  event?.preventDefault();
  const query = by("query").value.trim();
  if (!query) return;
  const mine = ++asked;
  const parameters = { query, hits: by("hits").value || 10, cost: "true", max_doc_length: LONGEST };
  if (by("filter").value.trim()) parameters.filter = by("filter").value.trim();
  history.replaceState(null, "", "#" + new URLSearchParams({ q: query, filter: parameters.filter ?? "" }));
  by("told").className = "";
  by("told").textContent = "searching";
  const answers = await Promise.allSettled(COLUMNS.map(([mode]) =>
    ask(`${place(by("index").value)}/search?${new URLSearchParams({ ...parameters, mode })}`)));
  if (mine !== asked) return;
  const failed = answers.find((answer) => answer.status === "rejected");
  by("told").className = failed ? "error" : "";
  by("told").textContent = failed ? failed.reason.message : "";
  const bm25 = answers[0].value?.candidates;
  const ranks = bm25 && new Map(bm25.map((hit) => [hit.docid, hit.rank]));
  const words = wordsOf(query);
  by("columns").replaceChildren(...COLUMNS.map(([mode, name], n) => {
    const column = make("section");
    column.setAttribute("aria-label", name);
    column.append(make("h2", "", name));
    const answer = answers[n].value;
    if (!answer) return column;
    column.append(make("p", "cost", toldCost(answer.cost)));
    const list = make("ol");
    list.append(...answer.candidates.map((hit) => hitItem(hit, words, mode === "bm25" ? null : ranks)));
    column.append(list);
    if (!answer.candidates.length) column.append(make("p", "text", "nothing found"));
    return column;
  }));
}

function byKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const typing = event.target.matches("input, select");
  if (event.key === "Escape") { by("query").focus(); by("query").select(); return; }
  if (typing && !(event.key === "ArrowDown" && event.target === by("query"))) return;
  const lists = [...document.querySelectorAll("ol")].map((list) => [...list.children]);
  let column = lists.findIndex((items) => items.includes(document.activeElement));
  let row = column < 0 ? -1 : lists[column].indexOf(document.activeElement);
  if (event.key === "/") { by("query").focus(); by("query").select(); }
  else if (["j", "k", "ArrowDown", "ArrowUp", "h", "l"].includes(event.key)) {
    if (column < 0) column = 0;
    if (event.key === "h") column = Math.max(0, column - 1);
    else if (event.key === "l") column = Math.min(lists.length - 1, column + 1);
    else row += event.key === "k" || event.key === "ArrowUp" ? -1 : 1;
    const items = lists[column] ?? [];
    items[Math.min(Math.max(row, 0), items.length - 1)]?.focus();
  } else return;
  event.preventDefault();
}

async function begin() {
  try {
    const { indexes } = await ask("v1/indexes");
    const chosen = by("index").value;
    by("index").replaceChildren(...indexes.map((index) =>
      new Option(`${index.name} (${index.documents.toLocaleString()})`, index.name)));
    if (chosen) by("index").value = chosen;
    by("told").className = "";
    by("told").textContent = "";
    await search();
  } catch (error) {
    by("told").className = "error";
    by("told").textContent = error.message;
  }
}

const start = new URLSearchParams(location.hash.slice(1));
by("query").value = start.get("q") ?? "";
by("filter").value = start.get("filter") ?? "";
by("ask").addEventListener("submit", search);
by("index").addEventListener("change", search);
by("token").addEventListener("change", begin);
document.addEventListener("keydown", byKey);
begin();
