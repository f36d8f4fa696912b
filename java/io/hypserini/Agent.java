package io.hypserini;

import java.io.File;
import java.io.IOException;
import java.lang.instrument.Instrumentation;
import java.util.jar.JarFile;

/**
 * Lets jars join a JVM that is already running: loading an agent puts its jar on the class path, and
 * this one puts others there.
 */
public final class Agent {
  private Agent() {}

  /** @param jars paths with the path separator between; null: none */
  public static void agentmain(String jars, Instrumentation instrumentation) throws IOException {
    if (jars == null || jars.isEmpty()) {
      return;
    }
    for (String jar : jars.split(File.pathSeparator)) {
      instrumentation.appendToSystemClassLoaderSearch(new JarFile(jar));
    }
  }
}
