package io.hypserini;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * Memory that Java and Python both see.
 *
 * <p>Invariant: the memory lives as long as this object, so whoever holds a view of the address
 * holds this object too.
 */
public final class SharedBuffer {
  private final ByteBuffer bytes;
  private final long address;

  SharedBuffer(long size) {
    if (size > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "a shared block of " + size + " bytes exceeds 2 GiB: use smaller blocks or fewer queries");
    }
    bytes = ByteBuffer.allocateDirect(Math.max(1, (int) size)).order(ByteOrder.nativeOrder());
    address = addressOf(bytes);
  }

  public long address() {
    return address;
  }

  public int size() {
    return bytes.capacity();
  }

  FloatBuffer floats() {
    return bytes.duplicate().clear().order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  IntBuffer ints() {
    return bytes.duplicate().clear().order(ByteOrder.nativeOrder()).asIntBuffer();
  }

  /**
   * By reflection, because MemorySegment is a preview of Java 21 and final since 22. A segment starts
   * at the buffer's position, hence the cleared duplicate.
   */
  private static long addressOf(ByteBuffer buffer) {
    try {
      Class<?> segments = Class.forName("java.lang.foreign.MemorySegment");
      Object segment =
          segments
              .getMethod("ofBuffer", java.nio.Buffer.class)
              .invoke(null, buffer.duplicate().clear());
      return (long) segments.getMethod("address").invoke(segment);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("this Java has no MemorySegment", e);
    }
  }
}
