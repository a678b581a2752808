// Packs what was built into packed/, and checks it: as npm, as TypeScript, and by its size.
import { execFileSync } from "node:child_process";
import { mkdir, readdir, rm } from "node:fs/promises";

const root = new URL("../", import.meta.url);
const packed = new URL("packed/", root);

/** Runs a command of npm's; shows what it says where it fails. */
function run(command, ...given) {
  try {
    execFileSync(command, given, { cwd: root, stdio: "pipe", encoding: "utf8" });
  } catch (error) {
    console.error(`${command} ${given.join(" ")}\n${error.stdout}${error.stderr}`);
    process.exit(1);
  }
}

await rm(packed, { recursive: true, force: true });
await mkdir(packed);
run("npm", "pack", "--silent", "--pack-destination", "packed");
const [name] = await readdir(packed);
run("npx", "publint", "--strict", `packed/${name}`);
// TypeScript's resolution "node10" knows no subpaths; every Node that the package runs in does.
run("npx", "attw", "--profile", "node16", `packed/${name}`);
run("npx", "size-limit");
