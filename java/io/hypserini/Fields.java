package io.hypserini;

import org.apache.lucene.index.VectorSimilarityFunction;

/** The names that Anserini gives to its fields, and the similarities by which a graph is built. */
final class Fields {
  /** The document id: a stored string, and doc values that break ties of equal scores. */
  static final String ID = "id";

  /** The analyzed text, with positions; not stored. */
  static final String CONTENTS = "contents";

  /** The document as it was read, stored. */
  static final String RAW = "raw";

  /** The document vector. */
  static final String VECTOR = "vector";

  private Fields() {}

  static VectorSimilarityFunction similarity(String name) {
    return switch (name) {
      case "l2" -> VectorSimilarityFunction.EUCLIDEAN;
      case "cosine" -> VectorSimilarityFunction.COSINE;
      case "inner_product" -> VectorSimilarityFunction.MAXIMUM_INNER_PRODUCT;
      default -> throw new IllegalArgumentException(name);
    };
  }

  static String nameOf(VectorSimilarityFunction similarity) {
    return switch (similarity) {
      case EUCLIDEAN -> "l2";
      case MAXIMUM_INNER_PRODUCT -> "inner_product";
      case DOT_PRODUCT -> "dot_product";
      case COSINE -> "cosine";
    };
  }
}
