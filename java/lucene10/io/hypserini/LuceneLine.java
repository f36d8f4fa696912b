package io.hypserini;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.codecs.KnnVectorsReader;
import org.apache.lucene.codecs.hnsw.HnswGraphProvider;
import org.apache.lucene.codecs.lucene104.Lucene104HnswScalarQuantizedVectorsFormat;
import org.apache.lucene.index.FilterLeafReader;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.KnnVectorValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.SegmentReader;
import org.apache.lucene.index.SegmentWriteState;
import org.apache.lucene.search.AbstractDocIdSetIterator;
import org.apache.lucene.search.AcceptDocs;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.FilteredDocIdSetIterator;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopKnnCollector;
import org.apache.lucene.search.knn.KnnSearchStrategy;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.store.IOContext;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.hnsw.HnswGraph;
import org.apache.lucene.util.quantization.QuantizedByteVectorValues.ScalarEncoding;

/** What differs between the Lucene lines, here for 10.x: formats, vectors by ordinal, their graph. */
final class LuceneLine {
  /** Anserini's vector format without a graph. */
  static final String FLAT_FORMAT = "Anserini20FlatVectorsFormat";

  /** Its own search is as good as ours and quicker, and of quantised vectors reads the copy alone. */
  static final boolean SUITS_FORMAT_SEARCH = true;

  private LuceneLine() {}

  /** A graph over vectors that are also kept with so many bits a component. */
  static KnnVectorsFormat quantized(
      int bits, int m, int efConstruction, int workers, ExecutorService executor) {
    ScalarEncoding encoding =
        switch (bits) {
          case 7 -> ScalarEncoding.SEVEN_BIT;
          case 4 -> ScalarEncoding.PACKED_NIBBLE;
          case 1 -> ScalarEncoding.SINGLE_BIT_QUERY_NIBBLE;
          default -> throw new IllegalArgumentException(bits + " bits");
        };
    return new Lucene104HnswScalarQuantizedVectorsFormat(
        encoding, m, efConstruction, workers, executor);
  }

  /** The array is shared and overwritten by the next call: copy it at once. */
  static float[] vector(FloatVectorValues values, int ordinal) throws IOException {
    return values.vectorValue(ordinal);
  }

  /** A folder, to be searched. */
  static FSDirectory directory(Path folder) throws IOException {
    return new ReadingDirectory(folder);
  }

  /** Has the system read ahead in the vectors of a segment, until what it returns is closed. */
  static Closeable readAhead(LeafReader reader) throws IOException {
    return FilterLeafReader.unwrap(reader) instanceof SegmentReader segment
            && segment.directory() instanceof ReadingDirectory folder
        ? folder.readAhead(segment.getSegmentName())
        : () -> {};
  }

  /** Has the system read some vectors, all at once. */
  static void prefetch(LeafReader reader, FloatVectorValues values, int[] ordinals)
      throws IOException {
    values.prefetch(ordinals, ordinals.length); // which those behind a quantised copy do not heed
    if (values.size() == reader.maxDoc()
        && FilterLeafReader.unwrap(reader) instanceof SegmentReader segment
        && segment.directory() instanceof ReadingDirectory folder) {
      folder.prefetch(
          segment.getSegmentName(), values.size(), values.getVectorByteLength(), ordinals);
    }
  }

  static int ordToDoc(FloatVectorValues values, int ordinal) {
    return values.ordToDoc(ordinal);
  }

  /** The documents that have a vector, in a segment's own numbers. */
  static DocIdSetIterator documents(FloatVectorValues values) {
    return values.iterator();
  }

  /** The vector of the document that {@link #documents} is at; the array is shared. */
  static float[] current(FloatVectorValues values, DocIdSetIterator documents) throws IOException {
    return values.vectorValue(((KnnVectorValues.DocIndexIterator) documents).index());
  }

  /**
   * What Lucene finds nearest to a vector in a segment, in the segment's own numbers. Not by its
   * search for filters, which under those of 2 to 10 % missed an eighth to a quarter of the best.
   *
   * @param accepted by document, {@code acceptedCount} of them; null: all
   * @param entries the ordinals where it begins, in ascending order; none: where the graph says
   */
  static ScoreDoc[] nearest(
      LeafReader reader,
      float[] vector,
      int k,
      Bits accepted,
      int acceptedCount,
      int[] entries)
      throws IOException {
    KnnSearchStrategy strategy = new KnnSearchStrategy.Hnsw(0);
    if (entries.length > 0) {
      strategy = new KnnSearchStrategy.Seeded(iterator(entries), entries.length, strategy);
    }
    TopKnnCollector collector = new TopKnnCollector(k, Integer.MAX_VALUE, strategy);
    AcceptDocs documents =
        new AcceptDocs() {
          @Override
          public Bits bits() {
            return accepted;
          }

          @Override
          public DocIdSetIterator iterator() {
            return new FilteredDocIdSetIterator(DocIdSetIterator.all(reader.maxDoc())) {
              @Override
              protected boolean match(int doc) {
                return accepted == null || accepted.get(doc);
              }
            };
          }

          @Override
          public int cost() {
            return acceptedCount;
          }
        };
    reader.searchNearestVectors(Fields.VECTOR, vector, collector, documents);
    return collector.topDocs().scoreDocs;
  }

  private static DocIdSetIterator iterator(int[] ordinals) {
    return new AbstractDocIdSetIterator() {
      private int next;

      @Override
      public int nextDoc() {
        return doc = next < ordinals.length ? ordinals[next++] : NO_MORE_DOCS;
      }

      @Override
      public int advance(int target) throws IOException {
        return slowAdvance(target);
      }

      @Override
      public long cost() {
        return ordinals.length;
      }
    };
  }

  /** Whether a segment is written of other segments, not of what was gathered in memory. */
  static boolean isMerge(SegmentWriteState state) {
    return state.context.context() == IOContext.Context.MERGE;
  }

  /** The graph over the vectors of a field, or null where the format has none. */
  static HnswGraph graph(KnnVectorsReader reader, String field) throws IOException {
    return reader instanceof HnswGraphProvider provider ? provider.getGraph(field) : null;
  }
}
