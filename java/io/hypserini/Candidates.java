package io.hypserini;

import java.io.Closeable;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.Arrays;

/**
 * Hands out documents to score, block by block, and keeps the best k of each query.
 *
 * <p>The caller alternates {@link #next} and {@link #accept} until next returns 0, then asks for
 * {@link #hits}. Which documents come is what the subclasses differ in.
 *
 * <p>Shared with the caller: the vectors [block, dimension] and document numbers [block] of the
 * documents handed out, and their scores [queries, block] that the caller fills in. Valid until
 * {@link #close}. Not thread safe; an index may have any number of them at once.
 *
 * <p>Invariant: between next and accept, the first {@code handedOut} rows are of documents that were
 * never handed out before; the best k are of those that were accepted.
 */
public abstract class Candidates implements Closeable {
  protected final Index index;
  private final Lease lease;
  protected final int block;
  protected final int dimension;
  protected FloatBuffer vectors; // null where the caller has them
  protected final IntBuffer docs;
  private final SharedBuffer sharedVectors;
  private final SharedBuffer sharedDocs;
  private final SharedBuffer sharedScores;
  private final FloatBuffer scores;
  private final Docids docids;
  private final TopK[] best;
  private int handedOut;
  private int lastAccepted;
  private long evaluations;
  private int[] hitDocs = new int[0];
  private float[] hitScores = new float[0];

  /** @param lease is closed with this; what the subclass borrows of it, too */
  Candidates(Lease lease, int queries, int k, int block) {
    this.lease = lease;
    this.index = lease.index;
    this.block = block;
    this.dimension = index.dimension();
    sharedVectors = lease.borrow(4L * block * dimension);
    sharedDocs = lease.borrow(4L * block);
    sharedScores = lease.borrow(4L * block * queries);
    vectors = sharedVectors.floats();
    docs = sharedDocs.ints();
    scores = sharedScores.floats();
    docids = new Docids(index.reader().leaves());
    best = new TopK[queries];
    Arrays.setAll(best, i -> new TopK(k, docids));
  }

  /** Fills {@link #vectors}, if there are any, and {@link #docs}; returns the rows, 0 at the end. */
  protected abstract int fill() throws IOException;

  public final int next() throws IOException {
    handedOut = fill();
    return handedOut;
  }

  /** From now on hands out documents' numbers alone: the caller has the vectors. */
  public final void leaveVectors() {
    vectors = null;
  }

  /** Takes the scores of the first {@code count} rows handed out, for all queries. */
  public final void accept(int count) throws IOException {
    if (count < 0 || count > handedOut) {
      throw new IllegalArgumentException(count + " scores for " + handedOut + " documents");
    }
    for (int query = 0; query < best.length; query++) {
      TopK top = best[query];
      float worst = top.worst();
      for (int row = 0, at = query * block; row < count; row++, at++) {
        float score = scores.get(at);
        if (!(score < worst)) { // true for NaN as well
          if (Float.isNaN(score)) {
            throw new NotANumber(query, docids.of(docs.get(row)).utf8ToString());
          }
          top.offer(docs.get(row), score);
          worst = top.worst();
        }
      }
    }
    evaluations += count;
    lastAccepted = count;
    handedOut = 0;
    scored(count);
  }

  /** Called after documents were accepted; {@link #docs} and {@link #score} still hold them. */
  protected void scored(int count) {}

  /** The score that the first query gave to a row. */
  protected final float score(int row) {
    return scores.get(row);
  }

  /** How many of the documents accepted last are among the best of a query now. */
  public final int entered(int query) {
    int[] held = best[query].docs();
    Arrays.sort(held);
    int entered = 0;
    for (int i = 0; i < lastAccepted; i++) {
      entered += Arrays.binarySearch(held, docs.get(i)) >= 0 ? 1 : 0;
    }
    return entered;
  }

  /** The score that a document must reach to be among the best of a query. */
  protected final float worstScore(int query) {
    return best[query].worst();
  }

  /** Ranks the best documents of a query; returns their docids as {@link Texts}. */
  public final byte[] hits(int query) throws IOException {
    rank(query);
    return Texts.pack(Arrays.asList(docids.of(hitDocs)));
  }

  /** Ranks the best documents of a query; looks up no docid but those of equal scores. */
  protected final void rank(int query) throws IOException {
    int size = best[query].size();
    hitDocs = new int[size];
    hitScores = new float[size];
    best[query].ranked(hitDocs, hitScores);
  }

  /** The documents of the last {@link #hits}, best first. */
  protected final int[] hitDocs() {
    return hitDocs;
  }

  /** The scores that belong to the last {@link #hits}, as little-endian float32. */
  public final byte[] hitScores() {
    return Index.littleEndian(hitScores);
  }

  /** How many documents were scored, a query. */
  public final long evaluations() {
    return evaluations;
  }

  public final SharedBuffer vectors() {
    return sharedVectors;
  }

  /** Lucene's document numbers of the rows handed out. */
  public final SharedBuffer docs() {
    return sharedDocs;
  }

  public final SharedBuffer scores() {
    return sharedScores;
  }

  @Override
  public final void close() throws IOException {
    lease.close();
  }
}
