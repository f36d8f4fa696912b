package io.hypserini;

import java.io.IOException;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.KnnVectorValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.search.DocIdSetIterator;

/** What differs between the Lucene lines, here for 10.x: reading vectors by ordinal. */
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

  /** The vector of one document of a segment, or null if it has none. */
  static float[] vectorOf(LeafReader reader, String field, int doc) throws IOException {
    FloatVectorValues values = reader.getFloatVectorValues(field);
    if (values == null) {
      return null;
    }
    KnnVectorValues.DocIndexIterator documents = values.iterator();
    return documents.advance(doc) == doc ? values.vectorValue(documents.index()) : null;
  }
}
