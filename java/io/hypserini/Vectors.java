package io.hypserini;

import java.io.IOException;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.FixedBitSet;

/**
 * Counts the vectors of a segment that are in a set of its documents, and finds them by their
 * documents. Where every document has a vector, nothing is looked at one by one.
 */
final class Vectors {
  private Vectors() {}

  /** How many vectors a segment holds, deleted ones included. */
  static int size(LeafReader reader) throws IOException {
    FloatVectorValues values = reader.getFloatVectorValues(Fields.VECTOR);
    return values == null ? 0 : values.size();
  }

  /** How many vectors belong to live documents. */
  static int live(LeafReader reader) throws IOException {
    int size = size(reader);
    Bits live = reader.getLiveDocs();
    if (live == null) {
      return size;
    }
    if (size == reader.maxDoc()) {
      return reader.numDocs();
    }
    FloatVectorValues values = reader.getFloatVectorValues(Fields.VECTOR);
    int count = 0;
    for (int ordinal = 0; ordinal < size; ordinal++) {
      count += live.get(LuceneLine.ordToDoc(values, ordinal)) ? 1 : 0;
    }
    return count;
  }

  /** How many vectors belong to the documents of a set. */
  static int in(LeafReader reader, FixedBitSet documents) throws IOException {
    int size = size(reader);
    if (size == reader.maxDoc()) {
      return documents.cardinality();
    }
    if (size == 0) {
      return 0;
    }
    FloatVectorValues values = reader.getFloatVectorValues(Fields.VECTOR);
    int count = 0;
    for (int doc = -1; (doc = next(documents, doc + 1)) != DocIdSetIterator.NO_MORE_DOCS; ) {
      count += ordinal(values, reader.maxDoc(), doc) >= 0 ? 1 : 0;
    }
    return count;
  }

  /** The first document of a set from one on, or NO_MORE_DOCS. */
  static int next(FixedBitSet documents, int from) {
    return from >= documents.length() ? DocIdSetIterator.NO_MORE_DOCS : documents.nextSetBit(from);
  }

  /** The ordinal of a document's vector, or -1 if it has none. */
  static int ordinal(FloatVectorValues values, int maxDoc, int doc) {
    if (values.size() == maxDoc) {
      return doc;
    }
    int high = Math.min(doc, values.size() - 1); // an ordinal is never above its document
    for (int low = 0; low <= high; ) {
      int middle = (low + high) >>> 1;
      int at = LuceneLine.ordToDoc(values, middle);
      if (at == doc) {
        return middle;
      }
      if (at < doc) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return -1;
  }
}
