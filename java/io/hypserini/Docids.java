package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.PostingsEnum;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.MSBRadixSorter;

/**
 * From documents to their docids, and back. Many are looked up at once, in the order of the index:
 * doc values and terms are read forwards.
 *
 * <p>Invariant: the doc values that are open stand at or before the document that was looked up
 * last in their segment; to go back, they are opened again. Not thread safe.
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

  /** What is told of each live document that has one of the docids. */
  interface Found {
    /**
     * @param position of the docid
     * @param local the document's number in its segment
     * @return whether that was enough, and no other segment need be searched for the docid
     */
    boolean accept(int position, LeafReaderContext leaf, int local);
  }

  /** The live document of each docid, or -1; one of them, where a foreign index has several. */
  static int[] find(List<LeafReaderContext> leaves, Texts docids) throws IOException {
    int[] docs = new int[docids.count()];
    Arrays.fill(docs, -1);
    find(
        leaves,
        docids,
        (position, leaf, local) -> {
          docs[position] = leaf.docBase + local;
          return true;
        });
    return docs;
  }

  /** Tells of all live documents of the docids, segment by segment. */
  static void find(List<LeafReaderContext> leaves, Texts docids, Found found) throws IOException {
    BytesRef[] terms = new BytesRef[docids.count()];
    Arrays.setAll(terms, docids::utf8);
    int[] order = order(terms);
    boolean[] enough = new boolean[terms.length];
    for (LeafReaderContext leaf : leaves) {
      Terms indexed = leaf.reader().terms(Fields.ID);
      if (indexed == null) {
        continue;
      }
      TermsEnum seek = indexed.iterator();
      PostingsEnum postings = null;
      Bits live = leaf.reader().getLiveDocs();
      for (int i : order) {
        if (!enough[i] && seek.seekExact(terms[i])) {
          postings = seek.postings(postings, PostingsEnum.NONE);
          for (int doc; (doc = postings.nextDoc()) != PostingsEnum.NO_MORE_DOCS; ) {
            if (live == null || live.get(doc)) {
              enough[i] = found.accept(i, leaf, doc);
            }
          }
        }
      }
    }
  }

  /** The positions of terms, sorted by them. */
  private static int[] order(BytesRef[] terms) {
    int[] order = new int[terms.length];
    int longest = 0;
    for (int i = 0; i < terms.length; i++) {
      order[i] = i;
      longest = Math.max(longest, terms[i].length);
    }
    new MSBRadixSorter(longest) {
      @Override
      protected int byteAt(int i, int at) {
        BytesRef term = terms[order[i]];
        return at < term.length ? term.bytes[term.offset + at] & 0xff : -1;
      }

      @Override
      protected void swap(int i, int j) {
        int swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
      }
    }.sort(0, order.length);
    return order;
  }
}
