package io.hypserini;

import java.io.IOException;
import java.util.Arrays;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.util.hnsw.HnswGraph;

/**
 * Edges of a graph's lowest level, turned round, that lead to nodes which hardly any edge leads to.
 *
 * <p>A graph keeps of a node's neighbours those that are diverse, so among documents that are nearly
 * equal many end up with few edges to them, or none: of 50,000 documentation strings, every 28th
 * cannot be reached at all. Such nodes have edges of their own, though; followed backwards, those
 * make them findable again. Immutable; made by one pass over the graph.
 */
final class BackLinks {
  /** A node that fewer edges lead to is linked back to. */
  private static final int FEW = 3;

  static final int NONE = -1;

  private final int[] first; // by node: a link, or NONE
  private final int[] next; // by link: the next of the same node, or NONE
  private final int[] target; // by link: the node it leads to

  private BackLinks(int[] first, int[] next, int[] target) {
    this.first = first;
    this.next = next;
    this.target = target;
  }

  /** @param graph is moved */
  static BackLinks of(HnswGraph graph, int size) throws IOException {
    byte[] edges = new byte[size]; // to each node, counted as far as FEW
    for (int node = 0; node < size; node++) {
      graph.seek(0, node);
      for (int to; (to = graph.nextNeighbor()) != DocIdSetIterator.NO_MORE_DOCS; ) {
        edges[to] += edges[to] < FEW ? 1 : 0;
      }
    }
    int[] first = new int[size];
    Arrays.fill(first, NONE);
    int[] next = new int[64];
    int[] target = new int[64];
    int links = 0;
    for (int node = 0; node < size; node++) {
      if (edges[node] < FEW) {
        graph.seek(0, node);
        for (int from; (from = graph.nextNeighbor()) != DocIdSetIterator.NO_MORE_DOCS; links++) {
          if (links == next.length) {
            next = Arrays.copyOf(next, 2 * links);
            target = Arrays.copyOf(target, 2 * links);
          }
          next[links] = first[from];
          target[links] = node;
          first[from] = links;
        }
      }
    }
    return new BackLinks(first, Arrays.copyOf(next, links), Arrays.copyOf(target, links));
  }

  /** The first link of a node, or {@link #NONE}. */
  int first(int node) {
    return first[node];
  }

  /** The link after another one, or {@link #NONE}. */
  int next(int link) {
    return next[link];
  }

  /** The node that a link leads to. */
  int target(int link) {
    return target[link];
  }
}
