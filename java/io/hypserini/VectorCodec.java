package io.hypserini;

import org.apache.lucene.codecs.Codec;
import org.apache.lucene.codecs.FilterCodec;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.codecs.perfield.PerFieldKnnVectorsFormat;

/** The default codec of the Lucene at hand, under its own name, with our choice of vector format. */
final class VectorCodec extends FilterCodec {
  private final KnnVectorsFormat vectors;

  VectorCodec(KnnVectorsFormat format) {
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

  @Override
  public KnnVectorsFormat knnVectorsFormat() {
    return vectors;
  }
}
