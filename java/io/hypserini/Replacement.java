package io.hypserini;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.NoMergePolicy;
import org.apache.lucene.index.SegmentInfos;
import org.apache.lucene.index.SerialMergeScheduler;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.store.FilterDirectory;
import org.apache.lucene.store.IOContext;
import org.apache.lucene.store.LockObtainFailedException;
import org.apache.lucene.util.StringHelper;

/**
 * Puts a finished index into the folder of another by one commit of Lucene's.
 *
 * <p>The segments are linked into the folder under names that are free there, and the commit that
 * names them is one rename: whoever opens the folder finds either index whole, at any moment and
 * after any kill. The files of the old one go with the commit; what is not Lucene's stays.
 */
public final class Replacement {
  private Replacement() {}

  /**
   * Refuses a folder that cannot be written to: another process writes there, or it has no locks.
   *
   * @return whether there is an index that this Lucene can read; if not, its files must be removed
   *     before {@link #put}
   */
  public static boolean check(byte[] into) throws IOException {
    try (FSDirectory target = FSDirectory.open(Path.of(Texts.single(into)))) {
      target.obtainLock(IndexWriter.WRITE_LOCK_NAME).close();
      return commit(target) != null;
    } catch (LockObtainFailedException e) {
      throw otherWriter();
    }
  }

  /** Whether the folder holds the very segments of the finished index. */
  public static boolean isDone(byte[] finished, byte[] into) throws IOException {
    try (FSDirectory source = FSDirectory.open(Path.of(Texts.single(finished)));
        FSDirectory target = FSDirectory.open(Path.of(Texts.single(into)))) {
      Set<String> segments = segments(source);
      return !segments.isEmpty() && segments.equals(segments(target));
    }
  }

  /**
   * Makes the finished index the one in the folder, and removes the files of the one before, or what
   * an earlier call that was killed left of them.
   */
  public static void put(byte[] finished, byte[] into) throws IOException {
    IndexWriterConfig config = new IndexWriterConfig();
    config.setMergePolicy(NoMergePolicy.INSTANCE);
    config.setMergeScheduler(new SerialMergeScheduler());
    config.setCommitOnClose(false);
    boolean done = isDone(finished, into);
    config.setOpenMode(
        done ? IndexWriterConfig.OpenMode.APPEND : IndexWriterConfig.OpenMode.CREATE);
    try (FSDirectory source = FSDirectory.open(Path.of(Texts.single(finished)));
        FSDirectory folder = FSDirectory.open(Path.of(Texts.single(into)));
        IndexWriter writer = new IndexWriter(new Linking(folder), config)) {
      if (!done) {
        writer.addIndexes(source);
        writer.setLiveCommitData(
            SegmentInfos.readLatestCommit(source).getUserData().entrySet());
        writer.commit();
      }
    } catch (LockObtainFailedException e) {
      throw otherWriter();
    }
  }

  private static Refused otherWriter() {
    return new Refused("another process is writing to the index: wait until it has ended.");
  }

  private static Set<String> segments(Directory directory) {
    SegmentInfos commit = commit(directory);
    return commit == null
        ? new HashSet<>()
        : commit.asList().stream()
            // The second is another after every deletion.
            .map(segment -> id(segment.info.getId()) + id(segment.getId()))
            .collect(Collectors.toSet());
  }

  private static String id(byte[] id) {
    return id == null ? "" : StringHelper.idToString(id);
  }

  /** Null if there is none, or none that this Lucene can read. */
  private static SegmentInfos commit(Directory directory) {
    try {
      return SegmentInfos.readLatestCommit(directory);
    } catch (IOException | IllegalArgumentException e) { // the latter of an unknown codec
      return null;
    }
  }

  /** Copies by hard links where the file system has them. */
  private static final class Linking extends FilterDirectory {
    private final FSDirectory folder;

    Linking(FSDirectory folder) {
      super(folder);
      this.folder = folder;
    }

    @Override
    public void copyFrom(Directory from, String source, String name, IOContext context)
        throws IOException {
      Path file = ((FSDirectory) FilterDirectory.unwrap(from)).getDirectory().resolve(source);
      try {
        Files.createLink(folder.getDirectory().resolve(name), file);
      } catch (IOException | UnsupportedOperationException e) {
        super.copyFrom(from, source, name, context); // another disk, or no links: slower
      }
    }
  }
}
