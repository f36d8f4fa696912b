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
  private final SteeredSearch search;
  private final SharedBuffer shared;
  private final FloatBuffer direction;
  private final float[] steering;
  private int count;
  private int ef;
  private boolean closed;

  /** @param filter null: all documents */
  public Nearest(Index index, int k, int block, Filter filter) throws IOException {
    super(index, 1, k, block);
    shared = index.buffers().borrow(4L * dimension);
    direction = shared.floats();
    steering = new float[dimension];
    segments = new GraphSegments(index, filter);
    search = new SteeredSearch(segments);
  }

  /** Shared with the caller: the direction, and what {@link #bestPoint} leaves. */
  public SharedBuffer direction() {
    return shared;
  }

  /** The next block: at most {@code count} documents, the best of {@code ef} that are found. */
  public void fetch(int count, int ef) {
    this.count = Math.min(count, block);
    this.ef = ef;
  }

  @Override
  protected int fill() throws IOException {
    direction.get(0, steering);
    int[] numbers = search.nearest(steering, count, ef);
    for (int row = 0; row < numbers.length; row++) {
      segments.hand(numbers[row], row, vectors, docs);
    }
    return numbers.length;
  }

  /** Writes the mean vector of the best few documents into the shared direction. */
  public void bestPoint(int few) throws IOException {
    direction.put(0, meanOfBest(0, few));
  }

  @Override
  public void close() throws IOException {
    if (!closed) {
      closed = true;
      index.buffers().giveBack(shared);
      super.close();
    }
  }
}
