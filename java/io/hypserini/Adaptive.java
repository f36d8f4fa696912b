package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.util.hnsw.HnswGraph;
import org.apache.lucene.util.hnsw.NeighborQueue;

/**
 * Hands out, in turn, the next of a given ranking and the neighbours in the graph of the best scored
 * so far, up to a budget: graph-based adaptive reranking (GAR, CIKM 2022, Algorithm 1), for one
 * query.
 *
 * <p>What the first stage missed is found where it is near to what the q-net likes.
 */
public final class Adaptive extends Candidates {
  private final GraphSegments segments;
  private final int[] given; // numbers over all segments, in the ranking's order; -1: not there
  private final int[] handedOut; // the rows of the block
  private final long budget;
  private final int batch;

  /** Scored nodes whose neighbours were not all handed out yet, the best first. */
  private final NeighborQueue sources = new NeighborQueue(256, true);

  private int[] frontier = new int[64]; // neighbours of one source
  private int frontierSize;
  private int nextGiven;
  private boolean turnOfGiven = true;

  private Adaptive(
      Lease lease, int k, int block, byte[] docids, Filter filter, int batch, long budget)
      throws IOException {
    super(lease, 1, k, block);
    this.batch = Math.min(batch, block);
    this.budget = budget;
    handedOut = new int[block];
    segments = new GraphSegments(index, filter);
    int[] docs = Docids.find(index.reader().leaves(), new Texts(docids));
    given = Arrays.stream(docs).map(doc -> doc < 0 ? -1 : segments.numberOf(doc)).toArray();
  }

  /**
   * @param docids a ranking, all different, as {@link Texts}
   * @param filter null: all documents
   * @param batch documents handed out in a turn
   * @param budget documents scored, at most
   */
  public static Adaptive open(
      Index index, int k, int block, byte[] docids, Filter filter, int batch, long budget)
      throws IOException {
    return Lease.hold(
        index, lease -> new Adaptive(lease, k, block, docids, filter, batch, budget));
  }

  /** Whether there is a graph to find neighbours in. */
  public boolean hasGraph() {
    return segments.all.stream().anyMatch(segment -> segment.graph != null);
  }

  /** Positions of the given docids that no live document with a vector has, ascending. */
  public int[] missing() {
    return IntStream.range(0, given.length).filter(i -> given[i] < 0).toArray();
  }

  /** Positions of the given documents that the budget left unscored, ascending. */
  public int[] unscored() {
    return IntStream.range(nextGiven, given.length)
        .filter(i -> given[i] >= 0 && isOpen(given[i]))
        .toArray();
  }

  @Override
  protected int fill() throws IOException {
    int room = (int) Math.max(0, Math.min(batch, budget - evaluations()));
    int rows = turnOfGiven ? fromRanking(room) : fromGraph(room);
    if (rows == 0) {
      rows = turnOfGiven ? fromGraph(room) : fromRanking(room);
    }
    turnOfGiven = !turnOfGiven;
    Arrays.sort(handedOut, 0, rows); // the files are read forwards
    segments.handAll(handedOut, 0, rows, vectors, docs);
    return rows;
  }

  @Override
  protected void scored(int count) {
    for (int row = 0; row < count; row++) {
      if (segments.of(handedOut[row]).graph != null) {
        sources.add(handedOut[row], score(row));
      }
    }
  }

  private int fromRanking(int room) {
    int rows = 0;
    for (; rows < room && nextGiven < given.length; nextGiven++) {
      if (given[nextGiven] >= 0 && take(given[nextGiven])) {
        handedOut[rows++] = given[nextGiven];
      }
    }
    return rows;
  }

  /** A neighbour's priority is the score of the best source that it is a neighbour of. */
  private int fromGraph(int room) throws IOException {
    int rows = 0;
    while (rows < room && sources.size() > 0) {
      float score = sources.topScore();
      int source = sources.pop();
      expand(source);
      int next = 0;
      for (; next < frontierSize && rows < room; next++) {
        if (take(frontier[next])) {
          handedOut[rows++] = frontier[next];
        }
      }
      if (next < frontierSize) {
        sources.add(source, score); // a better source may come before the rest of this one
      }
    }
    return rows;
  }

  /** Fills the frontier with the neighbours of a node. */
  private void expand(int number) throws IOException {
    frontierSize = 0;
    GraphSegment segment = segments.of(number);
    int node = number - segment.ordinalBase;
    HnswGraph graph = segment.graph;
    graph.seek(0, node);
    for (int next; (next = graph.nextNeighbor()) != DocIdSetIterator.NO_MORE_DOCS; ) {
      push(segment.ordinalBase + next);
    }
  }

  private void push(int number) {
    if (frontierSize == frontier.length) {
      frontier = Arrays.copyOf(frontier, 2 * frontierSize);
    }
    frontier[frontierSize++] = number;
  }

  /** May still be handed out. */
  private boolean isOpen(int number) {
    GraphSegment segment = segments.of(number);
    return segment.isOpen(number - segment.ordinalBase);
  }

  private boolean take(int number) {
    boolean open = isOpen(number);
    if (open) {
      GraphSegment segment = segments.of(number);
      segment.see(number - segment.ordinalBase);
    }
    return open;
  }
}
