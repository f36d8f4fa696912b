package io.hypserini;

import java.nio.FloatBuffer;
import org.apache.lucene.index.VectorSimilarityFunction;

/**
 * By what a graph over given vectors is best built, told by how much their lengths differ.
 *
 * <p>Search goes by angles or inner products. Where all vectors are about equally long, L2 makes the
 * same neighbours as the angle and is computed in half the time. Where they are not, the short ones
 * are near to all others by L2: they keep those from each other's lists, and what is left is a
 * graph of few edges, in which every tenth document cannot be found.
 */
final class Lengths {
  /** Standard deviation over mean; at a tenth, L2 already loses 1 % of the nearest. */
  private static final double ALIKE = 0.05;

  private Lengths() {}

  /** @param vectors [count, dimension] */
  static VectorSimilarityFunction suit(FloatBuffer vectors, int count, int dimension) {
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < count; i++) {
      double square = 0;
      for (int j = i * dimension, end = j + dimension; j < end; j++) {
        square += (double) vectors.get(j) * vectors.get(j);
      }
      sum += Math.sqrt(square);
      squares += square;
    }
    double mean = sum / Math.max(1, count);
    double deviation = Math.sqrt(Math.max(0, squares / Math.max(1, count) - mean * mean));
    return deviation > ALIKE * mean
        ? VectorSimilarityFunction.COSINE
        : VectorSimilarityFunction.EUCLIDEAN;
  }
}
