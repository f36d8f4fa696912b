package io.hypserini;

import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.FieldInfo;
import org.apache.lucene.index.FieldInfos;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.VectorEncoding;
import org.apache.lucene.index.VectorSimilarityFunction;

/** What an index says of its vectors; the same in every segment. */
record VectorShape(int dimension, VectorSimilarityFunction similarity) {

  /**
   * What all folders say that have float vectors; null if none has.
   *
   * @throws Refused if one says otherwise than another
   */
  static VectorShape common(Folders folders) {
    VectorShape common = null;
    for (int i = 0; i < folders.count(); i++) {
      VectorShape shape = of(folders.reader(i));
      if (common == null) {
        common = shape;
      } else if (shape != null) {
        common.refuseOther(shape.dimension, Fields.nameOf(shape.similarity));
      }
    }
    return common;
  }

  /** Returns null if no segment has float vectors. */
  static VectorShape of(DirectoryReader reader) {
    for (LeafReaderContext leaf : reader.leaves()) {
      FieldInfos infos = leaf.reader().getFieldInfos();
      FieldInfo info = infos.fieldInfo(Fields.VECTOR);
      if (info != null
          && info.getVectorDimension() > 0
          && info.getVectorEncoding() == VectorEncoding.FLOAT32) {
        return new VectorShape(info.getVectorDimension(), info.getVectorSimilarityFunction());
      }
    }
    return null;
  }

  void refuseOther(int otherDimension, String otherSimilarity) {
    if (otherDimension != dimension) {
      throw new Refused(
          "the index holds vectors of " + dimension + " dimensions, not " + otherDimension
              + ": use the model it was made with, or make a new index.");
    }
    if (otherSimilarity != null && Fields.similarity(otherSimilarity) != similarity) {
      throw new Refused(
          "the index was made with the similarity " + Fields.nameOf(similarity) + ", not "
              + otherSimilarity + ": use that, or make a new index.");
    }
  }
}
