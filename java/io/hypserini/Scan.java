package io.hypserini;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.Iterator;
import org.apache.lucene.index.LeafReaderContext;

/** Hands out every live vector that a filter lets through once: exhaustive search, exact. */
public final class Scan extends Candidates {
  private final Iterator<LeafReaderContext> segments;
  private final Filter filter;
  private SegmentVectors segment; // null before the first

  private Scan(Lease lease, int queries, int k, int block, Filter filter) {
    super(lease, queries, k, block);
    this.filter = filter;
    segments = index.reader().leaves().iterator();
    lease.closes(this::leave);
  }

  /** @param filter null: all documents */
  public static Scan open(Index index, int queries, int k, int block, Filter filter)
      throws IOException {
    return Lease.hold(index, lease -> new Scan(lease, queries, k, block, filter));
  }

  @Override
  protected int fill() throws IOException {
    return fill(vectors, block);
  }

  /** Passes over so many of the documents that would be handed out next. */
  public void skip(long count) throws IOException {
    long left = count;
    for (int passed; left > 0; left -= passed) {
      passed = fill(null, (int) Math.min(left, block));
      if (passed == 0) {
        return;
      }
    }
  }

  private int fill(FloatBuffer into, int most) throws IOException {
    int rows = segment == null ? 0 : segment.read(into, docs, 0, most);
    while (rows < most && segments.hasNext()) {
      leave();
      segment = new SegmentVectors(segments.next(), filter);
      rows = segment.read(into, docs, rows, most);
    }
    return rows;
  }

  private void leave() throws IOException {
    if (segment != null) {
      SegmentVectors left = segment;
      segment = null;
      left.close();
    }
  }
}
