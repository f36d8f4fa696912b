package io.hypserini;

import java.nio.FloatBuffer;

/** What is looked for in a block of vectors before any of it is added to an index. */
final class BlockChecks {
  private BlockChecks() {}

  /** Refuses a vector with a component that is not a number or infinite. */
  static void finite(FloatBuffer vectors, int count, int dimension, Texts ids) {
    for (int i = 0; i < count; i++) {
      float sum = 0; // x - x is 0 for finite x, NaN otherwise
      for (int j = i * dimension, end = j + dimension; j < end; j++) {
        sum += vectors.get(j) - vectors.get(j);
      }
      if (sum != 0) {
        throw new Refused(
            "the vector of document " + ids.string(i) + " has a component that is not a number or"
                + " infinite: nothing of its block was indexed.");
      }
    }
  }

  /** What has no angle cannot be quantised by it; Lucene would notice only when it merges. */
  static void angles(FloatBuffer vectors, int count, int dimension, Texts ids) {
    for (int i = 0; i < count; i++) {
      float squares = 0;
      for (int j = i * dimension, end = j + dimension; j < end; j++) {
        squares += vectors.get(j) * vectors.get(j);
      }
      if (squares == 0) {
        throw new Refused(
            "the vector of document " + ids.string(i) + " has the length 0, and so no angle to"
                + " quantise: leave it out, or index with --vectors hnsw. Nothing of its block was"
                + " indexed.");
      }
    }
  }
}
