package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.util.BytesRef;

/**
 * Looks up the docid of a document. Cheapest in ascending order: doc values only move forward, and
 * are opened again to go back. Not thread safe.
 */
final class Docids {
  private static final Set<String> ONLY_ID = Set.of(Fields.ID);

  private final List<LeafReaderContext> leaves;
  private final BinaryDocValues[] open;

  Docids(List<LeafReaderContext> leaves) {
    this.leaves = leaves;
    this.open = new BinaryDocValues[leaves.size()];
  }

  /** The docids of documents in any order; they are looked up in that of the index. */
  BytesRef[] of(int[] docs) throws IOException {
    long[] forwards = new long[docs.length];
    Arrays.setAll(forwards, i -> (long) docs[i] << 32 | i);
    Arrays.sort(forwards);
    BytesRef[] docids = new BytesRef[docs.length];
    for (long one : forwards) {
      docids[(int) one] = of((int) (one >>> 32));
    }
    return docids;
  }

  /** Returns a copy of its own. */
  BytesRef of(int doc) throws IOException {
    int leaf = ReaderUtil.subIndex(doc, leaves);
    LeafReader reader = leaves.get(leaf).reader();
    int local = doc - leaves.get(leaf).docBase;
    BinaryDocValues values = open[leaf];
    if (values == null || values.docID() > local) {
      values = reader.getBinaryDocValues(Fields.ID);
      open[leaf] = values;
    }
    if (values != null && values.advanceExact(local)) {
      return BytesRef.deepCopyOf(values.binaryValue());
    }
    String stored = reader.storedFields().document(local, ONLY_ID).get(Fields.ID);
    return new BytesRef(stored == null ? "" : stored);
  }
}
