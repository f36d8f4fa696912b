package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.util.FixedBitSet;
import org.apache.lucene.util.hnsw.HnswGraph;
import org.apache.lucene.util.hnsw.NeighborQueue;

/**
 * Finds the unseen vectors with the largest inner products with a direction, over all segments.
 *
 * <p>In a graph by best-first search: greedily down to its lowest level, then from the best
 * unexpanded node on, until it is worse than all of the {@code ef} best that count. Seen and
 * unaccepted nodes do not count, but lead on. Lucene's own searcher does the same by the similarity
 * that the graph was built with; a graph built by L2 serves inner products better than one built by
 * them, which is why this one exists. Without a graph, or where so few count that looking at all of
 * them is cheaper, exactly.
 */
final class SteeredSearch {
  /** Vectors that a search in a graph looks at for each that it keeps, roughly. */
  private static final int LOOKS = 8;

  private final GraphSegments segments;
  private final NeighborQueue frontier = new NeighborQueue(256, true);
  private FixedBitSet visited = new FixedBitSet(0);

  SteeredSearch(GraphSegments segments) {
    this.segments = segments;
  }

  /** The numbers of up to {@code count} vectors, ascending, which are marked as seen. */
  int[] nearest(float[] direction, int count, int ef) throws IOException {
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

  private NeighborQueue search(GraphSegment segment, float[] direction, int wanted, int ef)
      throws IOException {
    long looks = (long) LOOKS * ef * segment.size / Math.max(1, segment.unseenCount());
    if (segment.graph != null && looks < segment.acceptedCount) {
      NeighborQueue found = walk(segment, direction, ef);
      if (found.size() >= wanted) {
        return found;
      }
      // What counts does not hang together: look at all of it.
    }
    return scan(segment, direction, ef);
  }

  private NeighborQueue scan(GraphSegment segment, float[] direction, int ef) throws IOException {
    NeighborQueue best = new NeighborQueue(ef, false);
    for (int node = 0; node < segment.size; node++) {
      if (!segment.isSeen(node) && segment.accepts(node)) {
        best.insertWithOverflow(node, segment.product(direction, node));
      }
    }
    return best;
  }

  private NeighborQueue walk(GraphSegment segment, float[] direction, int ef) throws IOException {
    HnswGraph graph = segment.graph;
    clearVisited(segment.size);
    frontier.clear();
    NeighborQueue best = new NeighborQueue(ef, false);
    int entry = descend(segment, direction);
    visited.set(entry);
    meet(segment, entry, segment.product(direction, entry), best);
    while (frontier.size() > 0 && !(best.size() >= ef && frontier.topScore() < best.topScore())) {
      graph.seek(0, frontier.pop());
      for (int node; (node = graph.nextNeighbor()) != DocIdSetIterator.NO_MORE_DOCS; ) {
        if (!visited.getAndSet(node)) {
          float score = segment.product(direction, node);
          if (best.size() < ef || score > best.topScore()) {
            meet(segment, node, score, best);
          }
        }
      }
    }
    return best;
  }

  private void meet(GraphSegment segment, int node, float score, NeighborQueue best) {
    frontier.add(node, score);
    if (!segment.isSeen(node) && segment.accepts(node)) {
      best.insertWithOverflow(node, score);
    }
  }

  private int descend(GraphSegment segment, float[] direction) throws IOException {
    HnswGraph graph = segment.graph;
    int at = graph.entryNode();
    float score = segment.product(direction, at);
    for (int level = graph.numLevels() - 1; level > 0; level--) {
      for (boolean moved = true; moved; ) {
        moved = false;
        graph.seek(level, at);
        for (int node; (node = graph.nextNeighbor()) != DocIdSetIterator.NO_MORE_DOCS; ) {
          float other = segment.product(direction, node);
          if (other > score) {
            at = node;
            score = other;
            moved = true;
          }
        }
      }
    }
    return at;
  }

  private void clearVisited(int size) {
    if (visited.length() < size) {
      visited = new FixedBitSet(size);
    } else {
      visited.clear(0, visited.length());
    }
  }
}
