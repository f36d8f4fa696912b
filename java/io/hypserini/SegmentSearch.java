package io.hypserini;

import java.io.IOException;
import org.apache.lucene.util.hnsw.NeighborQueue;

/**
 * Finds the open vectors of one segment that are nearest to a direction, several times with changing
 * directions. Scores of one kind of search and one direction are comparable over all segments.
 */
interface SegmentSearch {
  GraphSegment segment();

  /** Ranks by this direction from now on; {@code ef} is the most that will be asked for. */
  void turn(Direction direction, int ef) throws IOException;

  /** The best {@code ef} open vectors, the worst on top; at least {@code wanted}, if there are. */
  NeighborQueue nearest(int wanted, int ef) throws IOException;
}
