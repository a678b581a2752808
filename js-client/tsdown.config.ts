import { defineConfig } from "tsdown";

export default defineConfig({
  entry: ["src/index.ts", "src/flight.ts", "src/zstd.ts", "src/lz4.ts"],
  format: ["esm", "cjs"],
  target: "es2022",
  platform: "neutral",
  dts: true,
  sourcemap: true,
  fixedExtension: false,
  inputOptions: { resolve: { mainFields: ["module", "main"] } },
});
