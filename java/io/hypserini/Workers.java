package io.hypserini;

import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Threads that share a piece of work. */
final class Workers implements Closeable {
  /** One thread's part of the work. */
  interface Part {
    void run(int worker) throws IOException;
  }

  private final int count;
  private final ExecutorService threads;

  Workers(int count, String name) {
    this.count = count;
    this.threads =
        Executors.newFixedThreadPool(
            count,
            task -> {
              Thread thread = new Thread(task, name);
              thread.setDaemon(true);
              return thread;
            });
  }

  /**
   * Runs a part in each thread and returns when all have ended, whatever becomes of any of them: no
   * part goes on with what the caller shares with it. An interrupt is passed on only then.
   */
  void run(Part part) throws IOException {
    List<Future<?>> parts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int worker = i;
      parts.add(
          threads.submit(
              () -> {
                part.run(worker);
                return null;
              }));
    }
    ExecutionException first = null;
    boolean interrupted = false;
    for (int i = 0; i < count; ) {
      try {
        parts.get(i++).get();
      } catch (ExecutionException e) {
        first = first == null ? e : first;
      } catch (InterruptedException e) {
        interrupted = true;
        i--;
      }
    }
    if (interrupted || Thread.currentThread().isInterrupted()) { // the parts may have been quicker
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while documents were added");
    }
    // What these mean is known by their class.
    if (first != null && first.getCause() instanceof Error error) {
      throw error;
    }
    if (first != null && first.getCause() instanceof Refused refused) {
      throw refused;
    }
    if (first != null) {
      throw new IOException(first.getCause());
    }
  }

  /** The threads themselves, for tasks that wait for no others. */
  ExecutorService executor() {
    return threads;
  }

  @Override
  public void close() {
    threads.shutdown();
  }
}
