package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.util.hnsw.NeighborQueue;

/**
 * Searches one segment by Lucene's own search in its format, which in a quantised one looks at the
 * quantised copy alone. It ranks by the similarity of the field, so it is for directions that this
 * ranks by. Every search begins anew, at the entries and at what the last one found, for
 * directions change little.
 *
 * <p>Where so few vectors are open that looking at all of them is cheaper, that is done.
 */
final class FormatSearch implements SegmentSearch {
  private final GraphSegment segment;
  private float[] target;
  private int[] entries; // null until the first search
  private int[] last = new int[0]; // what the last one found

  FormatSearch(GraphSegment segment) {
    this.segment = segment;
  }

  @Override
  public GraphSegment segment() {
    return segment;
  }

  @Override
  public void turn(Direction direction, int ef) {
    target = direction.vector();
  }

  @Override
  public NeighborQueue nearest(int wanted, int ef) throws IOException {
    int left = segment.unseenCount();
    int kept = Math.max(1, Math.min(ef, left));
    NeighborQueue found = new NeighborQueue(kept, false);
    if (left > SegmentWalk.looks(segment, ef) || segment.graph == null) {
      ScoreDoc[] hits =
          LuceneLine.nearest(
              segment.reader, target, kept, segment.openDocuments(), left, beginnings());
      last = new int[hits.length];
      for (int i = 0; i < hits.length; i++) {
        last[i] = segment.localOrdinal(hits[i].doc);
        found.insertWithOverflow(last[i], hits[i].score);
      }
    }
    if (found.size() < Math.min(wanted, left)) { // or what is open does not hang together
      found.clear();
      segment.forEachOpen(
          node ->
              found.insertWithOverflow(
                  node, segment.similarity.compare(target, segment.vector(node))));
    }
    return found;
  }

  private int[] beginnings() throws IOException {
    if (entries == null) {
      entries = segment.entries();
    }
    return IntStream.concat(Arrays.stream(entries), Arrays.stream(last))
        .sorted()
        .distinct()
        .toArray();
  }
}
