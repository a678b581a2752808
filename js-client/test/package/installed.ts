/** The package as npm packed it, installed as a user has it. */
import { execFile, execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PACKED = join(ROOT, "packed");
const PROGRAMS = ["tour.mjs", "consumer.mjs", "consumer.cjs", "consumer.mts", "page.html"];
// The peers, and what apache-arrow needs where it is not found by Node.
const BESIDE = ["apache-arrow", "@grpc/grpc-js", "flatbuffers", "tslib"];

/** The packed file, which has to be of the sources as they are. */
export function packed(): string {
  const name = existsSync(PACKED) ? readdirSync(PACKED)[0] : undefined;
  const path = join(PACKED, name ?? "");
  const newest = Math.max(...sources().map((source) => statSync(source).mtimeMs));
  if (!name || statSync(path).mtimeMs < newest) {
    throw new Error("The package is not built of these sources: run 'npm run package' first.");
  }
  return path;
}

/** The names of the files in it. */
export function packedFiles(): string[] {
  const list = execFileSync("tar", ["tzf", packed()], { encoding: "utf8" });
  return list
    .trim()
    .split("\n")
    .map((line) => line.replace(/^package\//, ""))
    .sort();
}

/** A folder of programs that have the package in their `node_modules`, beside its peers. */
export function installed(): string {
  const folder = mkdtempSync(join(tmpdir(), "pixelflight-package-"));
  const target = join(folder, "node_modules", "pixelflight");
  mkdirSync(target, { recursive: true });
  execFileSync("tar", ["xzf", packed(), "-C", target, "--strip-components=1"]);
  for (const name of BESIDE) {
    const link = join(folder, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), link);
  }
  for (const name of PROGRAMS)
    copyFileSync(join(ROOT, "test", "package", name), join(folder, name));
  copyFileSync(join(folder, "consumer.mts"), join(folder, "consumer.cts"));
  return folder;
}

/** Compiles programs of the folder, against the types of the package. */
export async function compile(folder: string, programs: readonly string[]): Promise<void> {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const language = [
    "--target",
    "es2022",
    "--lib",
    "es2022,esnext.disposable,dom,dom.asynciterable",
  ];
  const types = ["--types", "node", "--typeRoots", join(ROOT, "node_modules/@types")];
  const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext"];
  const given = [tsc, ...options, ...language, ...types, ...programs];
  await promisify(execFile)("node", given, { cwd: folder }).catch(({ stdout }) => {
    throw new Error(`TypeScript does not compile against the package:\n${stdout}`);
  });
}

function sources(): string[] {
  const written = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" });
  const code = written.filter((name) => !name.startsWith("generated") && name.endsWith(".ts"));
  return [...code.map((name) => join(ROOT, "src", name)), join(ROOT, "package.json")];
}
