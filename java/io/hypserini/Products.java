package io.hypserini;

import org.apache.lucene.util.VectorUtil;

/**
 * Inner products of vectors, here Lucene's: by SIMD on the Java versions that the Lucene at hand
 * knows, which for 9.9 is 21 alone.
 *
 * <p>{@code SimdProducts} does it on every version. It needs the incubator module that the JVM was
 * perhaps started without, and that is missing in some Javas; hence the detour by its name.
 */
class Products {
  static final Products BEST = best();

  Products() {}

  /** Both arrays are equally long. */
  float dot(float[] a, float[] b) {
    return VectorUtil.dotProduct(a, b);
  }

  private static Products best() {
    try {
      Class<?> simd = Class.forName("io.hypserini.SimdProducts");
      Products products = (Products) simd.getDeclaredConstructor().newInstance();
      float[] probe = new float[100];
      java.util.Arrays.fill(probe, 2);
      if (products.dot(probe, probe) == 400) {
        return products;
      }
    } catch (ReflectiveOperationException | LinkageError | RuntimeException e) {
      // not compiled, or no such module here
    }
    return new Products();
  }
}
