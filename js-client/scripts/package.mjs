// Packs what was built into packed/, and checks it: as npm, as TypeScript, and by its size.
import { execFile } from "node:child_process";
import { mkdir, readdir, rm } from "node:fs/promises";
import { promisify } from "node:util";

const root = new URL("../", import.meta.url);
const packed = new URL("packed/", root);

/** Runs a command of npm's; shows what it says where it fails. */
async function run(command, ...given) {
  try {
    await promisify(execFile)(command, given, { cwd: root });
  } catch ({ stdout, stderr }) {
    console.error(`${command} ${given.join(" ")}\n${stdout}${stderr}`);
    process.exitCode = 1;
  }
}

await rm(packed, { recursive: true, force: true });
await mkdir(packed);
await run("npm", "pack", "--silent", "--pack-destination", "packed");
const [name] = await readdir(packed);
await Promise.all([
  run("npx", "publint", "--strict", `packed/${name}`),
  // TypeScript's resolution "node10" knows no subpaths; every Node that the package runs in does.
  run("npx", "attw", "--profile", "node16", `packed/${name}`),
  run("npx", "size-limit"),
]);
