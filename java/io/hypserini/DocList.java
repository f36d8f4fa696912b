package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.ReaderUtil;

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
  private final VectorCursor cursor;
  private int next;

  private DocList(Lease lease, int queries, int k, int block, byte[] docids, Filter filter)
      throws IOException {
    super(lease, queries, k, block);
    leaves = index.reader().leaves();
    int[] docs = Docids.find(leaves, new Texts(docids));
    found = withVector(docs, filter);
    missing = IntStream.range(0, docs.length).filter(i -> docs[i] < 0).toArray();
    cursor = new VectorCursor(leaves);
  }

  /**
   * @param docids the documents' ids, all different, as {@link Texts}
   * @param filter leaves out all other documents, which are not missing; null: none
   */
  public static DocList open(
      Index index, int queries, int k, int block, byte[] docids, Filter filter)
      throws IOException {
    return Lease.hold(
        index, lease -> new DocList(lease, queries, k, block, docids, filter));
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
    VectorCursor vectors = new VectorCursor(leaves);
    int kept = 0;
    for (int i = 0; i < count; i++) {
      int doc = (int) (sorted[i] >>> 32);
      if (!vectors.seek(doc)) {
        docs[(int) sorted[i]] = -1;
      } else if (accepts(filter, doc)) {
        sorted[kept++] = sorted[i];
      }
    }
    return Arrays.copyOf(sorted, kept);
  }

  private boolean accepts(Filter filter, int doc) {
    if (filter == null) {
      return true;
    }
    LeafReaderContext context = leaves.get(ReaderUtil.subIndex(doc, leaves));
    return Filter.accepted(context, filter).get(doc - context.docBase);
  }

  @Override
  protected int fill() throws IOException {
    int count = Math.min(block, found.length - next);
    int[] documents = new int[count];
    for (int row = 0; row < count; row++) {
      documents[row] = (int) (found[next + row] >>> 32);
    }
    cursor.prefetch(documents);
    for (int row = 0; row < count; row++) {
      if (!cursor.seek(documents[row])) {
        throw new IllegalStateException("document " + documents[row] + " lost its vector");
      }
      vectors.put(row * dimension, cursor.vector());
      docs.put(row, documents[row]);
    }
    next += count;
    return count;
  }
}
