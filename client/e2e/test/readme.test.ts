// The examples in the packages' READMEs are compiled against what the packages export, as strictly as a fresh Vite
// application does it.

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
  verbatimModuleSyntax: true,
  moduleDetection: ts.ModuleDetectionKind.Force,
  noUnusedLocals: true,
  noUnusedParameters: true,
  erasableSyntaxOnly: true,
  noFallthroughCasesInSwitch: true,
  noUncheckedSideEffectImports: true,
};

/** Examples for browsers, and those for Node. */
const PLATFORMS: [string, string[]][] = [
  ["", []],
  [" node", ["node"]],
];

test.each(["sdk", "react"])("examples of %s compile", (name) => {
  const root = fileURLToPath(new URL(`../../${name}/`, import.meta.url));
  const readme = readFileSync(`${root}README.md`, "utf8");
  let count = 0;
  for (const [platform, types] of PLATFORMS) {
    const examples = new Map<string, string>();
    for (const [, kind = "", code = ""] of readme.matchAll(
      new RegExp(`\`\`\`(tsx?)${platform}\n([^]*?)\`\`\``, "g"),
    ))
      examples.set(`${root}example-${count++}.${kind}`, code);
    expect(problemsOf(examples, { ...OPTIONS, types })).toEqual([]);
  }
  expect(count).toBeGreaterThan(1);
});

function problemsOf(examples: ReadonlyMap<string, string>, options: ts.CompilerOptions): string[] {
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => examples.has(path) || fileExists.call(host, path);
  host.getSourceFile = (path, version) => {
    const example = examples.get(path);
    return example === undefined
      ? getSourceFile.call(host, path, version)
      : ts.createSourceFile(path, example, version);
  };
  const program = ts.createProgram([...examples.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    return `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
}
