#!/usr/bin/env node
import process from "node:process";
import { typegen } from "./typegen/command.js";

typegen(process.argv.slice(2), process.env).then(({ exitCode, stdout, stderr }) => {
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = exitCode;
});
