package io.hypserini;

import static org.apache.lucene.search.DocIdSetIterator.NO_MORE_DOCS;

import java.io.IOException;
import org.apache.lucene.codecs.KnnVectorsReader;
import org.apache.lucene.codecs.perfield.PerFieldKnnVectorsFormat;
import org.apache.lucene.index.CodecReader;
import org.apache.lucene.index.FilterLeafReader;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.VectorSimilarityFunction;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.FixedBitSet;
import org.apache.lucene.util.SparseFixedBitSet;
import org.apache.lucene.util.hnsw.HnswGraph;

/**
 * One segment as a search over its vectors sees it: vectors by ordinal, the graph over them, which
 * may be returned, and which were handed out. For one search: neither graph nor bits are shared.
 *
 * <p>Ordinals count the vectors of a segment. Invariant: what is seen was handed out once, and is
 * never handed out again.
 */
final class GraphSegment {
  /** Nodes of an upper level that are looked at, at most, unless the highest has more. */
  private static final int ENTRIES = 1024;

  final LeafReader reader;
  final FloatVectorValues values;
  final VectorSimilarityFunction similarity;
  /** Null where the field has none: a flat field, or a segment too small for one. */
  final HnswGraph graph;
  final int size;
  /** Vectors that may be returned. */
  final int acceptedCount;
  /** What ordinal 0 is over all segments. */
  final int ordinalBase;

  private final Bits accepted; // by document; null: all
  private final int docBase;
  private final SparseFixedBitSet seen; // costs what is set, not what there is
  private int seenCount;

  private GraphSegment(
      Index index,
      LeafReaderContext leaf,
      FloatVectorValues values,
      Filter filter,
      int ordinalBase)
      throws IOException {
    this.reader = leaf.reader();
    this.values = values;
    this.size = values.size();
    this.similarity = reader.getFieldInfos().fieldInfo(Fields.VECTOR).getVectorSimilarityFunction();
    this.accepted = Filter.accepted(leaf, filter);
    this.acceptedCount = Filter.acceptedVectors(index, leaf, filter);
    this.docBase = leaf.docBase;
    this.ordinalBase = ordinalBase;
    this.seen = new SparseFixedBitSet(size);
    this.graph = graphOf(reader);
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

  /**
   * Where searches begin in the graph: the nodes of the lowest level that has not too many.
   * Several, not one: documents that are nearly equal, of which collections are full, make islands
   * that few edges lead to, and from one a search may end where no neighbour is nearer. None where
   * there is no graph.
   */
  int[] entries() throws IOException {
    if (graph == null) {
      return new int[0];
    }
    int level = graph.numLevels() - 1;
    while (level > 1 && graph.getNodesOnLevel(level - 1).size() <= ENTRIES) {
      level--;
    }
    if (level == 0) {
      return new int[] {graph.entryNode()};
    }
    HnswGraph.NodesIterator nodes = graph.getNodesOnLevel(level);
    int[] entries = new int[nodes.size()];
    for (int i = 0; nodes.hasNext(); i++) {
      entries[i] = nodes.nextInt();
    }
    return entries;
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

  /**
   * By the segment's own numbers of documents, those that may still be handed out; null: all. It
   * changes as more is seen.
   */
  Bits openDocuments() {
    if (seenCount == 0) {
      return accepted;
    }
    return new Bits() {
      @Override
      public boolean get(int doc) {
        return (accepted == null || accepted.get(doc)) && !seen.get(localOrdinal(doc));
      }

      @Override
      public int length() {
        return reader.maxDoc();
      }
    };
  }

  /** What is done with each of some vectors. */
  interface Visit {
    void at(int ordinal) throws IOException;
  }

  /** Visits, ascending, what may still be handed out; under a filter, without passing the others. */
  void forEachOpen(Visit visit) throws IOException {
    if (accepted instanceof FixedBitSet documents) {
      for (int doc = -1; (doc = Vectors.next(documents, doc + 1)) != NO_MORE_DOCS; ) {
        int ordinal = localOrdinal(doc);
        if (ordinal >= 0 && !seen.get(ordinal)) {
          visit.at(ordinal);
        }
      }
    } else {
      for (int ordinal = 0; ordinal < size; ordinal++) {
        if (isOpen(ordinal)) {
          visit.at(ordinal);
        }
      }
    }
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
    return local < 0 || local >= reader.maxDoc() ? -1 : localOrdinal(local);
  }

  /** The same by the segment's own number of the document. */
  int localOrdinal(int local) {
    return Vectors.ordinal(values, reader.maxDoc(), local);
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
    double square = Products.BEST.dot(vector, vector);
    return square > 0 ? (float) (product / Math.sqrt(square)) : 0;
  }
}
