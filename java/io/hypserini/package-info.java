/**
 * The Java side of hypserini: it owns the index, and hands vectors to Python through shared memory.
 *
 * <p>Control runs from Python to Java only. Python calls {@link io.hypserini.Candidates#next}, scores
 * what it finds in the shared buffers, and calls {@link io.hypserini.Candidates#accept}. Nothing here
 * calls back.
 *
 * <p>An index has Anserini's fields, so that Anserini and Pyserini open it unchanged; see {@link
 * io.hypserini.Fields}.
 */
package io.hypserini;
