package io.hypserini;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * Shared buffers of finished searches, kept for the next: direct memory is freed only when the
 * garbage collector happens to run, and thousands of short searches would fill it before that.
 */
final class BufferPool {
  private static final int MOST_KEPT = 24;

  private final List<SharedBuffer> kept = new ArrayList<>();

  synchronized SharedBuffer borrow(long size) {
    for (Iterator<SharedBuffer> each = kept.iterator(); each.hasNext(); ) {
      SharedBuffer buffer = each.next();
      if (buffer.size() >= size && buffer.size() <= 2 * size + 4096) {
        each.remove();
        return buffer;
      }
    }
    return new SharedBuffer(size);
  }

  synchronized void giveBack(SharedBuffer buffer) {
    kept.add(buffer);
    if (kept.size() > MOST_KEPT) {
      kept.remove(0);
    }
  }
}
