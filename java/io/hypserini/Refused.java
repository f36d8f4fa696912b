package io.hypserini;

/** Something the caller can mend; the message is one sentence for the user. */
public final class Refused extends RuntimeException {
  private static final StackTraceElement[] NO_TRACE = {};

  Refused(String sentence) {
    super(sentence, null, false, false);
  }

  /** Takes no memory, of which there may be none. */
  @Override
  public StackTraceElement[] getStackTrace() {
    return NO_TRACE;
  }
}
