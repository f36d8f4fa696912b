package io.hypserini;

import io.anserini.analysis.DefaultEnglishAnalyzer;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.queryparser.classic.ParseException;
import org.apache.lucene.queryparser.classic.QueryParser;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Scorer;
import org.apache.lucene.search.TermInSetQuery;
import org.apache.lucene.search.Weight;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.FixedBitSet;

/**
 * The documents that a search may return: live ones that match a query or are in a list. Immutable,
 * so that any number of searches may share one.
 */
public final class Filter {
  private static final int CLAUSES = 1024; // of a query, as Lucene allows them from the start

  private final FixedBitSet[] bits; // by segment, over its documents; none of them deleted
  private final int[] vectors; // by segment, how many of them have one
  private final Query query; // that matches the same documents

  private Filter(FixedBitSet[] bits, List<LeafReaderContext> leaves, Query query)
      throws IOException {
    this.bits = bits;
    this.query = query;
    this.vectors = new int[bits.length];
    for (LeafReaderContext leaf : leaves) {
      vectors[leaf.ord] = Vectors.in(leaf.reader(), bits[leaf.ord]);
    }
  }

  /** A query in Lucene's syntax over the text fields, of any length. */
  static Query parse(byte[] text) {
    // A query has fewer clauses than characters; as many again may be searched within it.
    int clauses = CLAUSES + text.length;
    if (text.length > CLAUSES && clauses > IndexSearcher.getMaxClauseCount()) {
      IndexSearcher.setMaxClauseCount(clauses);
    }
    try {
      QueryParser parser =
          new QueryParser(Fields.CONTENTS, DefaultEnglishAnalyzer.newDefaultInstance());
      parser.setAllowLeadingWildcard(true);
      return parser.parse(Texts.single(text));
    } catch (StackOverflowError e) {
      throw new Refused("it is nested too deeply");
    } catch (ParseException | RuntimeException e) { // of regular expressions, too
      String said = Objects.requireNonNullElse(e.getMessage(), "it cannot be parsed");
      throw new Refused(said.lines().findFirst().orElse("it cannot be parsed"));
    }
  }

  /** Documents that match a query in Lucene's syntax. */
  public static Filter matching(Index index, byte[] text) throws IOException {
    Query query = parse(text);
    IndexSearcher searcher = new IndexSearcher(index.reader());
    Weight weight =
        searcher.createWeight(searcher.rewrite(query), ScoreMode.COMPLETE_NO_SCORES, 1f);
    FixedBitSet[] bits = empty(index);
    for (LeafReaderContext leaf : index.reader().leaves()) {
      Scorer scorer = weight.scorer(leaf);
      Bits live = leaf.reader().getLiveDocs();
      DocIdSetIterator matches = scorer == null ? DocIdSetIterator.empty() : scorer.iterator();
      for (int doc; (doc = matches.nextDoc()) != DocIdSetIterator.NO_MORE_DOCS; ) {
        if (live == null || live.get(doc)) {
          bits[leaf.ord].set(doc);
        }
      }
    }
    return new Filter(bits, index.reader().leaves(), query);
  }

  /** Documents whose ids are in a list; ids that no document has are ignored. */
  public static Filter listed(Index index, byte[] docids) throws IOException {
    FixedBitSet[] bits = empty(index);
    Texts texts = new Texts(docids);
    Docids.find(
        index.reader().leaves(),
        texts,
        (position, leaf, local) -> {
          bits[leaf.ord].set(local);
          return false;
        });
    List<BytesRef> terms = IntStream.range(0, texts.count()).mapToObj(texts::utf8).toList();
    Query query = new TermInSetQuery(Fields.ID, terms);
    return new Filter(bits, index.reader().leaves(), query);
  }

  /** The documents of a segment that a search may return; null: all of them. */
  static Bits accepted(LeafReaderContext leaf, Filter filter) {
    return filter == null ? leaf.reader().getLiveDocs() : filter.bits[leaf.ord];
  }

  /** How many vectors of a segment a search may return. */
  static int acceptedVectors(Index index, LeafReaderContext leaf, Filter filter)
      throws IOException {
    return filter == null ? index.liveVectors(leaf) : filter.vectors[leaf.ord];
  }

  /** The documents of a query that this filter lets through, with the scores of the query. */
  Query within(Query searched) {
    return new BooleanQuery.Builder()
        .add(searched, BooleanClause.Occur.MUST)
        .add(query, BooleanClause.Occur.FILTER)
        .build();
  }

  /** How many documents with a vector it lets through. */
  public int count() {
    return Arrays.stream(vectors).sum();
  }

  /** How many documents it lets through, with a vector or without. */
  public int documents() {
    return Arrays.stream(bits).mapToInt(FixedBitSet::cardinality).sum();
  }

  private static FixedBitSet[] empty(Index index) {
    return index.reader().leaves().stream()
        .map(leaf -> new FixedBitSet(Math.max(1, leaf.reader().maxDoc())))
        .toArray(FixedBitSet[]::new);
  }
}
