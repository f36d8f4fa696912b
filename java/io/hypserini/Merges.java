package io.hypserini;

import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.Locale;
import java.util.concurrent.ExecutorService;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.index.ConcurrentMergeScheduler;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.SegmentCommitInfo;
import org.apache.lucene.index.TieredMergePolicy;

/**
 * How segments are merged while an index is written: in the background, one set of them at a time,
 * the graphs of each by several threads.
 *
 * <p>A second merge at the same time would double the memory and end no sooner. The threads are not
 * those that add documents: these may have to wait for a merge, which would then wait for them.
 */
final class Merges implements Closeable {
  private static final int MOST_WAITING = 6;
  private static final int NODE_BYTES = 128;
  private static final int NEIGHBOUR_BYTES = 8;
  private static final double LEAST_LARGEST_MB = 1024;

  private final Scheduler scheduler = new Scheduler();
  private final TieredMergePolicy policy;
  private final Workers workers; // null where one thread is enough
  private final int threads;
  private long nodeBytes; // of a graph's node on the heap; 0 without a graph

  Merges(int threads, boolean hasGraphs) {
    this.threads = threads;
    this.policy = hasGraphs ? new GraphMergePolicy() : new TieredMergePolicy();
    this.workers = threads == 1 ? null : new Workers(threads, "hypserini-merging");
  }

  KnnVectorsFormat format(String name, int m, int efConstruction) {
    ExecutorService executor = workers == null ? null : workers.executor();
    return VectorFormats.of(name, m, efConstruction, threads, executor);
  }

  /** A graph is merged on the heap: segments beyond what there is room for stay as they are. */
  void configure(IndexWriterConfig config, int m, int dimension) {
    policy.setNoCFSRatio(0);
    policy.setForceMergeDeletesPctAllowed(0);
    long bytes = NODE_BYTES + NEIGHBOUR_BYTES * 2L * m;
    nodeBytes = policy instanceof GraphMergePolicy ? bytes : 0;
    double nodes = Runtime.getRuntime().maxMemory() / 3.0 / bytes;
    double megabytes = nodes * Float.BYTES * dimension / (1 << 20);
    policy.setMaxMergedSegmentMB(Math.max(LEAST_LARGEST_MB, megabytes));
    config.setMergePolicy(policy);
    config.setMergeScheduler(scheduler);
  }

  /** Refuses to merge so many documents into one segment where the heap has no room for its graph. */
  void checkOneGraph(long documents) {
    long needed = documents * nodeBytes;
    long most = Runtime.getRuntime().maxMemory() / 5 * 4;
    if (needed > most) {
      throw new Refused(
          String.format(
              Locale.ROOT,
              "the graph of %,d documents takes about %,d MiB of Java's memory, of which there are"
                  + " %,d for it: give more (--memory), or do without --optimize.",
              documents, needed >> 20, most >> 20));
    }
  }

  /** Begins the merges by which the segments without a graph get one, if there are to be graphs. */
  void completeGraphs(IndexWriter writer) throws IOException {
    if (policy instanceof GraphMergePolicy graphs) {
      graphs.waitNoLonger();
      writer.maybeMerge();
    }
  }

  /** Waits for merges that are under way, at most so long; whether all have ended. */
  boolean await(IndexWriter writer, long milliseconds) throws IOException {
    long end = System.nanoTime() + milliseconds * 1_000_000;
    while (writer.isOpen() && (writer.hasPendingMerges() || scheduler.mergeThreadCount() > 0)) {
      if (System.nanoTime() > end) {
        return false;
      }
      try {
        Thread.sleep(10);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new InterruptedIOException("interrupted while segments were merged");
      }
    }
    return true;
  }

  /** Documents in the segments that are being merged. */
  static int documents(IndexWriter writer) {
    int count = 0;
    for (SegmentCommitInfo segment : writer.getMergingSegments()) {
      count += segment.info.maxDoc();
    }
    return count;
  }

  @Override
  public void close() {
    if (workers != null) {
      workers.close();
    }
  }

  /** Leaves a failed merge to the writer, which remembers it, and prints nothing. */
  private static final class Scheduler extends ConcurrentMergeScheduler {
    Scheduler() {
      setMaxMergesAndThreads(MOST_WAITING, 1);
      disableAutoIOThrottle();
    }

    @Override
    protected void handleMergeException(Throwable error) {}
  }
}
