package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.NumericUtils;

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

  /** Writes out documents and scores, best first. The heap stays as it is. */
  void ranked(int[] docsOut, float[] scoresOut) throws IOException {
    long[] keys = new long[size];
    Arrays.setAll(keys, i -> (long) descending(scores[i]) << 32 | i);
    Arrays.sort(keys);
    for (int from = 0, to; from < size; from = to) {
      to = from + 1;
      while (to < size && keys[to] >> 32 == keys[from] >> 32) {
        to++;
      }
      if (to - from > 1) {
        sortByName(keys, from, to);
      }
    }
    for (int rank = 0; rank < size; rank++) {
      docsOut[rank] = docs[(int) keys[rank]];
      scoresOut[rank] = scores[(int) keys[rank]];
    }
  }

  private void sortByName(long[] keys, int from, int to) throws IOException {
    Integer[] tied = new Integer[to - from];
    Arrays.setAll(tied, i -> (int) keys[from + i]);
    Arrays.sort(tied, (a, b) -> Integer.compare(docs[a], docs[b])); // looked up forwards
    for (int entry : tied) {
      name(entry);
    }
    Arrays.sort(tied, (a, b) -> names[a].compareTo(names[b]));
    for (int i = 0; i < tied.length; i++) {
      keys[from + i] = tied[i];
    }
  }

  /** A number that falls as the score rises, and is equal for equal scores. */
  private static int descending(float score) {
    return ~NumericUtils.floatToSortableInt(score + 0.0f); // -0 becomes 0
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
