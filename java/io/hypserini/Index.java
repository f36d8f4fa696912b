package io.hypserini;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.lucene.index.IndexReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.index.StoredFields;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.IOUtils;

/**
 * An opened index, in one folder or several: one reader, at one commit. Thread safe.
 *
 * <p>Vectors stay in the files, mapped into memory; nothing is copied at opening.
 */
public final class Index implements Closeable {
  private final Folders folders;
  private final IndexReader reader;
  private final VectorShape shape; // null if no segment has float vectors
  private final BufferPool buffers = new BufferPool();
  private final Map<Integer, Integer> liveVectors = new HashMap<>(); // by segment

  /**
   * @param paths of its folders, as {@link Texts}
   */
  public Index(byte[] paths) throws IOException {
    folders = new Folders(paths);
    reader = folders.reader();
    try {
      shape = VectorShape.common(folders);
    } catch (Throwable e) {
      IOUtils.closeWhileHandlingException(folders);
      throw e;
    }
  }

  IndexReader reader() {
    return reader;
  }

  BufferPool buffers() {
    return buffers;
  }

  /** Live vectors of a segment, counted when that is first asked for. */
  int liveVectors(LeafReaderContext leaf) throws IOException {
    synchronized (liveVectors) {
      Integer count = liveVectors.get(leaf.ord);
      if (count == null) {
        count = Vectors.live(leaf.reader());
        liveVectors.put(leaf.ord, count);
      }
      return count;
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

  /** Whether Lucene's own search steers better, where the field's similarity ranks as is wanted. */
  public boolean suitsFormatSearch() {
    return LuceneLine.SUITS_FORMAT_SEARCH;
  }

  /** Whether a copy of the vectors of a few bits a component is searched in every segment. */
  public boolean isQuantized() {
    return reader.leaves().stream()
        .map(leaf -> leaf.reader().getFieldInfos().fieldInfo(Fields.VECTOR))
        .allMatch(field -> field == null || VectorFormats.isQuantized(field));
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
      count += liveVectors(leaf);
    }
    return count;
  }

  public int numSegments() {
    return reader.leaves().size();
  }

  /** The user data of a folder's commit, as {@link Texts} (name, value, ...). */
  public byte[] metadata(int folder) throws IOException {
    return Texts.pack(folders.reader(folder).getIndexCommit().getUserData());
  }

  /** Live documents of a folder. */
  public int numDocs(int folder) {
    return folders.reader(folder).numDocs();
  }

  /** The live document of each docid, or -1; docids as {@link Texts}. */
  public int[] docsOf(byte[] docids) throws IOException {
    return Docids.find(reader.leaves(), new Texts(docids));
  }

  /**
   * A stored field of the document of each docid as {@link Texts}, null where there is no such
   * document or nothing is stored.
   */
  public byte[] stored(byte[] docids, String field) throws IOException {
    int[] docs = docsOf(docids);
    BytesRef[] values = new BytesRef[docs.length];
    StoredFields fields = reader.storedFields();
    for (int i : forwards(docs)) {
      String value = fields.document(docs[i], Set.of(field)).get(field);
      values[i] = value == null ? null : new BytesRef(value);
    }
    return Texts.pack(Arrays.asList(values));
  }

  /** The positions of those documents that are none of -1, in the order of the index. */
  private static int[] forwards(int[] docs) {
    return IntStream.range(0, docs.length)
        .filter(i -> docs[i] >= 0)
        .mapToLong(i -> (long) docs[i] << 32 | i)
        .sorted()
        .mapToInt(one -> (int) one)
        .toArray();
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

  /**
   * The vectors of the documents of some docids, as little-endian float32; NaN where there is none,
   * which no vector in an index holds.
   */
  public byte[] vectors(byte[] docids) throws IOException {
    int[] docs = docsOf(docids);
    float[] rows = new float[Math.multiplyExact(docs.length, dimension())];
    Arrays.fill(rows, Float.NaN);
    VectorCursor cursor = new VectorCursor(reader.leaves());
    int[] forwards = forwards(docs);
    cursor.prefetch(Arrays.stream(forwards).map(i -> docs[i]).toArray());
    for (int i : forwards) {
      if (cursor.seek(docs[i])) {
        System.arraycopy(cursor.vector(), 0, rows, i * dimension(), dimension());
      }
    }
    return littleEndian(rows);
  }

  static byte[] littleEndian(float[] values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(Math.multiplyExact(Float.BYTES, values.length))
            .order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return bytes.array();
  }

  /** Up to {@code most} vectors spread evenly over the index, as little-endian float32. */
  public byte[] someVectors(int most) throws IOException {
    GraphSegments segments = new GraphSegments(this, null);
    int count = Math.min(most, segments.size);
    float[] some = new float[dimension() * count];
    for (int i = 0; i < count; i++) {
      int number = (int) ((2L * i + 1) * segments.size / (2L * count));
      GraphSegment segment = segments.of(number);
      float[] vector = segment.vector(number - segment.ordinalBase);
      System.arraycopy(vector, 0, some, i * dimension(), dimension());
    }
    return littleEndian(some);
  }

  /** Files stay mapped until the last {@link Candidates} over this index is closed too. */
  @Override
  public void close() throws IOException {
    folders.close();
  }
}
