package io.hypserini;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.PostingsEnum;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.hnsw.HnswGraph;

/**
 * An opened index: one reader, at one commit. Thread safe.
 *
 * <p>Vectors stay in the files, mapped into memory; nothing is copied at opening.
 */
public final class Index implements Closeable {
  private final FSDirectory directory;
  private final DirectoryReader reader;
  private final VectorShape shape; // null if no segment has float vectors
  private final BufferPool buffers = new BufferPool();
  private final Map<Integer, BackLinks> backLinks = new HashMap<>(); // by segment
  private final Map<Integer, float[]> lengths = new HashMap<>(); // by segment

  public Index(byte[] path) throws IOException {
    directory = FSDirectory.open(Path.of(Texts.single(path)));
    try {
      reader = DirectoryReader.open(directory);
    } catch (Exception e) {
      directory.close();
      throw e;
    }
    shape = VectorShape.of(reader);
  }

  DirectoryReader reader() {
    return reader;
  }

  BufferPool buffers() {
    return buffers;
  }

  /** The links of a segment's graph, made when they are first asked for. */
  BackLinks backLinks(int segment, HnswGraph graph, int size) throws IOException {
    synchronized (backLinks) {
      BackLinks links = backLinks.get(segment);
      if (links == null) {
        links = BackLinks.of(graph, size);
        backLinks.put(segment, links);
      }
      return links;
    }
  }

  /** Where the lengths of a segment's vectors are kept when they were computed once. */
  float[] lengths(int segment, int size) {
    synchronized (lengths) {
      return lengths.computeIfAbsent(segment, s -> new float[size]);
    }
  }

  /** 0 if no document has a vector. */
  public int dimension() {
    return shape == null ? 0 : shape.dimension();
  }

  /** Null if no document has a vector. */
  public String similarity() {
    return shape == null ? null : Fields.nameOf(shape.similarity());
  }

  /** Live documents. */
  public int numDocs() {
    return reader.numDocs();
  }

  /** One more than the highest document number, deleted ones included. */
  public int maxDoc() {
    return reader.maxDoc();
  }

  /** Live documents that have a vector. */
  public int numVectors() throws IOException {
    int count = 0;
    for (LeafReaderContext leaf : reader.leaves()) {
      FloatVectorValues values = leaf.reader().getFloatVectorValues(Fields.VECTOR);
      Bits live = leaf.reader().getLiveDocs();
      int size = values == null ? 0 : values.size();
      if (live == null) {
        count += size;
      } else {
        for (int ordinal = 0; ordinal < size; ordinal++) {
          count += live.get(LuceneLine.ordToDoc(values, ordinal)) ? 1 : 0;
        }
      }
    }
    return count;
  }

  public int numSegments() {
    return reader.leaves().size();
  }

  /** The user data of the commit, as {@link Texts} (name, value, ...). */
  public byte[] metadata() throws IOException {
    return Texts.pack(reader.getIndexCommit().getUserData());
  }

  /** The live document of this id, or -1. */
  public int docOf(byte[] docid) throws IOException {
    BytesRef term = new Texts(docid).utf8(0);
    for (LeafReaderContext leaf : reader.leaves()) {
      Terms terms = leaf.reader().terms(Fields.ID);
      TermsEnum found = terms == null ? null : terms.iterator();
      if (found != null && found.seekExact(term)) {
        Bits live = leaf.reader().getLiveDocs();
        PostingsEnum documents = found.postings(null, PostingsEnum.NONE);
        for (int doc; (doc = documents.nextDoc()) != PostingsEnum.NO_MORE_DOCS; ) {
          if (live == null || live.get(doc)) {
            return leaf.docBase + doc;
          }
        }
      }
    }
    return -1;
  }

  /** A stored field of a document as {@link Texts} of one, or null if it is not stored. */
  public byte[] stored(int doc, String field) throws IOException {
    String value = reader.storedFields().document(doc, Set.of(field)).get(field);
    return value == null ? null : Texts.pack(List.of(new BytesRef(value)));
  }

  /** The docids of the live documents numbered from..to, as {@link Texts}. */
  public byte[] docids(int from, int to) throws IOException {
    Docids lookup = new Docids(reader.leaves());
    List<BytesRef> found = new ArrayList<>();
    for (int doc = from; doc < to; doc++) {
      LeafReaderContext leaf = reader.leaves().get(ReaderUtil.subIndex(doc, reader.leaves()));
      Bits live = leaf.reader().getLiveDocs();
      if (live == null || live.get(doc - leaf.docBase)) {
        found.add(lookup.of(doc));
      }
    }
    return Texts.pack(found);
  }

  /** The vector of a document, or null if it has none. */
  public float[] vector(int doc) throws IOException {
    LeafReaderContext leaf = reader.leaves().get(ReaderUtil.subIndex(doc, reader.leaves()));
    LeafReader segment = leaf.reader();
    float[] vector = LuceneLine.vectorOf(segment, Fields.VECTOR, doc - leaf.docBase);
    return vector == null ? null : vector.clone();
  }

  /** Up to {@code most} vectors spread evenly over the index, as little-endian float32. */
  public byte[] someVectors(int most) throws IOException {
    GraphSegments segments = new GraphSegments(this, null);
    int count = Math.min(most, segments.size);
    ByteBuffer some =
        ByteBuffer.allocate(4 * dimension() * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      int number = (int) ((2L * i + 1) * segments.size / (2L * count));
      GraphSegment segment = segments.of(number);
      for (float component : segment.vector(number - segment.ordinalBase)) {
        some.putFloat(component);
      }
    }
    return some.array();
  }

  /** Files stay mapped until the last {@link Candidates} over this index is closed too. */
  @Override
  public void close() throws IOException {
    reader.close();
    directory.close();
  }
}
