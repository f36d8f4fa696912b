package io.hypserini;

import java.io.IOException;
import org.apache.lucene.codecs.Codec;
import org.apache.lucene.codecs.FilterCodec;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.codecs.KnnVectorsReader;
import org.apache.lucene.codecs.KnnVectorsWriter;
import org.apache.lucene.codecs.perfield.PerFieldKnnVectorsFormat;
import org.apache.lucene.index.SegmentReadState;
import org.apache.lucene.index.SegmentWriteState;

/**
 * The default codec of the Lucene at hand, under its own name, with our choice of vector format.
 *
 * <p>Segments that are flushed get the flat format: a graph that is built then is built again when the
 * segment is merged, and by one thread. Every segment notes its own format, by which it is read.
 */
final class VectorCodec extends FilterCodec {
  private final KnnVectorsFormat vectors;

  VectorCodec(KnnVectorsFormat format) {
    super(Codec.getDefault().getName(), Codec.getDefault());
    KnnVectorsFormat merged = forAllFields(format);
    KnnVectorsFormat flushed = forAllFields(KnnVectorsFormat.forName(LuceneLine.FLAT_FORMAT));
    this.vectors =
        new KnnVectorsFormat(merged.getName()) {
          @Override
          public KnnVectorsWriter fieldsWriter(SegmentWriteState state) throws IOException {
            return (LuceneLine.isMerge(state) ? merged : flushed).fieldsWriter(state);
          }

          @Override
          public KnnVectorsReader fieldsReader(SegmentReadState state) throws IOException {
            return merged.fieldsReader(state);
          }

          @Override
          public int getMaxDimensions(String field) {
            return merged.getMaxDimensions(field);
          }
        };
  }

  private static KnnVectorsFormat forAllFields(KnnVectorsFormat format) {
    KnnVectorsFormat chosen = new AnyDimensionFormat(format);
    return new PerFieldKnnVectorsFormat() {
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
