package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.PostingsEnum;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.MSBRadixSorter;

/**
 * Hands out the vectors of given documents, each once: reranking.
 *
 * <p>They come in the order of the index and not in the order given: the files are read forwards,
 * and if all documents are given, the blocks are those of a {@link Scan}.
 */
public final class DocList extends Candidates {
  private final List<LeafReaderContext> leaves;
  private final int[] missing;
  private final long[] found; // document << 32 | position of its docid, ascending
  private int next;
  private int leaf = -1;
  private FloatVectorValues values;
  private DocIdSetIterator documents;

  /**
   * @param docids the documents' ids, all different, as {@link Texts}
   * @param filter leaves out all other documents, which are not missing; null: none
   */
  public DocList(Index index, int queries, int k, int block, byte[] docids, Filter filter)
      throws IOException {
    super(index, queries, k, block);
    leaves = index.reader().leaves();
    try {
      int[] docs = resolve(leaves, new Texts(docids));
      found = withVector(docs, filter);
      missing = IntStream.range(0, docs.length).filter(i -> docs[i] < 0).toArray();
    } catch (IOException | RuntimeException e) {
      close();
      throw e;
    }
  }

  /** Positions of the given docids that no live document with a vector has, ascending. */
  public int[] missing() {
    return missing;
  }

  /** Ranks the best documents of a query; returns the positions of their docids. */
  public int[] hitPositions(int query) throws IOException {
    rank(query);
    int[] docs = hitDocs();
    int[] positions = new int[docs.length];
    for (int i = 0; i < docs.length; i++) {
      int at = Arrays.binarySearch(found, (long) docs[i] << 32);
      positions[i] = (int) found[at < 0 ? ~at : at];
    }
    return positions;
  }

  /** The live document of each docid, or -1. Terms are sought in their order. */
  static int[] resolve(List<LeafReaderContext> leaves, Texts docids) throws IOException {
    BytesRef[] terms = new BytesRef[docids.count()];
    Arrays.setAll(terms, docids::utf8);
    int[] order = order(terms);
    int[] docs = new int[terms.length];
    Arrays.fill(docs, -1);
    for (LeafReaderContext context : leaves) {
      LeafReader segment = context.reader();
      Terms indexed = segment.terms(Fields.ID);
      if (indexed == null || segment.getFloatVectorValues(Fields.VECTOR) == null) {
        continue;
      }
      TermsEnum seek = indexed.iterator();
      PostingsEnum postings = null;
      Bits live = segment.getLiveDocs();
      for (int i : order) {
        if (docs[i] < 0 && seek.seekExact(terms[i])) {
          postings = seek.postings(postings, PostingsEnum.NONE);
          for (int doc; (doc = postings.nextDoc()) != PostingsEnum.NO_MORE_DOCS; ) {
            if (live == null || live.get(doc)) {
              docs[i] = context.docBase + doc;
            }
          }
        }
      }
    }
    return docs;
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

  /** What is handed out, as {@link #found}; documents that have no vector become -1. */
  private long[] withVector(int[] docs, Filter filter) throws IOException {
    long[] sorted = new long[docs.length];
    int count = 0;
    for (int i = 0; i < docs.length; i++) {
      if (docs[i] >= 0) {
        sorted[count++] = (long) docs[i] << 32 | i;
      }
    }
    Arrays.sort(sorted, 0, count);
    int kept = 0;
    for (int i = 0; i < count; i++) {
      int doc = (int) (sorted[i] >>> 32);
      if (!seek(doc)) {
        docs[(int) sorted[i]] = -1;
      } else if (accepts(filter, doc)) {
        sorted[kept++] = sorted[i];
      }
    }
    leaf = -1; // fill begins anew
    return Arrays.copyOf(sorted, kept);
  }

  private boolean accepts(Filter filter, int doc) {
    if (filter == null) {
      return true;
    }
    LeafReaderContext context = leaves.get(ReaderUtil.subIndex(doc, leaves));
    return Filter.accepted(context, filter).get(doc - context.docBase);
  }

  /** Goes on to the vector of a document; false if it has none. */
  private boolean seek(int doc) throws IOException {
    while (leaf < 0 || doc >= leaves.get(leaf).docBase + leaves.get(leaf).reader().maxDoc()) {
      leaf++;
      values = leaves.get(leaf).reader().getFloatVectorValues(Fields.VECTOR);
      documents = values == null ? null : LuceneLine.documents(values);
    }
    int local = doc - leaves.get(leaf).docBase;
    if (documents == null) {
      return false;
    }
    int at = documents.docID();
    return (at < local ? documents.advance(local) : at) == local;
  }

  @Override
  protected int fill() throws IOException {
    int rows = 0;
    for (; rows < block && next < found.length; rows++, next++) {
      int doc = (int) (found[next] >>> 32);
      if (!seek(doc)) {
        throw new IllegalStateException("document " + doc + " lost its vector");
      }
      vectors.put(rows * dimension, LuceneLine.current(values, documents));
      docs.put(rows, doc);
    }
    return rows;
  }
}
