"use strict";
// The judged topics of the index: one is chosen, or typed word for word, and hits are then judged.

let topics = new Map(); // the id of each text

async function loadTopics() {
  const index = by("index").value;
  const found = index ? (await ask(`${place(index)}/topics`)).topics : [];
  if (index !== by("index").value) return; // another was chosen meanwhile
  topics = new Map(found.map(({ qid, text }) => [text.trim(), qid]));
  by("topic").replaceChildren(new Option(`${found.length.toLocaleString()} judged topics`, ""),
    ...found.map(({ qid, text }) => new Option(`${qid}: ${text}`, text.trim())));
  by("topics").hidden = !found.length;
}

// The id of the topic that a query is, if it is one; the list shows it.
function judgedTopic(query) {
  const qid = topics.get(query);
  by("topic").value = qid === undefined ? "" : query;
  return qid;
}

function chooseTopic() {
  if (!by("topic").value) return;
  by("query").value = by("topic").value;
  search();
}

function nextTopic(step) {
  const list = by("topic");
  const next = list.selectedIndex + step;
  if (next < 1 || next >= list.options.length) return;
  list.selectedIndex = next;
  chooseTopic();
}
