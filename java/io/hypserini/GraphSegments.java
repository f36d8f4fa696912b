package io.hypserini;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.lucene.index.LeafReaderContext;

/** All segments that have vectors, with one numbering of the vectors over all of them. */
final class GraphSegments {
  final List<GraphSegment> all = new ArrayList<>();
  /** Vectors, and those of them that may be returned. */
  final int size;
  final int acceptedCount;

  GraphSegments(Index index, Filter filter) throws IOException {
    int base = 0;
    int accepted = 0;
    for (LeafReaderContext leaf : index.reader().leaves()) {
      GraphSegment segment = GraphSegment.of(index, leaf, filter, base);
      if (segment != null) {
        all.add(segment);
        base += segment.size;
        accepted += segment.acceptedCount;
      }
    }
    size = base;
    acceptedCount = accepted;
  }

  /** The segment that holds the vector of a number over all segments. */
  GraphSegment of(int number) {
    int low = 0;
    for (int high = all.size() - 1; low < high; ) {
      int middle = (low + high + 1) >>> 1;
      if (all.get(middle).ordinalBase <= number) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return all.get(low);
  }

  /** The number of a document's vector, or -1 if it has none. */
  int numberOf(int doc) {
    for (GraphSegment segment : all) {
      int ordinal = segment.ordinalOf(doc);
      if (ordinal >= 0) {
        return segment.ordinalBase + ordinal;
      }
    }
    return -1;
  }

  /**
   * Copies the vectors of ascending numbers, unless vectors is null, and their documents' numbers
   * into rows from 0 on.
   */
  void handAll(int[] numbers, int from, int count, FloatBuffer vectors, IntBuffer docs)
      throws IOException {
    if (vectors != null) {
      prefetch(numbers, from, count);
    }
    for (int row = 0; row < count; row++) {
      hand(numbers[from + row], row, vectors, docs);
    }
  }

  /** Has the system read ahead what is about to be read, segment by segment. */
  private void prefetch(int[] numbers, int from, int count) throws IOException {
    for (int start = from, end = from + count, next; start < end; start = next) {
      GraphSegment segment = of(numbers[start]);
      int last = segment.ordinalBase + segment.size;
      next = start + 1;
      while (next < end && segment.ordinalBase <= numbers[next] && numbers[next] < last) {
        next++;
      }
      int[] ordinals = Arrays.copyOfRange(numbers, start, next);
      for (int i = 0; i < ordinals.length; i++) {
        ordinals[i] -= segment.ordinalBase;
      }
      LuceneLine.prefetch(segment.reader, segment.values, ordinals);
    }
  }

  /** Copies a vector, unless vectors is null, and its document's number into a row. */
  void hand(int number, int row, FloatBuffer vectors, IntBuffer docs) throws IOException {
    GraphSegment segment = of(number);
    int ordinal = number - segment.ordinalBase;
    if (vectors != null) {
      float[] vector = segment.vector(ordinal);
      vectors.put(row * vector.length, vector);
    }
    docs.put(row, segment.doc(ordinal));
  }
}
