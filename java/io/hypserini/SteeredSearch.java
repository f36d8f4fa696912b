package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.apache.lucene.util.hnsw.NeighborQueue;

/**
 * Finds the unseen vectors nearest to a direction, over all segments, several times with changing
 * directions.
 *
 * <p>Invariant: between calls, every vector that was returned is marked as seen, and no other; what
 * a segment's search keeps for the next call is its own affair ({@link SegmentWalk}).
 */
final class SteeredSearch {
  private final GraphSegments segments;
  private final List<SegmentSearch> searches;

  /** @param byFormat by Lucene's own search, see {@link FormatSearch}, else by raw floats */
  SteeredSearch(GraphSegments segments, boolean byFormat) {
    this.segments = segments;
    this.searches =
        segments.all.stream()
            .map(one -> of(one, byFormat))
            .toList();
  }

  private static SegmentSearch of(GraphSegment segment, boolean byFormat) {
    return byFormat ? new FormatSearch(segment) : new SegmentWalk(segment);
  }

  /**
   * The numbers of the nearest vectors, ascending, which are marked as seen. There are fewer than
   * {@code count} only if no others are left.
   *
   * @param ef vectors kept while these are looked for: more find what is nearest more surely
   */
  int[] nearest(Direction direction, int count, int ef) throws IOException {
    int wanted = Math.min(count, segments.size);
    int kept = Math.max(wanted, Math.min(ef, segments.size));
    NeighborQueue best = new NeighborQueue(Math.max(1, wanted), false);
    for (int i = 0; wanted > 0 && i < searches.size(); i++) {
      gather(searches.get(i), direction, wanted, kept, best);
    }
    int[] numbers = Arrays.copyOf(best.nodes(), best.size());
    Arrays.sort(numbers); // the files are read forwards
    for (int number : numbers) {
      GraphSegment segment = segments.of(number);
      segment.see(number - segment.ordinalBase);
    }
    return numbers;
  }

  /**
   * Adds what is best of one segment to the best of all. A segment's part of them is about its part
   * of the vectors, so it is searched for little more than that; where all that is found belongs to
   * the best, there may be more, and the search goes on to as many as if it were the only segment.
   */
  private void gather(
      SegmentSearch search, Direction direction, int count, int ef, NeighborQueue best)
      throws IOException {
    if (search.segment().unseenCount() == 0) {
      return;
    }
    search.turn(direction, ef);
    int part = part(ef, search.segment().size);
    NeighborQueue found = search.nearest(Math.min(count, part), part);
    boolean isCut = part < ef && found.size() >= part;
    if (isCut && (best.size() < count || found.topScore() > best.topScore())) {
      found = search.nearest(count, ef);
    }
    while (found.size() > 0) {
      float score = found.topScore();
      best.insertWithOverflow(search.segment().ordinalBase + found.pop(), score);
    }
  }

  /** How many of {@code all} a segment holds, hardly ever more: three deviations above the mean. */
  private int part(int all, int size) {
    double mean = all * (double) size / segments.size;
    return (int) Math.min(all, Math.ceil(mean + 3 * Math.sqrt(mean)) + 16);
  }
}
