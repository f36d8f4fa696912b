package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.DocIdSetIterator;

/**
 * Reads the vectors of documents of the whole index, forwards.
 *
 * <p>Invariant: it stands at or behind the document sought last, so documents are sought in
 * ascending order.
 */
final class VectorCursor {
  private final List<LeafReaderContext> leaves;
  private int leaf = -1;
  private FloatVectorValues values; // null before the first segment, and where one has no vectors
  private DocIdSetIterator documents;

  VectorCursor(List<LeafReaderContext> leaves) {
    this.leaves = leaves;
  }

  /** Has the system read the vectors of ascending documents, as far as they have one, all at once. */
  void prefetch(int[] docs) throws IOException {
    int from = 0;
    for (LeafReaderContext context : leaves) {
      LeafReader reader = context.reader();
      int to = from;
      while (to < docs.length && docs[to] < context.docBase + reader.maxDoc()) {
        to++;
      }
      FloatVectorValues vectors = from < to ? reader.getFloatVectorValues(Fields.VECTOR) : null;
      if (vectors != null) {
        int[] ordinals =
            Arrays.stream(docs, from, to)
                .map(doc -> Vectors.ordinal(vectors, reader.maxDoc(), doc - context.docBase))
                .filter(ordinal -> ordinal >= 0)
                .toArray();
        LuceneLine.prefetch(reader, vectors, ordinals);
      }
      from = to;
    }
  }

  /** Goes on to a document; returns whether it has a vector. */
  boolean seek(int doc) throws IOException {
    while (leaf < 0 || doc >= leaves.get(leaf).docBase + leaves.get(leaf).reader().maxDoc()) {
      leaf++;
      values = leaves.get(leaf).reader().getFloatVectorValues(Fields.VECTOR);
      documents = values == null ? null : LuceneLine.documents(values);
    }
    if (documents == null) {
      return false;
    }
    int local = doc - leaves.get(leaf).docBase;
    int at = documents.docID();
    return (at < local ? documents.advance(local) : at) == local;
  }

  /** The vector of the document that was found; the array is shared. */
  float[] vector() throws IOException {
    return LuceneLine.current(values, documents);
  }
}
