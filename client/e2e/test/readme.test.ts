// The examples in the packages' READMEs are compiled against what the packages export.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
  jsx: ts.JsxEmit.ReactJSX,
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: [],
  noUncheckedSideEffectImports: false,
};

test.each(["sdk", "react"])("examples of %s compile", (name) => {
  const root = fileURLToPath(new URL(`../../${name}/`, import.meta.url));
  const readme = readFileSync(`${root}README.md`, "utf8");
  const examples = new Map<string, string>();
  for (const [, kind = "", code = ""] of readme.matchAll(/```(tsx?)\n([\s\S]*?)```/g)) {
    // Each is a module of its own.
    examples.set(`${root}example-${examples.size}.${kind}`, `${code}\nexport {};`);
  }
  expect(examples.size).toBeGreaterThan(0);
  const host = ts.createCompilerHost(OPTIONS);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => examples.has(path) || fileExists.call(host, path);
  host.getSourceFile = (path, version) => {
    const example = examples.get(path);
    return example === undefined
      ? getSourceFile.call(host, path, version)
      : ts.createSourceFile(path, example, version);
  };
  const program = ts.createProgram([...examples.keys()], OPTIONS, host);
  const problems = ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    return `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
  expect(problems).toEqual([]);
});
