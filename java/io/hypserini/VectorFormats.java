package io.hypserini;

import java.util.concurrent.ExecutorService;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.codecs.lucene99.Lucene99HnswVectorsFormat;
import org.apache.lucene.codecs.perfield.PerFieldKnnVectorsFormat;
import org.apache.lucene.index.FieldInfo;

/**
 * The formats that vectors are written in, by the names of hypserini/index/vector_formats.py.
 *
 * <p>Each keeps the raw floats, which q-nets score. All but the flat one have a graph, and those with
 * a number of bits a second copy of the vectors of so many bits a component, by which the graph is
 * built and searched.
 */
final class VectorFormats {
  /** In the names of Lucene's formats that keep a second copy, and so of their files. */
  private static final String QUANTIZED = "Quantized";

  private VectorFormats() {}

  /**
   * Whether graphs of the format can be built by angles. Those of 1 bit cannot: with Lucene 10.5 they
   * do not hold together, and of the nearest vectors hardly one in fifty is found.
   */
  static boolean takesAngles(String name) {
    return !name.equals("hnsw-bbq");
  }

  /** Whether the format that a field was written in, ours or another's, searches a second copy. */
  static boolean isQuantized(FieldInfo field) {
    String format = field.getAttribute(PerFieldKnnVectorsFormat.PER_FIELD_FORMAT_KEY);
    return format != null && format.contains(QUANTIZED);
  }

  /** Whether a file is that of the raw vectors which a second copy is searched for. */
  static boolean isRawBehindCopy(String file) {
    return file.endsWith(".vec") && file.contains(QUANTIZED);
  }

  static boolean hasGraph(String name) {
    return !name.equals("flat");
  }

  /** Whether there is a second copy; it has no vector of length 0 where the similarity is an angle. */
  static boolean isQuantized(String name) {
    return hasGraph(name) && !name.equals("hnsw");
  }

  /**
   * @param m and efConstruction are of the graph, and of no matter to the flat format
   * @param workers that merge a graph, together, on the threads of {@code executor}; null for one
   */
  static KnnVectorsFormat of(
      String name, int m, int efConstruction, int workers, ExecutorService executor) {
    return switch (name) {
      case "flat" -> KnnVectorsFormat.forName(LuceneLine.FLAT_FORMAT);
      case "hnsw" -> new Lucene99HnswVectorsFormat(m, efConstruction, workers, executor);
      case "hnsw-int8" -> LuceneLine.quantized(7, m, efConstruction, workers, executor);
      case "hnsw-int4" -> LuceneLine.quantized(4, m, efConstruction, workers, executor);
      case "hnsw-bbq" -> LuceneLine.quantized(1, m, efConstruction, workers, executor);
      default -> throw new IllegalArgumentException(name);
    };
  }
}
