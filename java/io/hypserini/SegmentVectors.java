package io.hypserini;

import java.io.Closeable;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.util.Bits;

/**
 * A cursor over the live vectors of one segment that a filter lets through, in the order of their
 * documents. Until it is closed, the system reads ahead in them.
 */
final class SegmentVectors implements Closeable {
  private final FloatVectorValues values; // null if the segment has no vectors
  private final Bits accepted; // null: all
  private final int docBase;
  private final Closeable reading;
  private int ordinal;

  SegmentVectors(LeafReaderContext leaf, Filter filter) throws IOException {
    values = leaf.reader().getFloatVectorValues(Fields.VECTOR);
    accepted = Filter.accepted(leaf, filter);
    docBase = leaf.docBase;
    reading = LuceneLine.readAhead(leaf.reader());
  }

  /**
   * Copies vectors, unless they are null, and document numbers to rows from..to; returns the row
   * after the last.
   */
  int read(FloatBuffer vectors, IntBuffer docs, int from, int to) throws IOException {
    if (values == null) {
      return from;
    }
    int dimension = values.dimension();
    int row = from;
    for (int size = values.size(); row < to && ordinal < size; ordinal++) {
      int doc = LuceneLine.ordToDoc(values, ordinal);
      if (accepted == null || accepted.get(doc)) {
        if (vectors != null) {
          vectors.put(row * dimension, LuceneLine.vector(values, ordinal));
        }
        docs.put(row, docBase + doc);
        row++;
      }
    }
    return row;
  }

  @Override
  public void close() throws IOException {
    reading.close();
  }
}
