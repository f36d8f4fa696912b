package io.hypserini;

import java.io.IOException;
import org.apache.lucene.codecs.hnsw.HnswGraphProvider;
import org.apache.lucene.codecs.KnnVectorsReader;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.KnnVectorValues;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.util.hnsw.HnswGraph;

/** What differs between the Lucene lines, here for 10.x: vectors by ordinal, and their graph. */
final class LuceneLine {
  /** Anserini's vector format without a graph. */
  static final String FLAT_FORMAT = "Anserini20FlatVectorsFormat";

  private LuceneLine() {}

  /** The array is shared and overwritten by the next call: copy it at once. */
  static float[] vector(FloatVectorValues values, int ordinal) throws IOException {
    return values.vectorValue(ordinal);
  }

  static int ordToDoc(FloatVectorValues values, int ordinal) {
    return values.ordToDoc(ordinal);
  }

  /** The documents that have a vector, in a segment's own numbers. */
  static DocIdSetIterator documents(FloatVectorValues values) {
    return values.iterator();
  }

  /** The vector of the document that {@link #documents} is at; the array is shared. */
  static float[] current(FloatVectorValues values, DocIdSetIterator documents) throws IOException {
    return values.vectorValue(((KnnVectorValues.DocIndexIterator) documents).index());
  }

  /** The graph over the vectors of a field, or null where the format has none. */
  static HnswGraph graph(KnnVectorsReader reader, String field) throws IOException {
    return reader instanceof HnswGraphProvider provider ? provider.getGraph(field) : null;
  }
}
