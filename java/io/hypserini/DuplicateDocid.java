package io.hypserini;

/** A document id that was added twice; the message is the id alone. */
public final class DuplicateDocid extends RuntimeException {
  DuplicateDocid(String docid) {
    super(docid);
  }
}
