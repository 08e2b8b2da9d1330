import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fingerprint, Stamps } from "./fingerprint.mjs";
import { whyOutdated } from "./npm-packages.mjs";

const scriptsDir = fileURLToPath(new URL("..", import.meta.url));
let root;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "wardline-setup-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path, content) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), typeof content === "string" ? content : JSON.stringify(content));
}

const lockOf = (packages) => ({ lockfileVersion: 3, packages: { "": { name: "wardline" }, ...packages } });

describe("npm packages are up to date", () => {
  const wanted = {
    "node_modules/a": { version: "1.0.0" },
    "node_modules/a-win32": { version: "1.0.0", optional: true },
    "node_modules/@wardline/main": { link: true, resolved: "main" },
    main: { version: "0.1.0" },
  };

  it("when what npm installed is what the lock file says; packages of other platforms do not count", () => {
    write("package-lock.json", lockOf(wanted));
    write("node_modules/.package-lock.json", { packages: { "node_modules/a": { version: "1.0.0" } } });
    expect(whyOutdated(root)).toBeNull();
  });

  it("and not when nothing, another version or too little is installed", () => {
    write("package-lock.json", lockOf(wanted));
    expect(whyOutdated(root)).toBe("not installed yet");
    write("node_modules/.package-lock.json", { packages: { "node_modules/a": { version: "0.9.0" } } });
    expect(whyOutdated(root)).toBe("a is 0.9.0, 1.0.0 is wanted");
    write("node_modules/.package-lock.json", { packages: {} });
    expect(whyOutdated(root)).toBe("a is missing");
    write("node_modules/.package-lock.json", "half a fi");
    expect(whyOutdated(root)).toBe("not installed yet");
  });

  it("and not without the Node of this platform", () => {
    const name = `node-${process.platform}-${process.arch}`;
    const packages = { [`node_modules/${name}`]: { version: "26.10.0", optional: true } };
    write("package-lock.json", lockOf(packages));
    write("node_modules/.package-lock.json", { packages });
    expect(whyOutdated(root)).toBe(`${name} is missing`);
    write(`node_modules/${name}/bin/node`, "");
    expect(whyOutdated(root)).toBeNull();
  });
});

describe("a build step is repeated", () => {
  it("when the content of an input changes, and not when only its time does", () => {
    write("src/a.ts", "a");
    write("src/node_modules/x.js", "x");
    const before = fingerprint(root, ["src", "absent.json"]);
    utimesSync(join(root, "src/a.ts"), 1, 1);
    write("src/node_modules/x.js", "y");
    write("src/a.test.ts", "tests do not count");
    write("src/dist/out.js", "outputs do not count");
    expect(fingerprint(root, ["src", "absent.json"])).toBe(before);
    write("src/a.ts", "b");
    expect(fingerprint(root, ["src", "absent.json"])).not.toBe(before);
  });

  it("when a file moves, comes or goes", () => {
    write("src/a.ts", "a");
    const before = fingerprint(root, ["src"]);
    write("src/b.ts", "");
    const withSecond = fingerprint(root, ["src"]);
    rmSync(join(root, "src/a.ts"));
    write("src/c.ts", "a");
    expect(new Set([before, withSecond, fingerprint(root, ["src"])]).size).toBe(3);
  });

  it("when its stamp is gone", () => {
    const stamps = new Stamps(root);
    expect(stamps.read("bpf")).toBe("");
    stamps.write("bpf", "1");
    expect(stamps.read("bpf")).toBe("1");
    stamps.remove("bpf");
    expect(stamps.read("bpf")).toBe("");
  });
});

describe("node scripts/setup.mjs", () => {
  const nodeName = `node-${process.platform}-${process.arch}`;
  const packages = { [`node_modules/${nodeName}`]: { version: "26.10.0", optional: true } };

  /** `npm` is a script of ours; the system's packages are the machine's. */
  function setUp(npmScript, mode = "start") {
    if (!existsSync(join(root, "scripts"))) {
      cpSync(join(scriptsDir, "setup.mjs"), join(root, "scripts/setup.mjs"));
      cpSync(join(scriptsDir, "setup"), join(root, "scripts/setup"), { recursive: true });
      write("package-lock.json", lockOf(packages));
    }
    write("npm.cjs", npmScript);
    const result = spawnSync(process.execPath, ["scripts/setup.mjs", ...(mode ? [mode] : [])], {
      cwd: root,
      encoding: "utf8",
      env: {
        ...process.env,
        npm_execpath: join(root, "npm.cjs"),
        npm_node_execpath: process.execPath,
        WARDLINE_NODE: "",
      },
    });
    return { status: result.status, output: result.stdout + result.stderr };
  }

  const installs = `
    const fs = require("node:fs");
    fs.appendFileSync("calls.log", JSON.stringify({ args: process.argv.slice(2), env: Object.keys(process.env) }) + "\\n");
    fs.mkdirSync("node_modules/${nodeName}/bin", { recursive: true });
    fs.symlinkSync(process.execPath, "node_modules/${nodeName}/bin/node");
    fs.writeFileSync("node_modules/.package-lock.json", JSON.stringify({ packages: ${JSON.stringify(packages)} }));`;

  it("installs once, says so, and has nothing to do the second time", () => {
    const first = setUp(installs);
    expect(first.output).toMatch(/done {2}npm packages installed from package-lock\.json/);
    expect(first.status).toBe(0);
    const second = setUp(installs);
    expect(second.output).toMatch(/up to date|Missing/);
    const calls = readFileSync(join(root, "calls.log"), "utf8").trim().split("\n");
    expect(calls).toHaveLength(1);
    const { args, env } = JSON.parse(calls[0]);
    expect(args.slice(0, 2)).toEqual(["ci", "--ignore-scripts"]);
    expect(env.filter((name) => /^npm_(lifecycle|package|command)/.test(name))).toEqual([]);
  });

  it("never fails silently: reason, last words, command and what follows", () => {
    const { status, output } = setUp('console.error("npm error network unreachable"); process.exit(7);');
    expect(status).toBe(1);
    expect(output).toContain("ended with exit code 7");
    expect(output).toContain("npm error network unreachable");
    expect(output).toContain("Cannot go on: the npm packages of package-lock.json");
    expect(output).toContain(`cd ${root} && npm ci --ignore-scripts`);
  });

  it("does not believe an npm that installed nothing", () => {
    const { status, output } = setUp("");
    expect(status).toBe(1);
    expect(output).toContain("npm packages: not installed yet");
  });

  it("takes over the lock of a set-up that has died", () => {
    write(".cache/setup.lock/pid", "2147483646");
    expect(setUp(installs).status).toBe(0);
    expect(existsSync(join(root, ".cache/setup.lock"))).toBe(false);
  });

  it("knows two modes", () => {
    expect(setUp(installs, "").status).toBe(2);
    expect(setUp(installs, "everything").output).toContain("usage:");
  });
});
