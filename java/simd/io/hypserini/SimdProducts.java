package io.hypserini;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** Inner products by SIMD: four sums at once, each of as many lanes as the processor has. */
final class SimdProducts extends Products {
  private static final VectorSpecies<Float> LANES = FloatVector.SPECIES_PREFERRED;
  private static final int WIDTH = LANES.length();

  @Override
  float dot(float[] a, float[] b) {
    FloatVector one = FloatVector.zero(LANES);
    FloatVector two = one;
    FloatVector three = one;
    FloatVector four = one;
    int i = 0;
    for (int end = a.length - a.length % (4 * WIDTH); i < end; i += 4 * WIDTH) {
      one = at(a, i).fma(at(b, i), one);
      two = at(a, i + WIDTH).fma(at(b, i + WIDTH), two);
      three = at(a, i + 2 * WIDTH).fma(at(b, i + 2 * WIDTH), three);
      four = at(a, i + 3 * WIDTH).fma(at(b, i + 3 * WIDTH), four);
    }
    for (int end = LANES.loopBound(a.length); i < end; i += WIDTH) {
      one = at(a, i).fma(at(b, i), one);
    }
    float sum = one.add(two).add(three.add(four)).reduceLanes(VectorOperators.ADD);
    for (; i < a.length; i++) {
      sum = Math.fma(a[i], b[i], sum);
    }
    return sum;
  }

  private static FloatVector at(float[] array, int i) {
    return FloatVector.fromArray(LANES, array, i);
  }
}
