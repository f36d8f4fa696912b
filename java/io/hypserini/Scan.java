package io.hypserini;

import java.io.IOException;
import java.util.Iterator;
import org.apache.lucene.index.LeafReaderContext;

/** Hands out every live vector once: exhaustive search, exact. */
public final class Scan extends Candidates {
  private final Iterator<LeafReaderContext> segments;
  private SegmentVectors segment; // null before the first

  public Scan(Index index, int queries, int k, int block) {
    super(index, queries, k, block);
    segments = index.reader().leaves().iterator();
  }

  @Override
  protected int fill() throws IOException {
    int rows = segment == null ? 0 : segment.read(vectors, docs, 0, block);
    while (rows < block && segments.hasNext()) {
      segment = new SegmentVectors(segments.next());
      rows = segment.read(vectors, docs, rows, block);
    }
    return rows;
  }
}
