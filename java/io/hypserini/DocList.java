package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.PrimitiveIterator;
import java.util.stream.IntStream;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.PostingsEnum;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.BytesRef;

/**
 * Hands out the vectors of given documents, each once: reranking.
 *
 * <p>They come in the order of the index and not in the order given: the files are read forwards,
 * and if all documents are given, the blocks are those of a {@link Scan}.
 */
public final class DocList extends Candidates {
  private final List<LeafReaderContext> leaves;
  private final int[] missing;
  private final int[] found; // document numbers, ascending
  private int next;
  private int leaf = -1;
  private FloatVectorValues values;
  private DocIdSetIterator documents;

  /**
   * @param docids the documents' ids, all different, as {@link Texts}
   * @param filter leaves out all other documents, which are not missing; null: none
   */
  public DocList(Index index, int queries, int k, int block, byte[] docids, Filter filter)
      throws IOException {
    super(index, queries, k, block);
    leaves = index.reader().leaves();
    try {
      int[] docs = resolve(leaves, new Texts(docids));
      dropWithoutVector(docs);
      missing = IntStream.range(0, docs.length).filter(i -> docs[i] < 0).toArray();
      found = Arrays.stream(docs).filter(doc -> accepts(filter, doc)).sorted().toArray();
    } catch (IOException | RuntimeException e) {
      close();
      throw e;
    }
  }

  private boolean accepts(Filter filter, int doc) {
    if (doc < 0 || filter == null) {
      return doc >= 0;
    }
    LeafReaderContext context = leaves.get(ReaderUtil.subIndex(doc, leaves));
    return Filter.accepted(context, filter).get(doc - context.docBase);
  }

  /** Positions of the given docids that no live document with a vector has, ascending. */
  public int[] missing() {
    return missing;
  }

  /** The live document of each docid, or -1. Terms are sought in their order. */
  static int[] resolve(List<LeafReaderContext> leaves, Texts docids) throws IOException {
    BytesRef[] terms = new BytesRef[docids.count()];
    Arrays.setAll(terms, docids::utf8);
    int[] docs = new int[terms.length];
    Arrays.fill(docs, -1);
    int[] order =
        IntStream.range(0, terms.length)
            .boxed()
            .sorted(Comparator.comparing(i -> terms[i]))
            .mapToInt(Integer::intValue)
            .toArray();
    for (LeafReaderContext context : leaves) {
      LeafReader segment = context.reader();
      Terms indexed = segment.terms(Fields.ID);
      if (indexed == null || segment.getFloatVectorValues(Fields.VECTOR) == null) {
        continue;
      }
      TermsEnum seek = indexed.iterator();
      PostingsEnum postings = null;
      Bits live = segment.getLiveDocs();
      for (int i : order) {
        if (docs[i] < 0 && seek.seekExact(terms[i])) {
          postings = seek.postings(postings, PostingsEnum.NONE);
          for (int doc; (doc = postings.nextDoc()) != PostingsEnum.NO_MORE_DOCS; ) {
            if (live == null || live.get(doc)) {
              docs[i] = context.docBase + doc;
            }
          }
        }
      }
    }
    return docs;
  }

  private void dropWithoutVector(int[] docs) throws IOException {
    PrimitiveIterator.OfInt byDocument =
        IntStream.range(0, docs.length)
            .filter(i -> docs[i] >= 0)
            .boxed()
            .sorted(Comparator.comparing(i -> docs[i]))
            .mapToInt(Integer::intValue)
            .iterator();
    while (byDocument.hasNext()) {
      int i = byDocument.nextInt();
      if (!seek(docs[i])) {
        docs[i] = -1;
      }
    }
    leaf = -1; // fill begins anew
  }

  /** Goes on to the vector of a document; false if it has none. */
  private boolean seek(int doc) throws IOException {
    while (leaf < 0 || doc >= leaves.get(leaf).docBase + leaves.get(leaf).reader().maxDoc()) {
      leaf++;
      values = leaves.get(leaf).reader().getFloatVectorValues(Fields.VECTOR);
      documents = values == null ? null : LuceneLine.documents(values);
    }
    int local = doc - leaves.get(leaf).docBase;
    if (documents == null) {
      return false;
    }
    int at = documents.docID();
    return (at < local ? documents.advance(local) : at) == local;
  }

  @Override
  protected int fill() throws IOException {
    int rows = 0;
    for (; rows < block && next < found.length; rows++, next++) {
      if (!seek(found[next])) {
        throw new IllegalStateException("document " + found[next] + " lost its vector");
      }
      vectors.put(rows * dimension, LuceneLine.current(values, documents));
      docs.put(rows, found[next]);
    }
    return rows;
  }
}
