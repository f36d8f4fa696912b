package io.hypserini;

import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * What one search holds of an index: a reference to its reader, and shared buffers.
 *
 * <p>Invariant: all of it is given back exactly once, by {@link #close}; a search that could not be
 * made holds nothing.
 */
final class Lease implements Closeable {
  final Index index;
  private final List<SharedBuffer> borrowed = new ArrayList<>();
  private Closeable search = () -> {};
  private boolean closed;

  private Lease(Index index) {
    this.index = index;
    index.reader().incRef();
  }

  /** How a search is made of what it may hold. */
  interface Making<T> {
    T of(Lease lease) throws IOException;
  }

  /** Makes a search, which closes the lease at its end; if making it fails, the lease is closed. */
  static <T> T hold(Index index, Making<T> making) throws IOException {
    Lease lease = new Lease(index);
    try {
      return making.of(lease);
    } catch (Throwable e) {
      lease.close();
      throw e;
    }
  }

  SharedBuffer borrow(long bytes) {
    SharedBuffer buffer = index.buffers().borrow(bytes);
    borrowed.add(buffer);
    return buffer;
  }

  /** What the search itself has to close, before the index may be. */
  void closes(Closeable search) {
    this.search = search;
  }

  @Override
  public void close() throws IOException {
    if (!closed) {
      closed = true;
      try {
        search.close();
      } finally {
        borrowed.forEach(index.buffers()::giveBack);
        index.reader().decRef();
      }
    }
  }
}
