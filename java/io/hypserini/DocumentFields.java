package io.hypserini;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.lucene.document.BinaryDocValuesField;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.FieldType;
import org.apache.lucene.document.KnnFloatVectorField;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.index.IndexOptions;
import org.apache.lucene.index.IndexableField;
import org.apache.lucene.index.VectorSimilarityFunction;
import org.apache.lucene.util.BytesRef;

/**
 * The fields of one document, as Anserini writes them, filled anew for each document: Lucene copies
 * what it keeps. One per indexing thread.
 */
final class DocumentFields {
  private final StringField id = new StringField(Fields.ID, "", Field.Store.YES);
  private final BinaryDocValuesField idOrder =
      new BinaryDocValuesField(Fields.ID, new BytesRef());
  private final StoredField raw = new StoredField(Fields.RAW, "");
  private final Field contents;
  private final float[] values;
  private final KnnFloatVectorField vector;
  private final List<IndexableField> fields = new ArrayList<>(5);

  DocumentFields(int dimension, VectorSimilarityFunction similarity, boolean termVectors) {
    FieldType text = new FieldType();
    text.setIndexOptions(IndexOptions.DOCS_AND_FREQS_AND_POSITIONS);
    text.setStoreTermVectors(termVectors);
    text.setStoreTermVectorPositions(termVectors);
    text.freeze();
    contents = new Field(Fields.CONTENTS, "", text);
    values = new float[dimension];
    Arrays.fill(values, 1); // until it holds a document's; Lucene 10 takes no zeros here for cosine
    vector = new KnnFloatVectorField(Fields.VECTOR, values, similarity);
  }

  /** Where the vector of the next document goes. */
  float[] values() {
    return values;
  }

  /** Texts may be null: then no document of the block has that field. */
  Iterable<IndexableField> of(int i, Texts ids, Texts allContents, Texts raws) {
    fields.clear();
    id.setStringValue(ids.string(i));
    idOrder.setBytesValue(ids.utf8(i));
    fields.add(id);
    fields.add(idOrder);
    if (raws != null) {
      raw.setStringValue(raws.string(i));
      fields.add(raw);
    }
    if (allContents != null) {
      contents.setStringValue(allContents.string(i));
      fields.add(contents);
    }
    fields.add(vector);
    return fields;
  }
}
