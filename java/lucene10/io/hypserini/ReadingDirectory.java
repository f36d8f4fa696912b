package io.hypserini;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.lucene.codecs.CodecUtil;
import org.apache.lucene.store.DataAccessHint;
import org.apache.lucene.store.IOContext;
import org.apache.lucene.store.IndexInput;
import org.apache.lucene.store.MMapDirectory;
import org.apache.lucene.store.ReadAdvice;

/**
 * A folder that is searched, its files mapped into memory.
 *
 * <p>Of the raw vectors behind a quantised copy a search reads some hundred, here and there. A system
 * that reads ahead brings in a hundred kilobytes for each of them, or megabytes, and drives the copy
 * and the graph out of memory for it: it is told not to. A scan asks for it while it lasts.
 */
final class ReadingDirectory extends MMapDirectory {
  private static final IOContext FORWARDS = IOContext.DEFAULT.withHints(DataAccessHint.SEQUENTIAL);

  private final Map<String, IndexInput> raw = new HashMap<>(); // by file
  private final Map<String, Integer> scans = new HashMap<>(); // by segment, how many there are now

  ReadingDirectory(Path folder) throws IOException {
    super(folder);
    setReadAdvice(ReadingDirectory::advice);
  }

  private static Optional<ReadAdvice> advice(String file, IOContext context) {
    if (!VectorFormats.isRawBehindCopy(file)) {
      return Optional.empty();
    }
    boolean forwards = context.hints().contains(DataAccessHint.SEQUENTIAL);
    return Optional.of(forwards ? ReadAdvice.SEQUENTIAL : ReadAdvice.RANDOM);
  }

  @Override
  public IndexInput openInput(String name, IOContext context) throws IOException {
    IndexInput input = super.openInput(name, context);
    if (VectorFormats.isRawBehindCopy(name)) {
      synchronized (this) {
        raw.put(name, input);
      }
    }
    return input;
  }

  /** Has the system read ahead in the raw vectors of a segment, until what it returns is closed. */
  synchronized Closeable readAhead(String segment) throws IOException {
    if (scans.merge(segment, 1, Integer::sum) == 1) {
      advise(segment, FORWARDS);
    }
    return () -> endScan(segment);
  }

  private synchronized void endScan(String segment) throws IOException {
    if (scans.merge(segment, -1, Integer::sum) == 0) {
      advise(segment, IOContext.DEFAULT);
    }
  }

  /**
   * Has the system read the raw vectors of some ordinals, where there are no others in their file.
   *
   * @param size vectors in the segment, one a document
   */
  void prefetch(String segment, int size, int vectorBytes, int[] ordinals) throws IOException {
    for (IndexInput file : of(segment)) {
      long start = file.length() - CodecUtil.footerLength() - (long) size * vectorBytes;
      if (start > 0) {
        for (int ordinal : ordinals) {
          file.prefetch(start + (long) ordinal * vectorBytes, vectorBytes);
        }
      }
    }
  }

  private void advise(String segment, IOContext context) throws IOException {
    for (IndexInput file : of(segment)) {
      file.updateIOContext(context);
    }
  }

  private synchronized List<IndexInput> of(String segment) {
    return raw.entrySet().stream()
        .filter(file -> file.getKey().startsWith(segment + "_"))
        .map(Map.Entry::getValue)
        .toList();
  }
}
