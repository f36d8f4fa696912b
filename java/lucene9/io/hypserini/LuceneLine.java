package io.hypserini;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import org.apache.lucene.codecs.HnswGraphProvider;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.codecs.KnnVectorsReader;
import org.apache.lucene.codecs.lucene99.Lucene99HnswScalarQuantizedVectorsFormat;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.SegmentWriteState;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopKnnCollector;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.store.IOContext;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.hnsw.HnswGraph;
import org.apache.lucene.util.hnsw.RandomAccessVectorValues;

/** What differs between the Lucene lines, here for 9.x: formats, vectors by ordinal, their graph. */
final class LuceneLine {
  /** Anserini's vector format without a graph. */
  static final String FLAT_FORMAT = "AnseriniLucene99FlatVectorFormat";

  /**
   * This line has no SIMD on the Javas of today, and quantises without a centre: of vectors that have
   * much in common, 7 bits tell little.
   */
  static final boolean SUITS_FORMAT_SEARCH = false;

  private LuceneLine() {}

  /** A graph over vectors that are also kept with so many bits a component. */
  static KnnVectorsFormat quantized(
      int bits, int m, int efConstruction, int workers, ExecutorService executor) {
    if (bits != 7) {
      throw new Refused("this Lucene quantises vectors to 7 bits, not to " + bits + ".");
    }
    return new Lucene99HnswScalarQuantizedVectorsFormat(
        m, efConstruction, workers, null, executor);
  }

  /** The array is shared and overwritten by the next call: copy it at once. */
  static float[] vector(FloatVectorValues values, int ordinal) throws IOException {
    return randomAccess(values).vectorValue(ordinal);
  }

  /** A folder, to be searched. This line gives the system no advice. */
  static FSDirectory directory(Path folder) throws IOException {
    return FSDirectory.open(folder);
  }

  /** Nothing was advised against. */
  static Closeable readAhead(LeafReader reader) {
    return () -> {};
  }

  /** This line cannot read ahead. */
  static void prefetch(LeafReader reader, FloatVectorValues values, int[] ordinals) {}

  static int ordToDoc(FloatVectorValues values, int ordinal) {
    return randomAccess(values).ordToDoc(ordinal);
  }

  /** The documents that have a vector, in a segment's own numbers. */
  static DocIdSetIterator documents(FloatVectorValues values) {
    return values;
  }

  /** The vector of the document that {@link #documents} is at; the array is shared. */
  static float[] current(FloatVectorValues values, DocIdSetIterator documents) throws IOException {
    return values.vectorValue();
  }

  /**
   * What Lucene finds nearest to a vector in a segment, in the segment's own numbers.
   *
   * @param accepted by document, {@code acceptedCount} of them; null: all
   * @param entries are of no matter: this line begins where the graph says
   */
  static ScoreDoc[] nearest(
      LeafReader reader,
      float[] vector,
      int k,
      Bits accepted,
      int acceptedCount,
      int[] entries)
      throws IOException {
    TopKnnCollector collector = new TopKnnCollector(k, Integer.MAX_VALUE);
    reader.searchNearestVectors(Fields.VECTOR, vector, collector, accepted);
    return collector.topDocs().scoreDocs;
  }

  /** Whether a segment is written of other segments, not of what was gathered in memory. */
  static boolean isMerge(SegmentWriteState state) {
    return state.context.context == IOContext.Context.MERGE;
  }

  /** The graph over the vectors of a field, or null where the format has none. */
  static HnswGraph graph(KnnVectorsReader reader, String field) throws IOException {
    return reader instanceof HnswGraphProvider provider ? provider.getGraph(field) : null;
  }

  @SuppressWarnings("unchecked")
  private static RandomAccessVectorValues<float[]> randomAccess(FloatVectorValues values) {
    return (RandomAccessVectorValues<float[]>) values;
  }
}
