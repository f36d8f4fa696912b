"use strict";
// Which words of a hit are marked: those that raised the q-net's score, once the server has told
// them; until then, and where it cannot tell, the query's, and underlined only.

const SNIPPET = 280;
const MOST_MARKED = 8; // words of a document
const LEAST_SHARE = 0.1; // of what the strongest word adds

function wordsOf(query) {
  const words = query.toLowerCase().match(/[\p{L}\p{N}]{2,}/gu) ?? [];
  return { kind: "query", words: new Map(words.map((word) => [word, ""])) };
}

// The words that add most to the score, strongest first, each with the class of its mark.
function wordsThatRaised(parts) {
  const totals = new Map();
  for (const { text, value } of parts) {
    const word = text.toLowerCase();
    if (/^[\p{L}\p{N}]{2,}$/u.test(word)) totals.set(word, (totals.get(word) ?? 0) + value);
  }
  const best = [...totals].filter(([, value]) => value > 0).sort((one, other) => other[1] - one[1]);
  const most = best.length ? best[0][1] : 0;
  const kept = best.slice(0, MOST_MARKED).filter(([, value]) => value > LEAST_SHARE * most);
  const strength = (value) => (value > (2 / 3) * most ? "much" : value > most / 3 ? "some" : "little");
  return { kind: "raised", words: new Map(kept.map(([word, value]) => [word, strength(value)])) };
}

function patternOf(words, ending) {
  const longest = [...words].sort((one, other) => other.length - one.length);
  return longest.length ? new RegExp(`(?<![\\p{L}\\p{N}])(?:(${longest.join("|")})${ending})(?![\\p{L}\\p{N}])`, "giu") : null;
}

// The text from a little before the first word (of those that raised the score, the strongest that
// is there), with the words marked.
function snippet(stored, marks, whole) {
  const text = whole ? stored : stored.replace(/\s+/g, " ");
  const paragraph = document.createElement("p");
  paragraph.className = "text";
  const ending = marks.kind === "query" ? "(?:e?s)?" : "";
  const pattern = patternOf(marks.words.keys(), ending);
  let first = -1;
  if (marks.kind === "query") first = pattern ? text.search(pattern) : -1;
  else for (const word of marks.words.keys()) if ((first = text.search(patternOf([word], ""))) >= 0) break;
  const start = whole || first < 100 ? 0 : text.lastIndexOf(" ", first - 60) + 1;
  const shown = whole ? text : text.slice(start, start + SNIPPET);
  if (start) paragraph.append("… ");
  let at = 0;
  for (const match of pattern ? shown.matchAll(pattern) : []) {
    const mark = document.createElement("mark");
    mark.className = marks.words.get(match[1].toLowerCase()) ?? "";
    mark.textContent = match[0];
    paragraph.append(shown.slice(at, match.index), mark);
    at = match.index + match[0].length;
  }
  paragraph.append(shown.slice(at));
  if (start + shown.length < text.length) paragraph.append(" …");
  return paragraph;
}

// Asks, hit by hit, what raised the scores of those that are in sight. What it cannot learn it says
// once, by `told`, and asks no more for this query.
class Explainer {
  constructor(explain, told) {
    this.explain = explain;
    this.told = told;
    this.items = new Map(); // docid: the list items that show it
    this.wanted = new Set();
    this.busy = false;
    this.sight = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) this.want(entry.target);
    });
  }

  watch(item) {
    const docid = item.dataset.docid;
    this.items.set(docid, [...(this.items.get(docid) ?? []), item]);
    this.sight.observe(item);
  }

  want(item) {
    this.sight.unobserve(item);
    this.wanted.add(item.dataset.docid);
    if (!this.busy) this.work();
  }

  async work() {
    this.busy = true;
    try {
      for (const docid of this.wanted) { // of a set, also those that are added meanwhile
        const words = (await this.explain(docid)).document_words?.words;
        if (this.stopped) return;
        if (!words) throw new Error("the index has no text or encoder of its documents");
        const marks = wordsThatRaised(words);
        for (const item of this.items.get(docid)) item.draw(marks);
        this.wanted.delete(docid);
      }
      this.busy = false;
    } catch (error) {
      if (!this.stopped) this.told(error.message);
      this.stop();
    }
  }

  stop() {
    this.stopped = true;
    this.busy = true;
    this.sight.disconnect();
  }
}
