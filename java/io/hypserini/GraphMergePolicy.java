package io.hypserini;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.lucene.index.MergePolicy;
import org.apache.lucene.index.MergeTrigger;
import org.apache.lucene.index.SegmentCommitInfo;
import org.apache.lucene.index.SegmentInfos;
import org.apache.lucene.index.TieredMergePolicy;

/**
 * Merges so that every vector is put into a graph once.
 *
 * <p>Segments are flushed without a graph ({@link VectorCodec}). A merge takes over the graph of its
 * largest segment and puts the vectors of the others into it, by all threads. So those without are
 * merged into the last that has one, if it still has room, as soon as together they are as large:
 * what is copied for it then stays within twice the index. Segments that have graphs are merged in tiers,
 * as ever.
 */
final class GraphMergePolicy extends TieredMergePolicy {
  /** Segments without a graph that are left to wait for more. */
  private static final int MOST_FLAT = 10;

  /** A graph that is so many times larger than what is to be put into it is not copied for that. */
  private static final long TOO_LARGE = 8;

  private volatile boolean isLast;

  /** From now on no segment waits for others to get its graph. */
  void waitNoLonger() {
    isLast = true;
  }

  /** Whether a segment is as it was flushed, without a graph. */
  static boolean isFlat(SegmentCommitInfo segment) {
    return "flush".equals(segment.info.getDiagnostics().get("source"));
  }

  @Override
  public MergeSpecification findMerges(
      MergeTrigger trigger, SegmentInfos segments, MergeContext context) throws IOException {
    SegmentInfos graphs = new SegmentInfos(segments.getIndexCreatedVersionMajor());
    List<SegmentCommitInfo> flat = new ArrayList<>();
    Set<SegmentCommitInfo> merging = context.getMergingSegments();
    for (SegmentCommitInfo segment : segments) {
      if (!isFlat(segment)) {
        graphs.add(segment);
      } else if (!merging.contains(segment)) {
        flat.add(segment);
      }
    }
    // While a merge goes on, its graph is not there to be extended.
    MergeSpecification found = merging.isEmpty() ? extendGraph(flat, graphs, context) : null;
    return found == null ? super.findMerges(trigger, graphs, context) : found;
  }

  private MergeSpecification extendGraph(
      List<SegmentCommitInfo> flat, SegmentInfos graphs, MergeContext context)
      throws IOException {
    double most = getMaxMergedSegmentMB() * (1 << 20);
    List<SegmentCommitInfo> taken = new ArrayList<>();
    long size = 0;
    for (SegmentCommitInfo segment : flat) {
      long more = size(segment, context);
      if (taken.isEmpty() || size + more <= most) {
        taken.add(segment);
        size += more;
      }
    }
    // The last one, so that documents keep their order.
    SegmentCommitInfo base = graphs.size() == 0 ? null : graphs.info(graphs.size() - 1);
    long baseSize = base == null ? 0 : size(base, context);
    if (baseSize + size > most) {
      base = null;
      baseSize = 0;
    }
    if (taken.isEmpty() || (!isLast && flat.size() < MOST_FLAT && size < baseSize)) {
      return null;
    }
    if (base != null && baseSize <= TOO_LARGE * size) {
      taken.add(0, base);
    }
    MergeSpecification one = new MergeSpecification();
    one.add(new OneMerge(taken));
    return one;
  }
}
