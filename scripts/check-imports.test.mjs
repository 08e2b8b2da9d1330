import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkFile, checkTree } from "./check-imports.mjs";
import { WORKSPACE_IMPORTS } from "./import-rules.mjs";

// That our own tree follows every rule is the gate "import rules" of `npm test`.
const messages = (path, text) => checkFile(path, text).map((violation) => violation.message);

describe("a tree with wrong imports", () => {
  let root;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "wardline-imports-"));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function write(path, text) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }

  it("names file and line of each and passes over what is not source", () => {
    write("domain/src/a.ts", '// first line\nimport { readFileSync } from "node:fs";\nreadFileSync("x");\n');
    write("main/src/b.ts", 'import { x } from "@wardline/helper/enforce";\n');
    write("main/node_modules/c/index.js", 'require("electron");\n');
    write("main/dist/d.js", 'import "electron";\n');
    const { files, violations } = checkTree(root);
    expect(files).toBe(2);
    expect(violations.map(({ path, line }) => `${path}:${line}`)).toEqual(["domain/src/a.ts:2", "main/src/b.ts:1"]);
  });
});

describe("arrows between workspaces", () => {
  const names = Object.keys(WORKSPACE_IMPORTS);
  for (const from of names) {
    for (const to of names.filter((name) => name !== from)) {
      const allowed = WORKSPACE_IMPORTS[from].includes(to);
      it(`${from} ${allowed ? "may" : "must not"} import ${to}`, () => {
        const found = messages(`${from}/src/x.ts`, `import type { A } from "@wardline/${to}/a";`);
        expect(found).toEqual(allowed ? [] : [`${from} must not import ${to}`]);
      });
    }
  }

  it.each([
    ["import type", 'import type { A } from "@wardline/helper/a";'],
    ["type inside an import", 'import { type A } from "@wardline/helper/a";'],
    ["import()", 'const a = await import("@wardline/helper/a");'],
    ["import() of a template", "const a = await import(`@wardline/helper/a`);"],
    ["export from", 'export { a } from "@wardline/helper/a";'],
    ["export * from", 'export * from "@wardline/helper/a";'],
    ["export type from", 'export type { A } from "@wardline/helper/a";'],
    ["a type query", 'type A = import("@wardline/helper/a").A;'],
    ["require", 'const a = require("@wardline/helper/a");'],
    ["an import for its effect", 'import "@wardline/helper/a";'],
  ])("sees %s", (_form, text) => {
    expect(messages("main/src/x.ts", text)).toContain("main must not import helper");
  });

  it("does not take a comment or a string for an import", () => {
    const text = '// import "electron";\nexport const a = \'import "@wardline/helper/a"\';\n';
    expect(messages("main/src/x.ts", text)).toEqual([]);
  });

  it("refuses relative paths into another folder, also to a file at the top", () => {
    expect(messages("main/src/x.ts", 'import "../../helper/src/a.ts";')[0]).toMatch(/across folders/);
    expect(messages("main/src/x.ts", 'import "../../vitest.config.ts";')[0]).toMatch(/across folders/);
    expect(messages("main/src/x.ts", 'import "./backend/a.ts";')).toEqual([]);
  });

  it("refuses a workspace's own package name", () => {
    expect(messages("main/src/x.ts", 'import "@wardline/main/backend/a";')[0]).toMatch(/use a relative path/);
  });

  it("refuses an import whose name is only known at run time", () => {
    expect(messages("main/src/x.ts", "await import(name);")[0]).toMatch(/only known at run time/);
  });
});

describe("modules for named files only", () => {
  it("electron", () => {
    expect(messages("main/src/backend/x.ts", 'import type { App } from "electron";')[0]).toMatch(
      /must not import electron/,
    );
    expect(messages("main/src/backend/x.test.ts", 'import { app } from "electron";')[0]).toMatch(
      /must not import electron/,
    );
    expect(messages("main/src/electron/x.ts", 'import { app } from "electron";')).toEqual([]);
  });

  it("node:ffi", () => {
    expect(messages("helper/src/enforce/x.ts", 'import { dlopen } from "node:ffi";')[0]).toMatch(
      /must not import node:ffi/,
    );
    expect(messages("helper/src/linux/bpf/x.ts", 'import { dlopen } from "node:ffi";')).toEqual([]);
  });

  it("child_process", () => {
    const text = 'import { spawn } from "node:child_process";';
    expect(messages("main/src/backend/x.ts", text)[0]).toMatch(/must not import node:child_process/);
    expect(messages("helper/src/x.ts", 'import { spawn } from "child_process";')[0]).toMatch(
      /must not import child_process/,
    );
    expect(messages("main/src/cli/start/agent-process.ts", text)).toEqual([]);
    expect(messages("helper/src/x.test.ts", text)).toEqual([]);
  });

  it("a path that only begins like an allowed file is not allowed", () => {
    const found = messages(
      "main/src/cli/start/agent-process.ts.copy.ts",
      'import { spawn } from "node:child_process";',
    );
    expect(found[0]).toMatch(/must not import/);
  });

  it.each([
    ["by name", 'import { fork } from "node:child_process"; fork("x");'],
    ["under another name", 'import { fork as start } from "node:child_process"; start("x");'],
    ["through the namespace", 'import * as processes from "node:child_process"; processes.fork("x");'],
    ["through the default", 'import processes from "child_process"; processes["fork"]("x");'],
    ["from import()", 'const { fork } = await import("node:child_process");'],
    ["from import(), at once", '(await import("node:child_process")).fork("x");'],
    ["exported on", 'export { fork } from "node:child_process";'],
  ])("fork is banned everywhere: %s", (_form, text) => {
    for (const path of ["scripts/x.mjs", "e2e/src/x.test.ts", "main/src/electron/x.ts"]) {
      expect(messages(path, text)).toContainEqual(expect.stringMatching(/fork of .* is banned/));
    }
  });
});

describe("domain code is pure", () => {
  it.each(["node:fs", "fs", "node:crypto", "fs/promises"])("must not import %s", (name) => {
    expect(messages("domain/src/policy/x.ts", `import * as a from "${name}";`)[0]).toMatch(
      /domain code must not import/,
    );
    expect(messages("domain/src/policy/x.test.ts", `import * as a from "${name}";`)).toEqual([]);
  });

  it.each(["Date.now()", "Math.random()", "new Date()", "performance.now()", "crypto.randomUUID()"])(
    "must not call %s",
    (call) => {
      const found = checkFile("domain/src/policy/x.ts", `export const a = 1;\nexport const b = () => ${call};\n`);
      expect(found).toEqual([expect.objectContaining({ line: 2, message: expect.stringMatching(/must not call/) })]);
      expect(messages("domain/src/policy/testing/x.ts", `export const b = () => ${call};`)).toEqual([]);
      expect(messages("main/src/x.ts", `export const b = () => ${call};`)).toEqual([]);
    },
  );

  it("may use a time that was passed in", () => {
    expect(messages("domain/src/x.ts", "export const a = (ms: number) => new Date(ms);")).toEqual([]);
  });
});

describe("renderer", () => {
  it("imports no Node module", () => {
    expect(messages("renderer/src/app/x.tsx", 'import { join } from "node:path";')[0]).toMatch(/runs in a page/);
    expect(messages("renderer/src/app/x.test.tsx", 'import { join } from "node:path";')).toEqual([]);
  });

  it("features know of each other only the index", () => {
    const path = "renderer/src/features/flows/x.tsx";
    expect(messages(path, 'import { a } from "../policies/model/a.ts";')[0]).toMatch(/must not import the inside of/);
    expect(messages(path, 'import { a } from "../policies/index.ts";')).toEqual([]);
    expect(messages(path, 'import { a } from "./model/a.ts";')).toEqual([]);
    expect(messages(path, 'import { a } from "../../ui/button.tsx";')).toEqual([]);
  });

  it("the design system imports no feature", () => {
    expect(messages("renderer/src/ui/x.tsx", 'import { a } from "../features/flows/index.ts";')[0]).toMatch(
      /design system must not import a feature/,
    );
  });
});

it("reports a file that cannot be parsed instead of passing over it", () => {
  expect(messages("main/src/x.ts", "import { from;")[0]).toMatch(/cannot be parsed/);
});
