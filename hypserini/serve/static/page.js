"use strict";
// One query in three columns. All that comes from documents is set as text, never as HTML.

const COLUMNS = [["bm25", "BM25"], ["auto", "q-net"], ["hybrid", "both, by RRF"]];
const LONGEST = 20000; // characters of a text, also when all of it is shown
const by = (id) => document.getElementById(id);
let asked = 0; // answers to earlier queries are dropped
let wanted = false; // a search was asked for, perhaps before the indexes were known
let explainer = null; // of the answers that are shown

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

function moved(rank, before) {
  if (before === undefined) {
    const fresh = make("span", "up", "▲ new");
    fresh.title = "not among BM25's hits";
    return fresh;
  }
  const way = before - rank;
  const told = make("span", way > 0 ? "up" : way < 0 ? "down" : "", way ? `${way > 0 ? "▲" : "▼"}${Math.abs(way)}` : "=");
  told.title = `rank ${before} by BM25`;
  return told;
}

// How a hit was judged; nothing where the query is no judged topic.
function grade(judged, docid) {
  if (!judged) return [];
  const given = judged.grades[docid];
  if (given === undefined) return [make("span", "", "unjudged")];
  return [make("span", given > 0 ? "relevant" : "", given > 0 ? `✓ relevant (${given})` : "not relevant")];
}

function hitItem(hit, words, ranks, judged) {
  const item = make("li");
  item.tabIndex = 0;
  item.dataset.docid = hit.docid;
  const head = make("div", "head");
  head.append(make("b", "", hit.rank), make("span", "docid", hit.docid));
  if (ranks) head.append(moved(hit.rank, ranks.get(hit.docid)));
  head.append(...grade(judged, hit.docid), make("span", "score", hit.score.toFixed(3)));
  item.classList.toggle("judged", judged?.grades[hit.docid] > 0);
  const text = textOf(hit.doc);
  let marks = words;
  item.append(head, make("p"));
  item.draw = (found) => {
    marks = found;
    item.dataset.marks = marks.kind;
    item.lastChild.replaceWith(snippet(text, marks, item.hasAttribute("data-open")));
  };
  item.draw(words);
  const turn = () => {
    item.toggleAttribute("data-open");
    item.draw(marks);
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

const LEGEND = "Filled: raised the q-net's score. Underlined: the query's words.";

function column(mode, name, answer, words, ranks) {
  const section = make("section");
  section.setAttribute("aria-label", name);
  const heading = make("h2", "", name);
  section.append(heading);
  if (!answer) return section;
  const judged = answer.judged;
  if (judged) heading.append(" ", make("span", "ndcg", `nDCG@10 ${judged["nDCG@10"].toFixed(3)}`));
  section.append(make("p", "cost", toldCost(answer.cost)));
  section.append(make("p", "legend", mode === "bm25" ? "Underlined: the query's words." : LEGEND));
  const list = make("ol");
  const items = answer.candidates.map((hit) => hitItem(hit, words, mode === "bm25" ? null : ranks, judged));
  list.append(...items);
  section.append(list);
  if (!items.length) section.append(make("p", "text", "nothing found"));
  if (mode !== "bm25") for (const item of items) explainer.watch(item);
  return section;
}

function newExplainer(index, query) {
  explainer?.stop();
  const explain = async (docid) => {
    const path = `${place(index)}/explain/${encodeURIComponent(encodeURIComponent(docid))}`;
    return (await ask(`${path}?${new URLSearchParams({ query, words: "document" })}`)).explanation;
  };
  const told = (reason) => {
    for (const legend of [...document.querySelectorAll(".legend")].slice(1)) {
      legend.textContent = `Underlined: the query's words; what raised the score is not known: ${reason}.`;
      legend.classList.add("error");
    }
  };
  explainer = new Explainer(explain, told);
}

async function search(event) {
  event?.preventDefault();
  const query = by("query").value.trim();
  wanted = Boolean(query);
  const index = by("index").value;
  if (!query || !index) return;
  const mine = ++asked;
  const parameters = { query, hits: by("hits").value || 10, cost: "true", max_doc_length: LONGEST };
  if (by("filter").value.trim()) parameters.filter = by("filter").value.trim();
  const qid = judgedTopic(query);
  if (qid) parameters.qid = qid;
  history.replaceState(null, "", "#" + new URLSearchParams({ q: query, filter: parameters.filter ?? "" }));
  by("told").className = "";
  by("told").textContent = "searching";
  const answers = await Promise.allSettled(COLUMNS.map(([mode]) =>
    ask(`${place(index)}/search?${new URLSearchParams({ ...parameters, mode })}`)));
  if (mine !== asked) return;
  const failed = answers.find((answer) => answer.status === "rejected");
  const judged = answers.find((answer) => answer.value?.judged)?.value.judged;
  by("told").className = failed ? "error" : "";
  by("told").textContent = failed ? failed.reason.message
    : judged ? `Topic ${judged.qid}: ${judged.relevant.toLocaleString()} relevant.` : "";
  const bm25 = answers[0].value?.candidates;
  const ranks = bm25 && new Map(bm25.map((hit) => [hit.docid, hit.rank]));
  const words = wordsOf(query);
  newExplainer(index, query);
  by("columns").replaceChildren(...COLUMNS.map(([mode, name], n) =>
    column(mode, name, answers[n].value, words, ranks)));
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
  else if (event.key === "n" || event.key === "p") nextTopic(event.key === "n" ? 1 : -1);
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
    await loadTopics();
    by("told").className = "";
    by("told").textContent = topics.size ? "Ask something, or choose a judged topic." : "Ask something.";
    if (wanted) await search();
  } catch (error) {
    by("told").className = "error";
    by("told").textContent = error.message;
  }
}

const start = new URLSearchParams(location.hash.slice(1));
by("query").value = start.get("q") ?? "";
by("filter").value = start.get("filter") ?? "";
wanted = start.has("q");
by("ask").addEventListener("submit", search);
by("index").addEventListener("change", async () => { await loadTopics(); await search(); });
by("topic").addEventListener("change", chooseTopic);
by("token").addEventListener("change", begin);
document.addEventListener("keydown", byKey);
by("query").focus(); // `autofocus` comes later than the first key may
begin();
