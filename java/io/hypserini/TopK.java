package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
import org.apache.lucene.util.BytesRef;

/**
 * The best k documents of one query: by score, descending, and at equal scores by docid, ascending.
 *
 * <p>A binary heap with the worst on top. Docids are looked up only when two scores are equal, and
 * kept with the entry from then on, so that even thousands of ties cost one lookup each.
 */
final class TopK {
  private final int k;
  private final Docids docids;
  private int size;
  private float[] scores = new float[16];
  private int[] docs = new int[16];
  private BytesRef[] names = new BytesRef[16]; // null where not looked up

  TopK(int k, Docids docids) {
    this.k = k;
    this.docids = docids;
  }

  /** A score below this cannot enter. */
  float worst() {
    return size < k ? Float.NEGATIVE_INFINITY : scores[0];
  }

  void offer(int doc, float score) throws IOException {
    if (size < k) {
      grow();
      place(size, doc, score, null);
      size++;
      up(size - 1);
      return;
    }
    if (score < scores[0]) {
      return;
    }
    BytesRef name = null;
    if (score == scores[0]) {
      name = docids.of(doc);
      if (name.compareTo(name(0)) >= 0) {
        return;
      }
    }
    place(0, doc, score, name);
    down(0);
  }

  int size() {
    return size;
  }

  /** The documents, in no order. */
  int[] docs() {
    return Arrays.copyOf(docs, size);
  }

  /** The best few documents; at equal scores those that come first in the index. */
  int[] best(int few) {
    int[] order =
        order(
            (a, b) -> scores[a] == scores[b] ? Integer.compare(docs[a], docs[b])
                : Float.compare(scores[b], scores[a]));
    return Arrays.stream(order).limit(few).map(i -> docs[i]).toArray();
  }

  /**
   * Writes out documents and scores, best first, and returns the docids. The heap stays as it is.
   */
  BytesRef[] ranked(int[] docsOut, float[] scoresOut) throws IOException {
    for (int i : order((a, b) -> Integer.compare(docs[a], docs[b]))) {
      name(i);
    }
    int[] order =
        order(
            (a, b) -> scores[a] == scores[b] ? names[a].compareTo(names[b])
                : Float.compare(scores[b], scores[a]));
    BytesRef[] ranked = new BytesRef[size];
    for (int i = 0; i < size; i++) {
      docsOut[i] = docs[order[i]];
      scoresOut[i] = scores[order[i]];
      ranked[i] = names[order[i]];
    }
    return ranked;
  }

  private int[] order(Comparator<Integer> by) {
    return IntStream.range(0, size).boxed().sorted(by).mapToInt(Integer::intValue).toArray();
  }

  private BytesRef name(int i) throws IOException {
    if (names[i] == null) {
      names[i] = docids.of(docs[i]);
    }
    return names[i];
  }

  private boolean worse(int a, int b) throws IOException {
    return scores[a] == scores[b] ? name(a).compareTo(name(b)) > 0 : scores[a] < scores[b];
  }

  private void up(int i) throws IOException {
    for (int parent; i > 0 && worse(i, parent = (i - 1) >>> 1); i = parent) {
      swap(i, parent);
    }
  }

  private void down(int i) throws IOException {
    for (int child; (child = 2 * i + 1) < size; i = child) {
      if (child + 1 < size && worse(child + 1, child)) {
        child++;
      }
      if (!worse(child, i)) {
        return;
      }
      swap(i, child);
    }
  }

  private void swap(int a, int b) {
    float score = scores[a];
    int doc = docs[a];
    BytesRef name = names[a];
    place(a, docs[b], scores[b], names[b]);
    place(b, doc, score, name);
  }

  private void place(int i, int doc, float score, BytesRef name) {
    docs[i] = doc;
    scores[i] = score;
    names[i] = name;
  }

  private void grow() {
    if (size == scores.length) {
      int capacity = (int) Math.min(k, 2L * size);
      scores = Arrays.copyOf(scores, capacity);
      docs = Arrays.copyOf(docs, capacity);
      names = Arrays.copyOf(names, capacity);
    }
  }
}
