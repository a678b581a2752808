/** The other runtimes, as npm brings them where there is a build for this machine. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./installed.js";

const MODULES = join(ROOT, "node_modules");
const ARCHES: Readonly<Record<string, string>> = { arm64: "(arm64|aarch64)" };

export interface Runtime {
  readonly name: string;
  /** What runs a program that is named behind it; none where npm brought no build. */
  readonly command: readonly string[] | undefined;
}

export const RUNTIMES: readonly Runtime[] = [
  // Where npm runs scripts of packages, Bun has been moved out of its build.
  runtime("bun", "@oven", "bin/bun", [], [join(MODULES, "bun/bin/bun.exe")]),
  runtime("deno", "@deno", "deno", ["run", "--allow-all", "--node-modules-dir=manual"]),
];

/** The builds of a runtime that would run here. */
export function buildsFor(name: string): string[] {
  const manifest = readFileSync(join(MODULES, name, "package.json"), "utf8");
  const { optionalDependencies } = JSON.parse(manifest);
  const arch = ARCHES[process.arch] ?? process.arch;
  const { glibcVersionRuntime } = (process.report.getReport() as Report).header;
  const libc = process.platform !== "linux" ? "" : glibcVersionRuntime ? "(-glibc)?" : "-musl";
  const fitting = new RegExp(`${process.platform}-${arch}${libc}$`);
  return Object.keys(optionalDependencies).filter((build) => fitting.test(build));
}

interface Report {
  readonly header: { readonly glibcVersionRuntime?: string };
}

function runtime(
  name: string,
  scope: string,
  program: string,
  words: readonly string[],
  elsewhere: readonly string[] = [],
): Runtime {
  const folder = join(MODULES, scope);
  const builds = existsSync(folder) ? readdirSync(folder) : [];
  const paths = [...builds.map((build) => join(folder, build, program)), ...elsewhere];
  const found = paths.find((path) => existsSync(path));
  return { name, command: found === undefined ? undefined : [found, ...words] };
}
