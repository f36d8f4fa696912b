package io.hypserini;

import java.io.IOException;
import java.nio.FloatBuffer;

/**
 * Hands out, each time, the unseen documents nearest to a direction by inner product: tangent
 * search. For one query.
 *
 * <p>The caller writes the direction into {@link #direction} and says with {@link #fetch} how many
 * it wants; the next {@link #next} hands them out. If the caller goes on long enough, every
 * document is handed out once.
 */
public final class Nearest extends Candidates {
  private final GraphSegments segments;
  private SteeredSearch search; // made with the first fetch
  private final SharedBuffer shared;
  private final FloatBuffer direction;
  private int count;
  private int ef;
  private boolean byAngle;

  private Nearest(Lease lease, int k, int block, Filter filter) throws IOException {
    super(lease, 1, k, block);
    shared = lease.borrow(4L * dimension);
    direction = shared.floats();
    segments = new GraphSegments(index, filter);
  }

  /**
   * @param filter null: all documents
   */
  public static Nearest open(Index index, int k, int block, Filter filter) throws IOException {
    return Lease.hold(index, lease -> new Nearest(lease, k, block, filter));
  }

  /** Shared with the caller: the direction. */
  public SharedBuffer direction() {
    return shared;
  }

  /**
   * The next block: at most {@code count} documents, the best of {@code ef} that are found.
   *
   * @param byFormat where the field's similarity ranks by the direction; the same for all blocks
   */
  public void fetch(int count, int ef, boolean byAngle, boolean byFormat) {
    if (search == null) {
      search = new SteeredSearch(segments, byFormat);
    }
    this.byAngle = byAngle;
    this.count = Math.min(count, block);
    this.ef = ef;
  }

  @Override
  protected int fill() throws IOException {
    float[] steering = new float[dimension];
    direction.get(0, steering);
    int[] numbers = search.nearest(new Direction(steering, byAngle), count, ef);
    segments.handAll(numbers, 0, numbers.length, vectors, docs);
    return numbers.length;
  }
}
