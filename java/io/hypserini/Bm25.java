package io.hypserini;

import io.anserini.search.ScoredDoc;
import io.anserini.search.SimpleSearcher;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.BytesRef;

/**
 * BM25 by Anserini's own searcher, the one that Pyserini wraps; its hits cross to Python as two
 * arrays, not one by one. Searching is thread safe, setting is not.
 */
public final class Bm25 implements Closeable {
  private final SimpleSearcher searcher;
  private final boolean termVectors;
  private final byte[] metadata;

  public Bm25(byte[] path) throws IOException {
    String folder = Texts.single(path);
    try (FSDirectory directory = FSDirectory.open(Path.of(folder));
        DirectoryReader reader = DirectoryReader.open(directory)) {
      termVectors = reader.maxDoc() > 0 && reader.termVectors().get(0) != null;
      metadata = Texts.pack(reader.getIndexCommit().getUserData());
    }
    searcher = new SimpleSearcher(folder);
  }

  /** The user data of the commit, as {@link Texts} (name, value, ...). */
  public byte[] metadata() {
    return metadata;
  }

  public void setBm25(float k1, float b) {
    searcher.set_bm25(k1, b);
  }

  /** Without term vectors the feedback documents' stored JSON is analyzed again. */
  public void setRm3(int terms, int documents, float weight) {
    searcher.set_rm3(termVectors ? null : "JsonCollection", terms, documents, weight, false, true);
  }

  /** The best k documents for a text given as {@link Texts} of one. */
  public Ranking search(byte[] query, int k) throws IOException {
    ScoredDoc[] hits = searcher.search(Texts.single(query), k);
    List<BytesRef> docids = new ArrayList<>(hits.length);
    ByteBuffer scores = ByteBuffer.allocate(4 * hits.length).order(ByteOrder.LITTLE_ENDIAN);
    for (ScoredDoc hit : hits) {
      docids.add(new BytesRef(hit.docid));
      scores.putFloat(hit.score);
    }
    return new Ranking(Texts.pack(docids), scores.array());
  }

  @Override
  public void close() throws IOException {
    searcher.close();
  }

  /** Docids as {@link Texts}, and their scores as little-endian float32. */
  public record Ranking(byte[] docids, byte[] scores) {}
}
