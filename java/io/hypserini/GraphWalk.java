package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.util.ArrayUtil;
import org.apache.lucene.util.hnsw.HnswGraph;
import org.apache.lucene.util.hnsw.NeighborQueue;

/**
 * Walks the graph by the q-net's scores: Algorithm 1 of the Hypencoder paper (arXiv 2502.05364),
 * for one query.
 *
 * <p>A round hands out documents; when all of them are scored, the best {@code ncandidates} are
 * expanded, and their neighbours that were not met before are the next round's. The first round are
 * the entry points, and after them, as far as the budget goes, all documents of segments that have no
 * graph, or in which so few may be returned that the walk would not be worth it. Neighbours that may
 * not be returned are replaced by their own neighbours, so that no score is spent on them.
 *
 * <p>Invariant: what is seen was handed out or is in the round, after the first {@code handed} of it.
 */
public final class GraphWalk extends Candidates {
  private static final int FEW = 256;

  private final GraphSegments segments;
  private final SharedBuffer shared;
  private final int ncandidates;
  private final int maxIter;
  private final int patience;
  private final long maxScored;
  private final boolean onlyNew;
  private final int few; // documents of a segment that are all entered at

  /** Scored nodes that were not expanded, the best first. */
  private final NeighborQueue pool = new NeighborQueue(256, true);

  private int[] round = new int[256]; // numbers over all segments
  private int roundSize;
  private int handed; // of the round
  private int rounds;
  private int idle; // rounds in a row that brought nothing into the best k
  private boolean better;
  private boolean isBegun;
  private float before = Float.NEGATIVE_INFINITY; // what a score had to reach before the block

  private GraphWalk(
      Lease lease,
      int k,
      int block,
      Filter filter,
      int ncandidates,
      int maxIter,
      int patience,
      long maxScored,
      boolean onlyNew)
      throws IOException {
    super(lease, 1, k, block);
    this.ncandidates = ncandidates;
    this.maxIter = maxIter;
    this.patience = patience;
    this.maxScored = maxScored;
    this.onlyNew = onlyNew;
    shared = lease.borrow(4L * dimension);
    few = Math.max(k, FEW);
    segments = new GraphSegments(index, filter);
  }

  /**
   * @param filter null: all documents
   * @param ncandidates nodes expanded a round
   * @param maxIter rounds, that of the entry points included
   * @param patience rounds in a row that bring nothing new into the best k, and are the last; 0:
   *     none are
   * @param maxScored documents handed out, at most
   * @param onlyNew expand the best of the round alone, as the paper does, and not the best of all
   *     that are not expanded yet
   */
  public static GraphWalk open(
      Index index,
      int k,
      int block,
      Filter filter,
      int ncandidates,
      int maxIter,
      int patience,
      long maxScored,
      boolean onlyNew)
      throws IOException {
    return Lease.hold(
        index,
        lease ->
            new GraphWalk(
                lease, k, block, filter, ncandidates, maxIter, patience, maxScored, onlyNew));
  }

  /** Shared with the caller: the direction of {@link #enterNearest}. */
  public SharedBuffer direction() {
    return shared;
  }

  /** Enters at documents drawn by chance, the same for a seed. */
  public void enterRandom(int count, long seed) throws IOException {
    if (count >= segments.acceptedCount) {
      for (GraphSegment segment : segments.all) {
        enterAll(segment);
      }
      return;
    }
    SplittableRandom random = new SplittableRandom(seed);
    // Where few may be returned, most draws miss.
    long draws = 64L + 20L * count * segments.size / Math.max(1, segments.acceptedCount);
    for (int met = 0; met < count && draws > 0; draws--) {
      int number = random.nextInt(segments.size);
      GraphSegment segment = segments.of(number);
      met += meet(segment, number - segment.ordinalBase) ? 1 : 0;
    }
  }

  /** Enters at all nodes of the lowest level of each graph that has at most its share of so many. */
  public void enterLayer(int most) throws IOException {
    for (GraphSegment segment : segments.all) {
      if (segment.graph == null) {
        continue;
      }
      int share = (int) Math.max(1, (long) most * segment.size / segments.size);
      int level = segment.graph.numLevels() - 1;
      while (level > 0 && segment.graph.getNodesOnLevel(level - 1).size() <= share) {
        level--;
      }
      if (level == 0 && segment.size > share) {
        meetOrPass(segment, segment.graph.entryNode());
        continue;
      }
      HnswGraph.NodesIterator nodes = segment.graph.getNodesOnLevel(level);
      while (nodes.hasNext()) {
        meetOrPass(segment, nodes.nextInt());
      }
    }
  }

  /** Enters at the best documents for a text by BM25. */
  public void enterText(byte[] text, int count, Filter filter) throws IOException {
    int met = 0;
    for (int doc : Bm25Entries.best(index, Texts.single(text), count, filter)) {
      int number = segments.numberOf(doc);
      if (number >= 0) {
        GraphSegment segment = segments.of(number);
        met += meet(segment, number - segment.ordinalBase) ? 1 : 0;
      }
    }
  }

  /** Enters at the documents nearest to the direction. */
  public void enterNearest(int count, int ef, boolean byAngle, boolean byFormat)
      throws IOException {
    float[] steering = new float[dimension];
    shared.floats().get(0, steering);
    Direction direction = new Direction(steering, byAngle);
    for (int number : new SteeredSearch(segments, byFormat).nearest(direction, count, ef)) {
      plan(number);
    }
  }

  /** How many documents are to be entered at. */
  public int entries() {
    return roundSize;
  }

  public int rounds() {
    return rounds;
  }

  @Override
  protected int fill() throws IOException {
    if (!isBegun) {
      firstRound();
    } else if (handed == roundSize) {
      nextRound();
    }
    long budget = Math.min(block, maxScored - evaluations());
    int rows = (int) Math.max(0, Math.min(budget, roundSize - handed));
    segments.handAll(round, handed, rows, vectors, docs);
    before = worstScore(0);
    return rows;
  }

  @Override
  protected void scored(int count) {
    if (onlyNew && handed == 0) {
      pool.clear();
    }
    for (int row = 0; row < count; row++) {
      int number = round[handed + row];
      GraphSegment segment = segments.of(number);
      // Where all was met already, as in segments without a graph, nothing is to be expanded.
      if (segment.graph != null && segment.unseenCount() > 0) {
        pool.add(number, score(row));
      }
      better |= score(row) > before;
    }
    handed += count;
    if (handed == roundSize) {
      rounds++;
      idle = better ? 0 : idle + 1;
      better = false;
    }
  }

  /** Adds to the entry points what is entered anyway. */
  private void firstRound() throws IOException {
    isBegun = true;
    int entries = roundSize;
    Arrays.sort(round, 0, entries); // the files are read forwards
    for (GraphSegment segment : segments.all) {
      if (segment.graph == null || segment.acceptedCount <= few) {
        enterAll(segment);
      }
    }
    Arrays.sort(round, entries, roundSize);
  }

  /** Expands the best; where there is nothing to expand, the round is empty. */
  private void nextRound() throws IOException {
    roundSize = 0;
    handed = 0;
    boolean done = rounds >= maxIter || (patience > 0 && idle >= patience);
    for (int i = 0; !done && i < ncandidates && pool.size() > 0; i++) {
      int number = pool.pop();
      GraphSegment segment = segments.of(number);
      expand(segment, number - segment.ordinalBase, true);
    }
    Arrays.sort(round, 0, roundSize);
  }

  private void expand(GraphSegment segment, int node, boolean further) throws IOException {
    HnswGraph graph = segment.graph;
    graph.seek(0, node);
    int[] passed = {};
    int passedSize = 0;
    for (int next; (next = graph.nextNeighbor()) != DocIdSetIterator.NO_MORE_DOCS; ) {
      if (segment.accepts(next)) {
        meet(segment, next);
      } else {
        passed = ArrayUtil.grow(passed, passedSize + 1);
        passed[passedSize++] = next;
      }
    }
    // Seeking moves the graph's only cursor, so this comes after the neighbours are read.
    for (int i = 0; further && i < passedSize; i++) {
      expand(segment, passed[i], false);
    }
  }

  private void meetOrPass(GraphSegment segment, int node) throws IOException {
    if (segment.accepts(node)) {
      meet(segment, node);
    } else {
      expand(segment, node, true);
    }
  }

  /** Plans to hand out a node that was not met before and may be returned. */
  private boolean meet(GraphSegment segment, int node) {
    if (!segment.isOpen(node)) {
      return false;
    }
    segment.see(node);
    plan(segment.ordinalBase + node);
    return true;
  }

  private void enterAll(GraphSegment segment) throws IOException {
    segment.forEachOpen(node -> meet(segment, node));
  }

  private void plan(int number) {
    if (roundSize == round.length) {
      round = Arrays.copyOf(round, 2 * roundSize);
    }
    round[roundSize++] = number;
  }
}
