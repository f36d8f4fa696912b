package io.hypserini;

import io.anserini.analysis.DefaultEnglishAnalyzer;
import java.io.IOException;
import java.util.Arrays;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.similarities.BM25Similarity;

/** The best documents for a text by BM25, with Anserini's parameters, as entries into the graph. */
final class Bm25Entries {
  private Bm25Entries() {}

  /** Document numbers over the whole index; those that a filter leaves out are looked past. */
  static int[] best(Index index, String text, int count, Filter filter) throws IOException {
    BooleanQuery.Builder query = new BooleanQuery.Builder();
    int terms = 0;
    try (Analyzer analyzer = DefaultEnglishAnalyzer.newDefaultInstance();
        TokenStream tokens = analyzer.tokenStream(Fields.CONTENTS, text)) {
      CharTermAttribute token = tokens.addAttribute(CharTermAttribute.class);
      tokens.reset();
      while (tokens.incrementToken() && terms++ < IndexSearcher.getMaxClauseCount()) {
        Term term = new Term(Fields.CONTENTS, token.toString());
        query.add(new TermQuery(term), BooleanClause.Occur.SHOULD);
      }
      tokens.end();
    }
    if (terms == 0 || index.maxDoc() == 0) {
      return new int[0];
    }
    IndexSearcher searcher = new IndexSearcher(index.reader());
    searcher.setSimilarity(new BM25Similarity(0.9f, 0.4f));
    // A filtered search looks further down the ranking and picks.
    int depth = filter == null ? count : 10 * count;
    ScoreDoc[] hits = searcher.search(query.build(), depth).scoreDocs;
    return Arrays.stream(hits).mapToInt(hit -> hit.doc).toArray();
  }
}
