import { defineConfig } from "tsdown";

// The page of the server's /demo, in one script: the package as it is built, and apache-arrow.
export default defineConfig({
  entry: { demo: "demo/main.ts" },
  outDir: "../control_api/demo_page",
  format: "esm",
  platform: "browser",
  target: "es2022",
  // Without it "pixelflight" is what package.json exports, and not the sources.
  tsconfig: false,
  deps: { alwaysBundle: [/./], onlyBundle: false },
  copy: ["demo/index.html", "demo/demo.css"],
  // One file, without those that are loaded when they are needed.
  outputOptions: { codeSplitting: false },
  minify: true,
  banner: "/*! Holds Apache Arrow and FlatBuffers (Apache-2.0) and tslib (0BSD). */",
  dts: false,
  logLevel: "warn",
});
