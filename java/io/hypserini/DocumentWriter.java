package io.hypserini;

import io.anserini.analysis.DefaultEnglishAnalyzer;
import java.io.Closeable;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.SegmentInfos;
import org.apache.lucene.index.Term;
import org.apache.lucene.index.VectorSimilarityFunction;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.store.LockObtainFailedException;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.IOUtils;

/**
 * Writes an index, a block of documents a call.
 *
 * <p>Invariants: the index on disk is always the last commit; no commit ever holds two live
 * documents of one docid. After a failed {@link #add} or {@link #commit} nothing can be committed any
 * more, for part of the block may have been added: {@link #rollback} is what is left.
 *
 * <p>Not for use by several threads at once; with {@code threads} above 1 it adds the documents of a
 * block in parallel itself.
 */
public final class DocumentWriter implements Closeable {
  private static final long BLOCK_BYTES = 16L << 20;
  private static final int MOST_ROWS = 4096;

  /** Made before there is no memory for it. */
  private static final Refused NO_ROOM =
      new Refused(
          "Java has not enough memory to merge the segments: give more (--memory), and go on from the"
              + " last commit (--resume).");

  private final FSDirectory directory;
  private final IndexWriter writer;
  private VectorSimilarityFunction similarity; // null until the first vectors tell
  private final int dimension;
  private final int rows;
  private final SharedBuffer vectors;
  private final boolean isQuantized;
  private final boolean takesAngles;
  private final boolean termVectors;
  private final Merges merges;
  private final DocumentFields[] fields; // null until the similarity is known
  private final Workers workers; // null where one thread adds
  private final IntervalDocids docids = new IntervalDocids();
  private boolean changed; // since the last commit
  private boolean failed;
  private boolean replaces; // until the first commit, what is on disk is the index to be replaced

  /**
   * @param similarity "cosine", "l2" or "inner_product", or null: that of the index, else what suits
   *     the first vectors
   * @param format the name of the vectors' format, of {@link VectorFormats}
   * @param m neighbours of a graph node
   */
  public DocumentWriter(
      byte[] path,
      boolean append,
      int dimension,
      String similarity,
      String format,
      int m,
      int efConstruction,
      double bufferMegabytes,
      int threads,
      boolean termVectors)
      throws IOException {
    this.dimension = dimension;
    this.isQuantized = VectorFormats.isQuantized(format);
    this.takesAngles = VectorFormats.takesAngles(format);
    this.replaces = !append;
    this.directory = FSDirectory.open(Path.of(Texts.single(path)));
    this.workers = threads == 1 ? null : new Workers(threads, "hypserini-indexing");
    this.merges = new Merges(threads, VectorFormats.hasGraph(format));
    this.fields = new DocumentFields[threads];
    IndexWriter opened = null;
    try {
      opened =
          new IndexWriter(
              directory, settings(append, format, m, efConstruction, bufferMegabytes));
      this.similarity = checked(fit(append, similarity));
    } catch (LockObtainFailedException e) {
      release();
      throw new Refused("another process is writing to the index: wait until it has ended.");
    } catch (Exception e) {
      if (opened != null) {
        opened.rollback();
      }
      release();
      throw e;
    }
    this.writer = opened;
    this.rows = (int) Math.max(1, Math.min(MOST_ROWS, BLOCK_BYTES / (4L * dimension)));
    this.vectors = new SharedBuffer(4L * rows * dimension);
    this.termVectors = termVectors;
  }

  private IndexWriterConfig settings(
      boolean append, String format, int m, int efConstruction, double bufferMegabytes) {
    IndexWriterConfig config = new IndexWriterConfig(DefaultEnglishAnalyzer.newDefaultInstance());
    config.setSimilarity(new BM25Similarity());
    config.setCodec(new VectorCodec(merges.format(format, m, efConstruction)));
    config.setOpenMode(
        append ? IndexWriterConfig.OpenMode.CREATE_OR_APPEND : IndexWriterConfig.OpenMode.CREATE);
    double heap = Runtime.getRuntime().maxMemory();
    config.setRAMBufferSizeMB(Math.min(bufferMegabytes, heap / 3 / (1 << 20)));
    config.setUseCompoundFile(false);
    merges.configure(config, m, dimension);
    return config;
  }

  /** The similarity to write with, or null; refuses documents that the index could not hold. */
  private VectorSimilarityFunction fit(boolean append, String wanted) throws IOException {
    if (append && DirectoryReader.indexExists(directory)) {
      try (DirectoryReader reader = DirectoryReader.open(directory)) {
        VectorShape existing = VectorShape.of(reader);
        if (existing != null) {
          existing.refuseOther(dimension, wanted);
          return existing.similarity();
        }
      }
    }
    return wanted == null ? null : Fields.similarity(wanted);
  }

  private VectorSimilarityFunction checked(VectorSimilarityFunction similarity) {
    if (similarity == VectorSimilarityFunction.COSINE && !takesAngles) {
      throw new Refused(
          "Lucene builds no sound graph of 1 bit by the similarity cosine: choose l2,"
              + " inner_product, or another format of vectors.");
    }
    return similarity;
  }

  /** How many rows the shared vectors hold. */
  public int rows() {
    return rows;
  }

  /** Where {@link #add} finds the vectors, [rows, dimension]. */
  public SharedBuffer vectors() {
    return vectors;
  }

  /** Null if that is not known before the first vectors. */
  public String similarity() {
    return similarity == null ? null : Fields.nameOf(similarity);
  }

  /** Adds a block of documents, packed as {@link Texts}; contents and raws may be null. */
  public void add(byte[] ids, byte[] contents, byte[] raws) throws IOException {
    Texts packedIds = new Texts(ids);
    int count = packedIds.count();
    BlockChecks.finite(vectors.floats(), count, dimension, packedIds);
    makeFields(count);
    if (isQuantized && similarity == VectorSimilarityFunction.COSINE) {
      BlockChecks.angles(vectors.floats(), count, dimension, packedIds);
    }
    failed = true; // until the whole block is in
    changed = true;
    for (int i = 0; i < count; i++) {
      docids.add(packedIds.utf8(i));
    }
    Texts packedContents = contents == null ? null : new Texts(contents);
    Texts packedRaws = raws == null ? null : new Texts(raws);
    if (workers == null) {
      add(0, count, 0, packedIds, packedContents, packedRaws);
    } else {
      long parts = fields.length;
      workers.run(
          worker -> {
            int from = (int) (count * worker / parts);
            int to = (int) (count * (worker + 1) / parts);
            add(from, to, worker, packedIds, packedContents, packedRaws);
          });
    }
    failed = false;
  }

  private void makeFields(int count) {
    if (similarity == null) {
      similarity = Lengths.suit(vectors.floats(), count, dimension);
      if (similarity == VectorSimilarityFunction.COSINE && !takesAngles) {
        similarity = VectorSimilarityFunction.MAXIMUM_INNER_PRODUCT;
      }
    }
    for (int i = 0; i < fields.length && fields[i] == null; i++) {
      fields[i] = new DocumentFields(dimension, similarity, termVectors);
    }
  }

  private void add(int from, int to, int worker, Texts ids, Texts contents, Texts raws)
      throws IOException {
    DocumentFields document = fields[worker];
    FloatBuffer shared = vectors.floats();
    for (int i = from; i < to; i++) {
      shared.get(i * dimension, document.values());
      try {
        writer.addDocument(document.of(i, ids, contents, raws));
      } catch (IllegalStateException e) {
        throw first(e);
      }
    }
  }

  /**
   * What ended the writer for good, perhaps while it merged (a full disk, say), where a call failed
   * because of that alone: Lucene's message then names no reason.
   */
  private IOException first(IllegalStateException consequence) {
    Throwable cause = writer.getTragicException();
    while (cause != null && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof OutOfMemoryError) {
      throw NO_ROOM;
    }
    if (cause instanceof Error error) {
      throw error;
    }
    if (cause instanceof IOException reason) {
      return reason;
    }
    throw consequence;
  }

  /**
   * Deletes the documents of these ids, committed or not; ids that do not exist are ignored.
   *
   * @param forGood none is added again before the next commit, so that none need be remembered
   */
  public void delete(byte[] ids, boolean forGood) throws IOException {
    Texts packed = new Texts(ids);
    changed = true;
    Term[] terms = new Term[packed.count()];
    for (int i = 0; i < terms.length; i++) {
      if (!forGood) {
        docids.delete(packed.utf8(i));
      }
      terms[i] = new Term(Fields.ID, BytesRef.deepCopyOf(packed.utf8(i)));
    }
    writer.deleteDocuments(terms);
  }

  /** Deletes the documents that match a query in Lucene's syntax over the text fields. */
  public void deleteMatching(byte[] text) throws IOException {
    changed = true;
    writer.deleteDocuments(Filter.parse(text));
  }

  /**
   * Takes in the documents of other indexes as they are, vectors and graphs included. That no docid
   * is in two of them is for the caller to see to.
   *
   * @param paths of their folders, as {@link Texts}
   */
  public void addIndexes(byte[] paths) throws IOException {
    failed = true; // until all are in
    changed = true;
    Texts packed = new Texts(paths);
    List<FSDirectory> sources = new ArrayList<>();
    try {
      for (int i = 0; i < packed.count(); i++) {
        sources.add(FSDirectory.open(Path.of(packed.string(i))));
      }
      writer.addIndexes(sources.toArray(FSDirectory[]::new));
    } catch (LockObtainFailedException e) {
      throw new Refused("another process is writing to an index that is taken in: wait for it.");
    } catch (IllegalStateException e) {
      throw first(e);
    } finally {
      IOUtils.close(sources);
    }
    failed = false;
  }

  /** Begins to merge away deleted documents; as {@link #optimize}. */
  public void reclaim() throws IOException {
    try {
      writer.forceMergeDeletes(false);
    } catch (IllegalStateException e) {
      throw first(e);
    }
  }

  /** Makes everything added durable, with {@code metadata} (name, value, name, value, ...). */
  public void commit(byte[] metadata) throws IOException {
    try {
      commitAll(metadata);
    } catch (IllegalStateException e) {
      throw first(e);
    }
  }

  private void commitAll(byte[] metadata) throws IOException {
    if (failed) {
      throw new Refused(
          "an earlier block or commit failed, so there is nothing sound to commit: roll back to the last"
              + " commit and start from there.");
    }
    failed = true; // for good, if a duplicate is found or the disk is full
    if (!docids.isEmpty() && !replaces && DirectoryReader.indexExists(directory)) {
      try (DirectoryReader committed = DirectoryReader.open(directory)) {
        docids.checkAgainst(committed);
      }
    }
    Texts packed = new Texts(metadata);
    Map<String, String> data = new HashMap<>();
    for (int i = 0; i < packed.count(); i += 2) {
      data.put(packed.string(i), packed.string(i + 1));
    }
    writer.setLiveCommitData(data.entrySet());
    writer.commit();
    docids.clear();
    changed = false;
    replaces = false;
    failed = false;
  }

  /** The metadata of the last commit, as {@link Texts} (name, value, ...). */
  public byte[] committedMetadata() {
    List<BytesRef> data = new ArrayList<>();
    Iterable<Map.Entry<String, String>> entries = writer.getLiveCommitData();
    if (entries != null) {
      for (Map.Entry<String, String> entry : entries) {
        data.add(new BytesRef(entry.getKey()));
        data.add(new BytesRef(entry.getValue()));
      }
    }
    return Texts.pack(data);
  }

  /** Whether documents were added or deleted since the last commit. */
  public boolean isChanged() {
    return changed;
  }

  /** Live documents, added ones included. */
  public int numDocs() {
    return writer.getDocStats().numDocs;
  }

  /**
   * Begins to merge all segments into one; {@link #awaitMerges} tells when that is done. Durable
   * after the next {@link #commit} or {@link #close}.
   */
  public void optimize() throws IOException {
    checkOptimize(0);
    try {
      writer.forceMerge(1, false);
    } catch (IllegalStateException e) {
      throw first(e);
    }
  }

  /** Refuses to {@link #optimize} with so many further documents where memory does not suffice. */
  public void checkOptimize(int further) throws IOException {
    boolean isOne =
        !changed
            && DirectoryReader.indexExists(directory)
            && SegmentInfos.readLatestCommit(directory).size() == 1;
    if (isOne && further == 0) {
      return; // there is nothing to merge
    }
    merges.checkOneGraph((long) numDocs() + further);
  }

  /**
   * Begins to give a graph to the segments that were committed without one; {@link #awaitMerges} tells
   * when that is done. Durable after the next {@link #commit} or {@link #close}.
   */
  public void completeGraphs() throws IOException {
    try {
      merges.completeGraphs(writer);
    } catch (IllegalStateException e) {
      throw first(e);
    }
  }

  /** Waits for merges that are under way, at most so long; whether all have ended. */
  public boolean awaitMerges(long milliseconds) throws IOException {
    boolean ended = merges.await(writer, milliseconds);
    if (writer.getTragicException() != null) {
      throw first(new IllegalStateException("a merge failed"));
    }
    return ended;
  }

  /** Documents in the segments that are being merged. */
  public int mergingDocuments() {
    return Merges.documents(writer);
  }

  /** Forgets what was added since the last commit, and closes. */
  public void rollback() throws IOException {
    try {
      writer.rollback();
    } finally {
      release();
    }
  }

  /**
   * Closes without what was added since the last commit. Completes graphs and waits for merges, which
   * Lucene commits with the metadata of the last commit.
   */
  @Override
  public void close() throws IOException {
    if (changed || replaces) {
      rollback();
      return;
    }
    try {
      merges.completeGraphs(writer);
      merges.await(writer, Long.MAX_VALUE / 2_000_000);
      writer.close();
    } finally {
      release();
    }
  }

  private void release() throws IOException {
    if (workers != null) {
      workers.close();
    }
    merges.close();
    directory.close();
  }
}
