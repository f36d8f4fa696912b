package io.hypserini;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.MultiTerms;
import org.apache.lucene.index.PostingsEnum;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.FixedBitSet;

/**
 * What a search over vectors that lie on a device still asks the index for: the docids of the best
 * documents, and which documents a filter lets through.
 */
public final class Resident {
  private Resident() {}

  /** The docids of documents by number, little-endian int32, as {@link Texts}. */
  public static byte[] docids(Index index, byte[] numbers) throws IOException {
    int[] docs = new int[numbers.length / Integer.BYTES];
    ByteBuffer.wrap(numbers).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(docs);
    return Texts.pack(Arrays.asList(new Docids(index.reader().leaves()).of(docs)));
  }

  /** The numbers of all documents in the order of their docids, little-endian int32. */
  public static byte[] inOrder(Index index) throws IOException {
    int count = index.maxDoc();
    ByteBuffer numbers = ByteBuffer.allocate(Integer.BYTES * count).order(ByteOrder.LITTLE_ENDIAN);
    FixedBitSet met = new FixedBitSet(Math.max(1, count));
    Terms docids = MultiTerms.getTerms(index.reader(), Fields.ID);
    if (docids != null) {
      TermsEnum each = docids.iterator();
      PostingsEnum postings = null;
      while (each.next() != null) {
        postings = each.postings(postings, PostingsEnum.NONE);
        for (int doc; (doc = postings.nextDoc()) != PostingsEnum.NO_MORE_DOCS; ) {
          if (!met.getAndSet(doc)) {
            numbers.putInt(doc);
          }
        }
      }
    }
    for (int doc = 0; doc < count; doc++) { // of indexes of others, whose docids are only stored
      if (!met.get(doc)) {
        numbers.putInt(doc);
      }
    }
    return numbers.array();
  }

  /** One bit for each document number, the lowest first: whether a filter lets it through. */
  public static byte[] accepted(Index index, Filter filter) {
    byte[] bits = new byte[(index.maxDoc() + 7) / 8];
    for (LeafReaderContext leaf : index.reader().leaves()) {
      Bits accepted = Filter.accepted(leaf, filter);
      for (int local = 0; local < leaf.reader().maxDoc(); local++) {
        if (accepted == null || accepted.get(local)) {
          int doc = leaf.docBase + local;
          bits[doc >> 3] |= (byte) (1 << (doc & 7));
        }
      }
    }
    return bits;
  }
}
