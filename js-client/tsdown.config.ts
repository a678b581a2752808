import { defineConfig } from "tsdown";

export default defineConfig({
  entry: [
    "src/index.ts",
    "src/full.ts",
    "src/flight.ts",
    "src/zstd.ts",
    "src/lz4.ts",
    "src/typegen.ts",
  ],
  format: ["esm", "cjs"],
  target: "es2022",
  platform: "neutral",
  dts: true,
  sourcemap: true,
  fixedExtension: false,
  // Both are small and written in JavaScript; whoever installs the package need not know of them.
  deps: { onlyBundle: ["fzstd", "lz4js"], neverBundle: [/^node:/] },
  inputOptions: {
    resolve: { mainFields: ["module", "main"] },
    checks: { pluginTimings: false },
    // A constant that is written out leaves an import of nothing, which esbuild warns of.
    optimization: { inlineConst: false },
  },
  logLevel: "warn",
});
