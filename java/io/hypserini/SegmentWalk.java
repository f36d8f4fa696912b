package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.util.ArrayUtil;
import org.apache.lucene.util.SparseFixedBitSet;
import org.apache.lucene.util.hnsw.NeighborQueue;

/**
 * Searches one segment for the vectors nearest to a direction, several times: on from what it met.
 *
 * <p>In the graph by best-first search: from nodes of an upper level, always on from the best
 * unexpanded node, until it is worse than all of the {@code ef} best that are open, that is, may
 * still be handed out. Others lead on. Lucene's own searcher does the same by the similarity that the
 * graph was built with; a graph built by L2 serves inner products better than one built by them,
 * which is why this one exists. Where so few vectors are open that looking at all of them is
 * cheaper, or there is no graph, that is done.
 *
 * <p>Invariant: every score in the pool is by {@code direction}, and what was met is in the pool or
 * of no more use, being neither open nor unexpanded. A search leaves what it met there; {@link #turn}
 * scores the best of it anew and forgets the rest, for directions change little.
 */
final class SegmentWalk implements SegmentSearch {
  /**
   * What a search in a graph costs for each vector that it keeps, in vectors looked at in a row: it
   * looks at about 12, here and there in the file.
   */
  private static final int LOOKS = 16;

  /** So many times the vectors that are wanted are kept when the direction turns. */
  private static final int TURNED = 4;

  /** So many times the vectors that are wanted are kept of all that a scan looks at. */
  private static final int SCANNED = 16;

  private final GraphSegment segment;
  private final SparseFixedBitSet met;
  private final SparseFixedBitSet expanded;
  private int[] nodes = new int[0]; // the pool, in no order
  private float[] scores = new float[0];
  private int size;
  private Direction direction;
  private boolean isWalked; // in this direction; else all is looked at

  SegmentWalk(GraphSegment segment) {
    this.segment = segment;
    this.met = new SparseFixedBitSet(segment.size);
    this.expanded = new SparseFixedBitSet(segment.size);
  }

  @Override
  public GraphSegment segment() {
    return segment;
  }

  @Override
  public void turn(Direction direction, int ef) throws IOException {
    this.direction = direction;
    isWalked = segment.graph != null && looks(segment, ef) < segment.acceptedCount;
    boolean isScanned = segment.graph != null && !isWalked;
    keepBest(isScanned ? 0 : (int) Math.min(size, (long) TURNED * ef));
    for (int i = 0; i < size; i++) {
      scores[i] = segment.product(direction, nodes[i]);
    }
    if (isWalked && size == 0) {
      enter(ef);
    }
  }

  /** Vectors looked at in a row that a search in the graph costs as much as. */
  static long looks(GraphSegment segment, int ef) {
    return (long) LOOKS * ef * segment.size / Math.max(1, segment.unseenCount());
  }

  @Override
  public NeighborQueue nearest(int wanted, int ef) throws IOException {
    int left = segment.unseenCount();
    int kept = Math.max(1, Math.min(ef, left));
    NeighborQueue found = isWalked ? walk(kept) : bestOfPool(kept);
    if (found.size() < Math.min(wanted, left)) {
      isWalked = false; // what is open does not hang together
      scan((int) Math.min(left, Math.max(ef, (long) SCANNED * wanted)));
      found = bestOfPool(kept);
    }
    return found;
  }

  private NeighborQueue walk(int ef) throws IOException {
    NeighborQueue best = bestOfPool(ef);
    NeighborQueue frontier = new NeighborQueue(ef, true);
    for (int i = 0; i < size; i++) {
      if (!expanded.get(nodes[i])) {
        frontier.add(nodes[i], scores[i]);
      }
    }
    while (frontier.size() > 0 && (best.size() < ef || frontier.topScore() >= best.topScore())) {
      expand(frontier.pop(), ef, best, frontier);
    }
    return best;
  }

  private void expand(int node, int ef, NeighborQueue best, NeighborQueue frontier)
      throws IOException {
    expanded.set(node);
    segment.graph.seek(0, node);
    for (int next; (next = segment.graph.nextNeighbor()) != DocIdSetIterator.NO_MORE_DOCS; ) {
      visit(next, ef, best, frontier);
    }
  }

  private void visit(int node, int ef, NeighborQueue best, NeighborQueue frontier)
      throws IOException {
    if (meet(node)) {
      float score = scores[size - 1];
      if (best.size() < ef || score > best.topScore()) {
        frontier.add(node, score);
        if (segment.isOpen(node)) {
          best.insertWithOverflow(node, score);
        }
      }
    }
  }

  private void enter(int ef) throws IOException {
    for (int node : segment.entries()) {
      meet(node);
    }
    keepBest(Math.max(1, ef / 4));
  }

  /** Makes the pool the best {@code most} of all open vectors. */
  private void scan(int most) throws IOException {
    NeighborQueue best = new NeighborQueue(most, false);
    segment.forEachOpen(
        node -> best.insertWithOverflow(node, segment.product(direction, node)));
    keepBest(0);
    while (best.size() > 0) {
      float score = best.topScore();
      int node = best.pop();
      met.set(node);
      add(node, score);
    }
  }

  private NeighborQueue bestOfPool(int ef) {
    NeighborQueue best = new NeighborQueue(ef, false);
    for (int i = 0; i < size; i++) {
      if (segment.isOpen(nodes[i])) {
        best.insertWithOverflow(nodes[i], scores[i]);
      }
    }
    return best;
  }

  /** Takes a node into the pool, unless it was there before. */
  private boolean meet(int node) throws IOException {
    if (met.getAndSet(node)) {
      return false;
    }
    add(node, segment.product(direction, node));
    return true;
  }

  private void add(int node, float score) {
    nodes = ArrayUtil.grow(nodes, size + 1);
    scores = ArrayUtil.grow(scores, size + 1);
    nodes[size] = node;
    scores[size++] = score;
  }

  /** Forgets all of the pool but the best, and may meet it again. */
  private void keepBest(int most) {
    NeighborQueue best = new NeighborQueue(Math.max(1, most), false);
    for (int i = 0; i < size; i++) {
      if (isOfUse(nodes[i])) {
        met.clear(nodes[i]);
        if (most > 0) {
          best.insertWithOverflow(i, scores[i]);
        }
      }
    }
    int[] kept = best.nodes();
    Arrays.sort(kept);
    size = 0;
    for (int i : kept) {
      met.set(nodes[i]);
      add(nodes[i], scores[i]);
    }
  }

  private boolean isOfUse(int node) {
    return segment.isOpen(node) || (segment.graph != null && !expanded.get(node));
  }
}
