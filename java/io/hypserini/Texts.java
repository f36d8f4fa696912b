package io.hypserini;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.lucene.util.BytesRef;

/**
 * Many strings in one array of bytes, so that a block of documents crosses from Python in one call.
 *
 * <p>Layout: the number of strings and their lengths as little-endian int32, then their UTF-8 bytes
 * one after another. Strings never cross one by one: that costs a call each, and pyjnius garbles characters
 * beyond the basic plane.
 */
final class Texts {
  private final byte[] bytes;
  private final int[] starts; // starts[i] .. starts[i + 1] is string i

  Texts(byte[] bytes) {
    this.bytes = bytes;
    ByteBuffer lengths = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int count = lengths.getInt();
    this.starts = new int[count + 1];
    starts[0] = Math.multiplyExact(count + 1, Integer.BYTES);
    for (int i = 0; i < count; i++) {
      starts[i + 1] = Math.addExact(starts[i], lengths.getInt());
    }
    if (starts[count] != bytes.length) {
      throw new IllegalArgumentException("texts end at " + starts[count] + " of " + bytes.length);
    }
  }

  int count() {
    return starts.length - 1;
  }

  String string(int i) {
    return new String(bytes, starts[i], starts[i + 1] - starts[i], StandardCharsets.UTF_8);
  }

  /** A view; copy it to keep it. */
  BytesRef utf8(int i) {
    return new BytesRef(bytes, starts[i], starts[i + 1] - starts[i]);
  }

  static String single(byte[] bytes) {
    return new Texts(bytes).string(0);
  }

  /** Name, value, name, value, ... */
  static byte[] pack(Map<String, String> pairs) {
    List<BytesRef> strings = new ArrayList<>();
    pairs.forEach(
        (name, value) -> {
          strings.add(new BytesRef(name));
          strings.add(new BytesRef(value));
        });
    return pack(strings);
  }

  /** A null among the strings has the length -1; only Python reads those. */
  static byte[] pack(List<BytesRef> strings) {
    int size = Math.multiplyExact(strings.size() + 1, Integer.BYTES);
    for (BytesRef string : strings) {
      size = Math.addExact(size, string == null ? 0 : string.length);
    }
    ByteBuffer packed = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    packed.putInt(strings.size());
    for (BytesRef string : strings) {
      packed.putInt(string == null ? -1 : string.length);
    }
    for (BytesRef string : strings) {
      if (string != null) {
        packed.put(string.bytes, string.offset, string.length);
      }
    }
    return packed.array();
  }
}
