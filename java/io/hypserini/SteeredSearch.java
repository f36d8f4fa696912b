package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.util.FixedBitSet;
import org.apache.lucene.util.hnsw.HnswGraph;
import org.apache.lucene.util.hnsw.NeighborQueue;

/**
 * Finds the unseen vectors with the largest inner products with a direction, over all segments,
 * several times with changing directions.
 *
 * <p>In a graph by best-first search: from nodes of an upper level, always on from the best
 * unexpanded node, until it is worse than all of the {@code ef} best that count. Seen and unaccepted
 * nodes do not count, but lead on. Lucene's own searcher does the same by the similarity that the
 * graph was built with; a graph built by L2 serves inner products better than one built by them,
 * which is why this one exists. Without a graph, or where so few count that looking at all of them
 * is cheaper, exactly.
 *
 * <p>What the first search of a segment keeps is its pool. Directions change little, so the next
 * searches rank the pool anew and go on from it, which is much cheaper than another wide search.
 */
final class SteeredSearch {
  /**
   * What a search in a graph costs for each vector that it keeps, in vectors looked at in a row: it
   * looks at about 8, here and there in the file.
   */
  private static final int LOOKS = 16;

  /** Nodes of an upper level that are looked at, at most, unless the highest has more. */
  private static final int ENTRIES = 1024;

  private final GraphSegments segments;
  private final Map<GraphSegment, int[]> pools = new HashMap<>();
  private final NeighborQueue frontier = new NeighborQueue(256, true);
  private boolean byAngle;
  private FixedBitSet visited = new FixedBitSet(0);

  SteeredSearch(GraphSegments segments) {
    this.segments = segments;
  }

  /**
   * The numbers of the nearest vectors, ascending, which are marked as seen. There are fewer than
   * {@code count} only if no others are left.
   *
   * @param byAngle rank by the cosine with the direction
   */
  int[] nearest(float[] direction, int count, int ef, boolean byAngle) throws IOException {
    this.byAngle = byAngle;
    NeighborQueue merged = new NeighborQueue(Math.max(1, count), false);
    if (count > 0) {
      for (GraphSegment segment : segments.all) {
        gather(segment, direction, count, ef, merged);
      }
    }
    int[] numbers = Arrays.copyOf(merged.nodes(), merged.size());
    Arrays.sort(numbers); // the files are read forwards
    for (int number : numbers) {
      GraphSegment segment = segments.of(number);
      segment.see(number - segment.ordinalBase);
    }
    return numbers;
  }

  /**
   * Adds a segment's best to the merged ones. A segment's share of the best is about its share of
   * the vectors; where all it found belongs to the best, there may be more, and it is searched
   * again for as many as if it were the only one.
   */
  private void gather(
      GraphSegment segment, float[] direction, int count, int ef, NeighborQueue merged)
      throws IOException {
    int wanted = Math.min(count, segment.unseenCount());
    if (wanted == 0) {
      return;
    }
    int full = Math.max(count, ef);
    double share = full * (double) segment.size / segments.size;
    int some = (int) Math.min(full, Math.ceil(share + 3 * Math.sqrt(share)) + 16);
    NeighborQueue found = search(segment, direction, Math.min(wanted, some), some);
    boolean cut = found.size() >= some && some < full;
    if (cut && (merged.size() < count || found.topScore() > merged.topScore())) {
      found = search(segment, direction, wanted, full);
    }
    while (found.size() > 0) {
      float score = found.topScore();
      merged.insertWithOverflow(segment.ordinalBase + found.pop(), score);
    }
  }

  /** The best {@code ef} that count, the worst on top; at least {@code wanted}. */
  private NeighborQueue search(GraphSegment segment, float[] direction, int wanted, int ef)
      throws IOException {
    int[] pool = pools.get(segment);
    NeighborQueue found = null;
    if (pool != null) {
      found = walk(segment, direction, ef, pool);
    } else if (segment.graph != null && looks(segment, ef) < segment.acceptedCount) {
      found = walk(segment, direction, ef, entries(segment, direction, ef));
    }
    if (found == null || found.size() < wanted) {
      // No graph, or what counts does not hang together: look at all of it.
      found = scan(segment, direction, ef);
    }
    pools.put(segment, join(pool, found.nodes()));
    return found;
  }

  private static long looks(GraphSegment segment, int ef) {
    return (long) LOOKS * ef * segment.size / Math.max(1, segment.unseenCount());
  }

  private NeighborQueue scan(GraphSegment segment, float[] direction, int ef) throws IOException {
    NeighborQueue best = new NeighborQueue(ef, false);
    for (int node = 0; node < segment.size; node++) {
      if (!segment.isSeen(node) && segment.accepts(node)) {
        best.insertWithOverflow(node, segment.product(direction, node, byAngle));
      }
    }
    return best;
  }

  private NeighborQueue walk(GraphSegment segment, float[] direction, int ef, int[] entries)
      throws IOException {
    visited = FixedBitSet.ensureCapacity(visited, segment.size);
    visited.clear(0, visited.length());
    frontier.clear();
    NeighborQueue best = new NeighborQueue(ef, false);
    for (int node : entries) {
      if (!visited.getAndSet(node)) {
        meet(segment, node, segment.product(direction, node, byAngle), best);
      }
    }
    while (segment.graph != null
        && frontier.size() > 0
        && !(best.size() >= ef && frontier.topScore() < best.topScore())) {
      expand(segment, frontier.pop(), direction, ef, best);
    }
    return best;
  }

  private void expand(
      GraphSegment segment, int at, float[] direction, int ef, NeighborQueue best)
      throws IOException {
    segment.graph.seek(0, at);
    for (int node; (node = segment.graph.nextNeighbor()) != DocIdSetIterator.NO_MORE_DOCS; ) {
      visit(segment, node, direction, ef, best);
    }
    BackLinks back = segment.back;
    for (int link = back.first(at); link != BackLinks.NONE; link = back.next(link)) {
      visit(segment, back.target(link), direction, ef, best);
    }
  }

  private void visit(
      GraphSegment segment, int node, float[] direction, int ef, NeighborQueue best)
      throws IOException {
    if (!visited.getAndSet(node)) {
      float score = segment.product(direction, node, byAngle);
      if (best.size() < ef || score > best.topScore()) {
        meet(segment, node, score, best);
      }
    }
  }

  private void meet(GraphSegment segment, int node, float score, NeighborQueue best) {
    frontier.add(node, score);
    if (!segment.isSeen(node) && segment.accepts(node)) {
      best.insertWithOverflow(node, score);
    }
  }

  /**
   * The best nodes of the lowest level that has not too many. Several entries, not one: documents
   * that are nearly equal, of which collections are full, make islands that few edges lead to.
   */
  private int[] entries(GraphSegment segment, float[] direction, int ef)
      throws IOException {
    HnswGraph graph = segment.graph;
    int level = graph.numLevels() - 1;
    while (level > 1 && graph.getNodesOnLevel(level - 1).size() <= ENTRIES) {
      level--;
    }
    if (level == 0) {
      return new int[] {graph.entryNode()};
    }
    NeighborQueue best = new NeighborQueue(Math.max(1, ef / 4), false);
    HnswGraph.NodesIterator nodes = graph.getNodesOnLevel(level);
    while (nodes.hasNext()) {
      int node = nodes.nextInt();
      best.insertWithOverflow(node, segment.product(direction, node, byAngle));
    }
    return best.nodes();
  }

  private static int[] join(int[] some, int[] others) {
    if (some == null) {
      return others;
    }
    int[] joined = Arrays.copyOf(some, some.length + others.length);
    System.arraycopy(others, 0, joined, some.length, others.length);
    return joined;
  }
}
