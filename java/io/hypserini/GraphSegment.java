package io.hypserini;

import java.io.IOException;
import org.apache.lucene.codecs.KnnVectorsReader;
import org.apache.lucene.codecs.perfield.PerFieldKnnVectorsFormat;
import org.apache.lucene.index.CodecReader;
import org.apache.lucene.index.FilterLeafReader;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.FixedBitSet;
import org.apache.lucene.util.hnsw.HnswGraph;

/**
 * One segment as a search over its vectors sees it: vectors by ordinal, the graph over them, which
 * may be returned, and which were handed out. For one search: neither graph nor bits are shared.
 *
 * <p>Ordinals count the vectors of a segment. Invariant: what is seen was handed out once, and is
 * never handed out again.
 */
final class GraphSegment {
  final FloatVectorValues values;
  /** Null where the field has none: a flat field, or a segment too small for one. */
  final HnswGraph graph;
  /** Null where there is no graph. */
  final BackLinks back;
  /** Of the vectors, 0 where not computed yet; shared by all searches, which write the same. */
  private final float[] lengths;
  final int size;
  /** Vectors that may be returned. */
  final int acceptedCount;
  /** What ordinal 0 is over all segments. */
  final int ordinalBase;

  private final Bits accepted; // by document; null: all
  private final int docBase;
  private final FixedBitSet seen;
  private int seenCount;

  private GraphSegment(
      Index index,
      LeafReaderContext leaf,
      FloatVectorValues values,
      Filter filter,
      int ordinalBase)
      throws IOException {
    this.values = values;
    this.size = values.size();
    this.accepted = Filter.accepted(leaf, filter);
    this.docBase = leaf.docBase;
    this.ordinalBase = ordinalBase;
    this.seen = new FixedBitSet(size);
    this.graph = graphOf(leaf.reader());
    this.back = graph == null ? null : index.backLinks(leaf.ord, graph, size);
    this.lengths = index.lengths(leaf.ord, size);
    int count = size;
    if (accepted != null) {
      count = 0;
      for (int ordinal = 0; ordinal < size; ordinal++) {
        count += accepts(ordinal) ? 1 : 0;
      }
    }
    this.acceptedCount = count;
  }

  /** Null if the segment has no vectors. */
  static GraphSegment of(Index index, LeafReaderContext leaf, Filter filter, int ordinalBase)
      throws IOException {
    FloatVectorValues values = leaf.reader().getFloatVectorValues(Fields.VECTOR);
    return values == null || values.size() == 0
        ? null
        : new GraphSegment(index, leaf, values, filter, ordinalBase);
  }

  private static HnswGraph graphOf(LeafReader reader) throws IOException {
    if (!(FilterLeafReader.unwrap(reader) instanceof CodecReader segment)) {
      return null;
    }
    KnnVectorsReader vectors = segment.getVectorReader();
    if (vectors instanceof PerFieldKnnVectorsFormat.FieldsReader fields) {
      vectors = fields.getFieldReader(Fields.VECTOR);
    }
    HnswGraph graph = LuceneLine.graph(vectors, Fields.VECTOR);
    return graph == null || graph.size() == 0 ? null : graph;
  }

  /** May be returned: it is not deleted, and the filter lets it through. */
  boolean accepts(int ordinal) {
    return accepted == null || accepted.get(LuceneLine.ordToDoc(values, ordinal));
  }

  boolean isSeen(int ordinal) {
    return seen.get(ordinal);
  }

  /** May still be handed out. */
  boolean isOpen(int ordinal) {
    return !seen.get(ordinal) && accepts(ordinal);
  }

  /** Returns whether it was not seen before. */
  boolean see(int ordinal) {
    boolean first = !seen.getAndSet(ordinal);
    seenCount += first ? 1 : 0;
    return first;
  }

  /** Vectors that may still be handed out, if only accepted ones are ever marked as seen. */
  int unseenCount() {
    return acceptedCount - seenCount;
  }

  int doc(int ordinal) {
    return docBase + LuceneLine.ordToDoc(values, ordinal);
  }

  /** The ordinal of a document's vector, or -1 if it has none here. */
  int ordinalOf(int doc) {
    int local = doc - docBase;
    int high = Math.min(local, size - 1); // an ordinal is never above its document
    for (int low = 0; low <= high; ) {
      int middle = (low + high) >>> 1;
      int at = LuceneLine.ordToDoc(values, middle);
      if (at == local) {
        return middle;
      }
      if (at < local) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return -1;
  }

  /** The array is shared and overwritten by the next call. */
  float[] vector(int ordinal) throws IOException {
    return LuceneLine.vector(values, ordinal);
  }

  /** The inner product with a direction, or, by its angle, that of the vector brought to length 1. */
  float product(Direction direction, int ordinal) throws IOException {
    float[] vector = LuceneLine.vector(values, ordinal);
    float product = Products.BEST.dot(direction.vector(), vector);
    if (!direction.byAngle()) {
      return product;
    }
    float length = lengths[ordinal];
    if (length == 0) {
      length = (float) Math.sqrt(Products.BEST.dot(vector, vector));
      lengths[ordinal] = length;
    }
    return length > 0 ? product / length : 0;
  }
}
