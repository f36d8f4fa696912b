package io.hypserini;

/**
 * Lets this jar join a JVM that is already running: loading an agent puts its jar on the class path.
 * There is nothing else to do.
 */
public final class Agent {
  private Agent() {}

  public static void agentmain(String arguments) {}
}
