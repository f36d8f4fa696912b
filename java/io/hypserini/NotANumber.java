package io.hypserini;

/** A score that is not a number; the message is the query's position, a space, and the docid. */
public final class NotANumber extends RuntimeException {
  NotANumber(int query, String docid) {
    super(query + " " + docid);
  }
}
