package io.hypserini;

import java.io.IOException;
import java.util.HashSet;
import java.util.Set;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.PostingsEnum;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.BytesRefHash;

/**
 * The docids added since the last commit, kept to find duplicates.
 *
 * <p>Within the interval a duplicate is found when it is added; against what is committed, when the
 * interval ends. So memory follows the interval, not the collection.
 *
 * <p>Deleting a docid kills every earlier document of that name, committed or not. Hence a docid in
 * {@code deleted} cannot clash with what is committed, and one in {@code vacant} may be added again
 * although the hash still holds it.
 */
final class IntervalDocids {
  private BytesRefHash added = new BytesRefHash();
  private final Set<BytesRef> deleted = new HashSet<>();
  private final Set<BytesRef> vacant = new HashSet<>();

  void add(BytesRef docid) {
    if (added.add(docid) < 0 && !vacant.remove(docid)) {
      throw new DuplicateDocid(docid.utf8ToString());
    }
  }

  void delete(BytesRef docid) {
    BytesRef own = BytesRef.deepCopyOf(docid);
    deleted.add(own);
    if (added.find(own) >= 0) {
      vacant.add(own);
    }
  }

  boolean isEmpty() {
    return added.size() == 0;
  }

  /**
   * Throws if a docid of the interval lives in the committed index too. May be called once: sorting
   * uses up the hash, so {@link #clear} must follow.
   */
  void checkAgainst(DirectoryReader committed) throws IOException {
    if (committed.numDocs() == 0) {
      return;
    }
    int count = added.size();
    int[] sorted = added.sort();
    for (LeafReaderContext leaf : committed.leaves()) {
      check(sorted, count, leaf.reader());
    }
  }

  /** Walks the two sorted lists at once: the next term of the segment says how far to skip ours. */
  private void check(int[] sorted, int count, LeafReader segment) throws IOException {
    Terms terms = segment.terms(Fields.ID);
    if (terms == null) {
      return;
    }
    TermsEnum existing = terms.iterator();
    BytesRef docid = new BytesRef();
    int i = lowerBound(sorted, 0, count, terms.getMin());
    while (i < count) {
      switch (existing.seekCeil(added.get(sorted[i], docid))) {
        case END -> i = count;
        case NOT_FOUND -> i = lowerBound(sorted, i + 1, count, existing.term());
        case FOUND -> {
          if (!deleted.contains(docid) && lives(existing, segment.getLiveDocs())) {
            throw new DuplicateDocid(docid.utf8ToString());
          }
          i++;
        }
      }
    }
  }

  /** The first of sorted[from..to) that is not below {@code bound}; gallops, for it is often near. */
  private int lowerBound(int[] sorted, int from, int to, BytesRef bound) {
    BytesRef docid = new BytesRef();
    int low = from;
    int high = from;
    for (int step = 1; high < to && added.get(sorted[high], docid).compareTo(bound) < 0; step *= 2) {
      low = high + 1;
      high = (int) Math.min(to, (long) high + step);
    }
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (added.get(sorted[middle], docid).compareTo(bound) < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  private static boolean lives(TermsEnum term, Bits liveDocs) throws IOException {
    PostingsEnum documents = term.postings(null, PostingsEnum.NONE);
    for (int doc; (doc = documents.nextDoc()) != PostingsEnum.NO_MORE_DOCS; ) {
      if (liveDocs == null || liveDocs.get(doc)) {
        return true;
      }
    }
    return false;
  }

  void clear() {
    added.close();
    added = new BytesRefHash();
    deleted.clear();
    vacant.clear();
  }
}
