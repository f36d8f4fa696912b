package io.hypserini;

/**
 * A direction in the space of the vectors, by which they are ranked.
 *
 * @param byAngle by the cosine with the direction, else by the inner product
 */
record Direction(float[] vector, boolean byAngle) {}
