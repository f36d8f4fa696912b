package io.hypserini;

import org.apache.lucene.codecs.Codec;
import org.apache.lucene.codecs.FilterCodec;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.codecs.lucene99.Lucene99HnswVectorsFormat;
import org.apache.lucene.codecs.perfield.PerFieldKnnVectorsFormat;

/** The default codec of the Lucene at hand, under its own name, with our choice of vector format. */
final class VectorCodec extends FilterCodec {
  private final KnnVectorsFormat vectors;

  private VectorCodec(KnnVectorsFormat format) {
    super(Codec.getDefault().getName(), Codec.getDefault());
    KnnVectorsFormat chosen = new AnyDimensionFormat(format);
    this.vectors =
        new PerFieldKnnVectorsFormat() {
          @Override
          public KnnVectorsFormat getKnnVectorsFormatForField(String field) {
            return chosen;
          }
        };
  }

  /** Vectors alone, for exhaustive search. */
  static VectorCodec flat() {
    return new VectorCodec(KnnVectorsFormat.forName(LuceneLine.FLAT_FORMAT));
  }

  /** Vectors and a navigable graph over them. */
  static VectorCodec hnsw(int m, int efConstruction) {
    return new VectorCodec(new Lucene99HnswVectorsFormat(m, efConstruction));
  }

  @Override
  public KnnVectorsFormat knnVectorsFormat() {
    return vectors;
  }
}
