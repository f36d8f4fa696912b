package io.hypserini;

import io.anserini.analysis.DefaultEnglishAnalyzer;
import io.anserini.search.query.BagOfWordsQueryGenerator;
import java.io.IOException;
import java.util.Arrays;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.similarities.BM25Similarity;

/** The best documents for a text by BM25, with Anserini's parameters, as entries into the graph. */
final class Bm25Entries {
  private Bm25Entries() {}

  /** Document numbers over the whole index, of those that a filter lets through; null: of all. */
  static int[] best(Index index, String text, int count, Filter filter) throws IOException {
    Query query;
    try (Analyzer analyzer = DefaultEnglishAnalyzer.newDefaultInstance()) {
      query = new BagOfWordsQueryGenerator().buildQuery(Fields.CONTENTS, analyzer, text);
    }
    IndexSearcher searcher = new IndexSearcher(index.reader());
    searcher.setSimilarity(new BM25Similarity(0.9f, 0.4f));
    Query searched = filter == null ? query : filter.within(query);
    ScoreDoc[] hits = searcher.search(searched, count).scoreDocs;
    return Arrays.stream(hits).mapToInt(hit -> hit.doc).toArray();
  }
}
