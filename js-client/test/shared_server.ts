/** One server for all files of tests that want nothing special of theirs, each with its own tables. */
import type { TestProject } from "vitest/node";
import { startServer } from "./server.js";

declare module "vitest" {
  interface ProvidedContext {
    /** Where it answers, and its administrator's key: `inject("server")`. */
    server: { readonly url: string; readonly flight: string; readonly key: string };
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { url, flight, key, stop } = await startServer();
  project.provide("server", { url, flight, key });
  return stop;
}
