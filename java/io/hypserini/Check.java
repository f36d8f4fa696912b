package io.hypserini;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.apache.lucene.index.CheckIndex;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.MultiBits;
import org.apache.lucene.index.MultiTerms;
import org.apache.lucene.index.PostingsEnum;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.store.NoLockFactory;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.BytesRef;

/** Looks for what is wrong with an index; changes nothing. */
public final class Check {
  private Check() {}

  /** What Lucene's CheckIndex says of a folder that is damaged; null if it is not. */
  public static String files(byte[] path) throws IOException {
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    Path folder = Path.of(Texts.single(path));
    try (FSDirectory directory = FSDirectory.open(folder, NoLockFactory.INSTANCE);
        CheckIndex check = new CheckIndex(directory);
        PrintStream stream = new PrintStream(said, true, StandardCharsets.UTF_8)) {
      check.setInfoStream(stream);
      CheckIndex.Status status = check.checkIndex();
      return status.clean ? null : said.toString(StandardCharsets.UTF_8);
    }
  }

  /** A docid that two live documents have, in one of the folders or in two; null if none is. */
  public static String doubled(byte[] paths) throws IOException {
    try (Folders folders = new Folders(paths)) {
      Terms terms = MultiTerms.getTerms(folders.reader(), Fields.ID);
      if (terms == null) {
        return null;
      }
      Bits live = MultiBits.getLiveDocs(folders.reader());
      TermsEnum docids = terms.iterator();
      PostingsEnum documents = null;
      for (BytesRef docid; (docid = docids.next()) != null; ) {
        if (docids.docFreq() > 1) {
          documents = docids.postings(documents, PostingsEnum.NONE);
          int count = 0;
          for (int doc; (doc = documents.nextDoc()) != PostingsEnum.NO_MORE_DOCS; ) {
            count += live == null || live.get(doc) ? 1 : 0;
          }
          if (count > 1) {
            return docid.utf8ToString();
          }
        }
      }
      return null;
    }
  }

  /** The docid of a document whose vector has a component that is not finite; null if none has. */
  public static String notFinite(byte[] paths) throws IOException {
    try (Folders folders = new Folders(paths)) {
      for (LeafReaderContext leaf : folders.reader().leaves()) {
        FloatVectorValues values = leaf.reader().getFloatVectorValues(Fields.VECTOR);
        for (int ordinal = 0; values != null && ordinal < values.size(); ordinal++) {
          float sum = 0; // x - x is 0 for finite x, NaN otherwise
          for (float value : LuceneLine.vector(values, ordinal)) {
            sum += value - value;
          }
          if (sum != 0) {
            int doc = leaf.docBase + LuceneLine.ordToDoc(values, ordinal);
            return new Docids(folders.reader().leaves()).of(doc).utf8ToString();
          }
        }
      }
      return null;
    }
  }
}
