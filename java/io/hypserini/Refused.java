package io.hypserini;

/** Something the caller can mend; the message is one sentence for the user. */
public final class Refused extends RuntimeException {
  Refused(String sentence) {
    super(sentence);
  }
}
