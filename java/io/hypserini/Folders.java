package io.hypserini;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexReader;
import org.apache.lucene.index.MultiReader;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.IOUtils;

/**
 * The folders of an index, one or several that are searched as one: their segments are those of one
 * reader, so that statistics, document numbers and the best k are of all of them.
 */
final class Folders implements Closeable {
  private final List<FSDirectory> directories = new ArrayList<>();
  private final List<DirectoryReader> readers = new ArrayList<>();
  private final IndexReader reader;

  /**
   * @param paths as {@link Texts}
   */
  Folders(byte[] paths) throws IOException {
    Texts packed = new Texts(paths);
    try {
      for (int i = 0; i < packed.count(); i++) {
        directories.add(LuceneLine.directory(Path.of(packed.string(i))));
        readers.add(DirectoryReader.open(directories.get(i)));
      }
      reader =
          readers.size() == 1
              ? readers.get(0)
              : new MultiReader(readers.toArray(IndexReader[]::new), true);
    } catch (Throwable e) {
      IOUtils.closeWhileHandlingException(readers);
      IOUtils.closeWhileHandlingException(directories);
      throw e;
    }
  }

  /** Of all folders; closing it closes those of each. */
  IndexReader reader() {
    return reader;
  }

  int count() {
    return readers.size();
  }

  /** Of one folder. */
  DirectoryReader reader(int folder) {
    return readers.get(folder);
  }

  /** Readers stay open as long as others hold them. */
  @Override
  public void close() throws IOException {
    reader.close();
    IOUtils.close(directories);
  }
}
