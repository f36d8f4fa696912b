package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.util.ArrayUtil;
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
 * <p>What was looked at in a segment is its pool. Directions change little, so the next searches rank
 * anew the best of the pool and go on from there, which is much cheaper than another search.
 */
final class SteeredSearch {
  /**
   * What a search in a graph costs for each vector that it keeps, in vectors looked at in a row: it
   * looks at about 12, here and there in the file.
   */
  private static final int LOOKS = 16;

  /** Nodes of an upper level that are looked at, at most, unless the highest has more. */
  private static final int ENTRIES = 1024;

  /** So many times the vectors that are wanted are ranked anew. */
  private static final int RANKED = 4;

  /** So many times the vectors that are wanted are kept where all of a segment were looked at. */
  private static final int KEPT = 16;

  private final GraphSegments segments;
  private final Map<GraphSegment, Pool> pools = new HashMap<>();
  private final NeighborQueue frontier = new NeighborQueue(256, true);
  private boolean byAngle;
  private int searches;

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
    searches++;
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
    Pool pool = pools.get(segment);
    NeighborQueue found = null;
    if (pool != null) {
      found = walk(segment, direction, ef, pool);
    } else {
      pool = new Pool(segment.size);
      pools.put(segment, pool);
      if (segment.graph != null && looks(segment, ef) < segment.acceptedCount) {
        enter(segment, direction, ef, pool);
        found = walk(segment, direction, ef, pool);
      }
    }
    if (found == null || found.size() < wanted) {
      // No graph, or what counts does not hang together: look at all of it.
      found = scan(segment, direction, Math.max(ef, KEPT * wanted), pool);
    }
    return found;
  }

  private static long looks(GraphSegment segment, int ef) {
    return (long) LOOKS * ef * segment.size / Math.max(1, segment.unseenCount());
  }

  private NeighborQueue scan(GraphSegment segment, float[] direction, int ef, Pool pool)
      throws IOException {
    NeighborQueue best = new NeighborQueue(ef, false);
    for (int node = 0; node < segment.size; node++) {
      if (!segment.isSeen(node) && segment.accepts(node)) {
        best.insertWithOverflow(node, segment.product(direction, node, byAngle));
      }
    }
    pool.search = searches;
    pool.size = 0;
    NeighborQueue kept = new NeighborQueue(ef, false);
    while (best.size() > 0) {
      float score = best.topScore();
      int node = best.pop();
      pool.visited.set(node);
      pool.add(node, score);
      kept.add(node, score);
    }
    return kept;
  }

  private NeighborQueue walk(GraphSegment segment, float[] direction, int ef, Pool pool)
      throws IOException {
    frontier.clear();
    NeighborQueue best = new NeighborQueue(ef, false);
    boolean turned = pool.search != searches;
    pool.search = searches;
    for (int i : pool.best(RANKED * ef, segment)) {
      int node = pool.nodes[i];
      if (turned) {
        pool.scores[i] = segment.product(direction, node, byAngle);
      }
      rank(segment, node, pool.scores[i], best, pool);
    }
    while (segment.graph != null
        && frontier.size() > 0
        && !(best.size() >= ef && frontier.topScore() < best.topScore())) {
      expand(segment, frontier.pop(), direction, ef, best, pool);
    }
    return best;
  }

  private void expand(
      GraphSegment segment, int at, float[] direction, int ef, NeighborQueue best, Pool pool)
      throws IOException {
    pool.expanded.set(at);
    segment.graph.seek(0, at);
    for (int node; (node = segment.graph.nextNeighbor()) != DocIdSetIterator.NO_MORE_DOCS; ) {
      visit(segment, node, direction, ef, best, pool);
    }
    BackLinks back = segment.back;
    for (int link = back.first(at); link != BackLinks.NONE; link = back.next(link)) {
      visit(segment, back.target(link), direction, ef, best, pool);
    }
  }

  private void visit(
      GraphSegment segment, int node, float[] direction, int ef, NeighborQueue best, Pool pool)
      throws IOException {
    if (!pool.visited.getAndSet(node)) {
      float score = segment.product(direction, node, byAngle);
      pool.add(node, score);
      if (best.size() < ef || score > best.topScore()) {
        rank(segment, node, score, best, pool);
      }
    }
  }

  private void rank(
      GraphSegment segment, int node, float score, NeighborQueue best, Pool pool) {
    if (!pool.expanded.get(node)) {
      frontier.add(node, score);
    }
    if (!segment.isSeen(node) && segment.accepts(node)) {
      best.insertWithOverflow(node, score);
    }
  }

  /**
   * Meets the best nodes of the lowest level that has not too many. Several entries, not one:
   * documents that are nearly equal, of which collections are full, make islands that few edges lead
   * to.
   */
  private void enter(GraphSegment segment, float[] direction, int ef, Pool pool)
      throws IOException {
    HnswGraph graph = segment.graph;
    int level = graph.numLevels() - 1;
    while (level > 1 && graph.getNodesOnLevel(level - 1).size() <= ENTRIES) {
      level--;
    }
    pool.search = searches;
    if (level == 0) {
      int node = graph.entryNode();
      pool.meet(node, segment.product(direction, node, byAngle));
      return;
    }
    NeighborQueue best = new NeighborQueue(Math.max(1, ef / 4), false);
    HnswGraph.NodesIterator nodes = graph.getNodesOnLevel(level);
    while (nodes.hasNext()) {
      int node = nodes.nextInt();
      best.insertWithOverflow(node, segment.product(direction, node, byAngle));
    }
    while (best.size() > 0) {
      float score = best.topScore();
      pool.meet(best.pop(), score);
    }
  }

  /** What was looked at in a segment, and its last known scores. */
  private static final class Pool {
    final FixedBitSet visited;
    final FixedBitSet expanded;
    int[] nodes = new int[1024];
    float[] scores = new float[1024];
    int size;
    /** The search that used it last, whose direction its best scores belong to. */
    int search;

    Pool(int vectors) {
      visited = new FixedBitSet(vectors);
      expanded = new FixedBitSet(vectors);
    }

    void meet(int node, float score) {
      if (!visited.getAndSet(node)) {
        add(node, score);
      }
    }

    void add(int node, float score) {
      nodes = ArrayUtil.grow(nodes, size + 1);
      scores = ArrayUtil.grow(scores, size + 1);
      nodes[size] = node;
      scores[size++] = score;
    }

    /** Positions of the best that can be handed out or lead on; drops all that can do neither. */
    int[] best(int most, GraphSegment segment) {
      NeighborQueue best = new NeighborQueue(most, false);
      int kept = 0;
      for (int i = 0; i < size; i++) {
        int node = nodes[i];
        boolean counts = !segment.isSeen(node) && segment.accepts(node);
        if (counts || (segment.graph != null && !expanded.get(node))) {
          nodes[kept] = node;
          scores[kept] = scores[i];
          best.insertWithOverflow(kept, scores[kept]);
          kept++;
        }
      }
      size = kept;
      return best.nodes();
    }
  }
}
