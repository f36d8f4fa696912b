package io.hypserini;

import io.anserini.search.SimpleSearcher;
import java.io.IOException;

/** Anserini's searcher over the folders of an index, with the statistics of all of them. */
final class Bm25Searcher extends SimpleSearcher {
  private final Folders folders;

  Bm25Searcher(byte[] paths) throws IOException {
    super(new Texts(paths).string(0));
    reader.close();
    folders = new Folders(paths);
    reader = folders.reader();
  }

  boolean hasTermVectors() throws IOException {
    return reader.maxDoc() > 0 && reader.termVectors().get(0) != null;
  }

  /** The user data of a folder's commit, as {@link Texts} (name, value, ...). */
  byte[] metadata(int folder) throws IOException {
    return Texts.pack(folders.reader(folder).getIndexCommit().getUserData());
  }

  @Override
  public void close() throws IOException {
    super.close();
    folders.close();
  }
}
