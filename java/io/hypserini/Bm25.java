package io.hypserini;

import io.anserini.search.ScoredDoc;
import io.anserini.search.query.BagOfWordsQueryGenerator;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.IOUtils;

/**
 * BM25 by Anserini's own searcher, the one that Pyserini wraps; its hits cross to Python as two
 * arrays, not one by one. Searching is thread safe, setting is not.
 */
public final class Bm25 implements Closeable {
  private final byte[] paths;
  private final Bm25Searcher searcher;
  private Bm25Searcher plain; // the same without feedback

  /**
   * @param paths of the index's folders, as {@link Texts}
   */
  public Bm25(byte[] paths) throws IOException {
    this.paths = paths;
    searcher = new Bm25Searcher(paths);
    plain = searcher;
  }

  /** The user data of a folder's commit, as {@link Texts} (name, value, ...). */
  public byte[] metadata(int folder) throws IOException {
    return searcher.metadata(folder);
  }

  public void setBm25(float k1, float b) {
    searcher.set_bm25(k1, b);
  }

  /**
   * To be called after {@link #setBm25}. Without term vectors the feedback documents' stored JSON is
   * analyzed again.
   */
  public void setRm3(int terms, int documents, float weight) throws IOException {
    plain = new Bm25Searcher(paths);
    BM25Similarity similarity = (BM25Similarity) searcher.get_similarity();
    plain.set_bm25(similarity.getK1(), similarity.getB());
    String parser = searcher.hasTermVectors() ? null : "JsonCollection";
    searcher.set_rm3(parser, terms, documents, weight, false, true);
  }

  /**
   * The best k documents for a text given as {@link Texts} of one.
   *
   * @param filter leaves out all other documents, but not from those that RM3 learns from: the
   *     ranking is that of all documents without them; null: none
   */
  public Ranking search(byte[] query, int k, Filter filter) throws IOException {
    String text = Texts.single(query);
    ScoredDoc[] hits =
        filter == null
            ? searcher.search(text, k)
            : plain.search(filter.within(whatIsSearched(text)), k);
    List<BytesRef> docids = new ArrayList<>(hits.length);
    ByteBuffer scores = ByteBuffer.allocate(4 * hits.length).order(ByteOrder.LITTLE_ENDIAN);
    for (ScoredDoc hit : hits) {
      docids.add(new BytesRef(hit.docid));
      scores.putFloat(hit.score);
    }
    return new Ranking(Texts.pack(docids), scores.array());
  }

  /** The query that Anserini makes of a text. */
  private Query whatIsSearched(String text) throws IOException {
    BagOfWordsQueryGenerator generator = new BagOfWordsQueryGenerator();
    return searcher.use_rm3()
        ? generator.buildQuery(Fields.CONTENTS, searcher.get_feedback_terms(text))
        : generator.buildQuery(Fields.CONTENTS, searcher.get_analyzer(), text);
  }

  @Override
  public void close() throws IOException {
    IOUtils.close(searcher, plain);
  }

  /** Docids as {@link Texts}, and their scores as little-endian float32. */
  public record Ranking(byte[] docids, byte[] scores) {}
}
