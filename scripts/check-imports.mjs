// Checks every import of the tree against import-rules.mjs. Exit 1 when one is not allowed.
// `node scripts/check-imports.mjs [DIR]` checks another tree of the same layout.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, extname, join, posix, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseSync } from "vite";
import * as rules from "./import-rules.mjs";

const SOURCE_EXTENSIONS = new Set([".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"]);
const LEFT_OUT = new Set(["node_modules", "dist", "build", ".cache", ".git", "coverage", "test-results", "results"]);
const CHECKED = [...Object.keys(rules.WORKSPACE_IMPORTS), "scripts"];
const BUILTINS = new Set(builtinModules.map((name) => name.replace(/^node:/, "").split("/")[0]));

/** @typedef {{ path: string, line: number, message: string }} Violation */

/** Checks the tree at `root`. @returns {{ files: number, violations: Violation[] }} */
export function checkTree(root) {
  const violations = [];
  const files = CHECKED.flatMap((folder) => sourceFiles(join(root, folder)));
  for (const file of files) {
    const path = relative(root, file).split(sep).join("/");
    violations.push(...checkFile(path, readFileSync(file, "utf8")));
  }
  return { files: files.length, violations };
}

/** @param {string} path Relative to the root, with `/`. @returns {Violation[]} */
export function checkFile(path, text) {
  const parsed = parseSync(path, text, { sourceType: "module" });
  const at = (offset) => text.slice(0, offset).split("\n").length;
  if (parsed.errors.length > 0) {
    return [{ path, line: 1, message: `cannot be parsed: ${parsed.errors[0].message}` }];
  }
  const { imports, impure } = collect(parsed.program);
  const found = [];
  for (const entry of imports) {
    for (const message of judgeImport(path, entry)) found.push({ path, line: at(entry.offset), message });
  }
  if (isPure(path)) {
    for (const entry of impure) {
      found.push({ path, line: at(entry.offset), message: `domain code must not call ${entry.name}: pass it in` });
    }
  }
  return found;
}

function* judgeImport(path, entry) {
  const { specifier } = entry;
  if (specifier === null) {
    if (!rules.isTestFile(path) && !path.startsWith("scripts/")) {
      yield "imports something that is only known at run time: no rule can be checked";
    }
    return;
  }
  for (const banned of rules.BANNED_NAMES) {
    if (!banned.modules.includes(specifier)) continue;
    for (const name of banned.names) {
      if (entry.names.includes(name)) yield `${name} of ${specifier} is banned: see import-rules.mjs`;
    }
  }
  for (const rule of rules.RESTRICTED_MODULES) {
    if (!rule.modules.includes(specifier)) continue;
    const allowed = rule.allowedIn.some(
      (prefix) => path === prefix || (prefix.endsWith("/") && path.startsWith(prefix)),
    );
    if (!allowed && !(rule.allowedInTests && rules.isTestFile(path)))
      yield `must not import ${specifier}: ${rule.reason}`;
  }
  if (isBuiltin(specifier)) {
    if (isPure(path)) yield `domain code must not import ${specifier}: it has no input or output`;
    if (isBrowser(path)) yield `renderer code must not import ${specifier}: it runs in a page`;
  }
  yield* specifier.startsWith(".") ? judgeRelative(path, specifier) : judgePackage(path, specifier);
}

function* judgePackage(path, specifier) {
  const match = /^@wardline\/([^/]+)/.exec(specifier);
  if (!match) return;
  const own = workspaceOf(path);
  const other = match[1];
  if (own === null || own === "scripts") return;
  if (other === own) yield `imports its own workspace as ${specifier}: use a relative path`;
  else if (!rules.WORKSPACE_IMPORTS[own].includes(other)) yield `${own} must not import ${other}`;
}

function* judgeRelative(path, specifier) {
  const target = posix.normalize(posix.join(posix.dirname(path), specifier.replace(/\?.*$/, "")));
  const own = workspaceOf(path);
  if (workspaceOf(target) !== own) {
    yield `imports ${specifier} across folders: use the package name (@wardline/…)`;
    return;
  }
  if (path.startsWith(rules.DESIGN_SYSTEM_DIR) && target.startsWith(rules.FEATURES_DIR)) {
    yield `the design system must not import a feature (${specifier})`;
  }
  const from = featureOf(path);
  const to = featureOf(target);
  if (from !== null && to !== null && from !== to && !isFeatureIndex(target, to)) {
    yield `feature ${from} must not import the inside of feature ${to}: use its index`;
  }
}

function workspaceOf(path) {
  const first = path.split("/")[0];
  return CHECKED.includes(first) ? first : null;
}

function featureOf(path) {
  if (!path.startsWith(rules.FEATURES_DIR)) return null;
  return path.slice(rules.FEATURES_DIR.length).split("/")[0] ?? null;
}

function isFeatureIndex(target, feature) {
  return new RegExp(`^${rules.FEATURES_DIR}${feature}(/index(\\.tsx?)?)?$`).test(target);
}

function isPure(path) {
  return rules.PURE_FOLDERS.some((folder) => path.startsWith(folder)) && !rules.isTestFile(path);
}

function isBrowser(path) {
  return rules.BROWSER_FOLDERS.some((folder) => path.startsWith(folder)) && !rules.isTestFile(path);
}

function isBuiltin(specifier) {
  return specifier.startsWith("node:") || BUILTINS.has(specifier.split("/")[0]);
}

/** Every import of a program, in all its forms, and every call that reads clock or chance. */
function collect(program) {
  const imports = [];
  const impure = [];
  const namespaces = new Map();
  const add = (node, source, names) => {
    imports.push({ specifier: constantText(source), names, offset: node.start });
  };
  const visit = (node) => {
    switch (node.type) {
      case "ImportDeclaration":
        add(
          node,
          node.source,
          node.specifiers.map((item) => nameOf(item.imported)),
        );
        for (const item of node.specifiers) {
          if (item.type !== "ImportSpecifier") namespaces.set(item.local.name, node.source.value);
        }
        break;
      case "ExportAllDeclaration":
        add(node, node.source, []);
        break;
      case "ExportNamedDeclaration":
        if (node.source)
          add(
            node,
            node.source,
            node.specifiers.map((item) => nameOf(item.local)),
          );
        break;
      case "ImportExpression":
        add(node, node.source, []);
        break;
      case "TSImportType":
        add(node, node.source ?? node.argument, []);
        break;
      case "TSExternalModuleReference":
        add(node, node.expression, []);
        break;
      case "CallExpression":
        if (isRequire(node)) add(node, node.arguments[0], []);
        break;
      case "MemberExpression":
        noteMember(node, namespaces, imports, impure);
        break;
      case "VariableDeclarator":
        // `const { fork } = await import("node:child_process")`
        if (node.id.type === "ObjectPattern" && loadedModule(node.init) !== null) {
          const names = node.id.properties.map((property) => nameOf(property.key));
          imports.push({ specifier: loadedModule(node.init), names, offset: node.start });
        }
        break;
      case "NewExpression":
        if (node.callee.name === "Date" && node.arguments.length === 0)
          impure.push({ name: "new Date()", offset: node.start });
        break;
    }
    for (const child of childrenOf(node)) visit(child);
  };
  visit(program);
  return { imports, impure };
}

/** Module that an expression like `await import("x")` or `require("x")` gives, or null. */
function loadedModule(node) {
  if (node?.type === "AwaitExpression") return loadedModule(node.argument);
  if (node?.type === "ParenthesizedExpression") return loadedModule(node.expression);
  if (node?.type === "ImportExpression") return constantText(node.source);
  return node?.type === "CallExpression" && isRequire(node) ? constantText(node.arguments[0]) : null;
}

function noteMember(node, namespaces, imports, impure) {
  const object = node.object.name;
  const property = node.computed ? constantText(node.property) : node.property.name;
  const loaded = loadedModule(node.object);
  if (loaded !== null && property) imports.push({ specifier: loaded, names: [property], offset: node.start });
  if (!object || !property) return;
  // `childProcess.fork(…)` after `import * as childProcess`.
  if (namespaces.has(object))
    imports.push({ specifier: namespaces.get(object), names: [property], offset: node.start });
  for (const [holder, name] of rules.IMPURE_CALLS) {
    if (object === holder && property === name) impure.push({ name: `${holder}.${name}`, offset: node.start });
  }
}

function isRequire(node) {
  const { callee } = node;
  const direct = callee.type === "Identifier" && callee.name === "require";
  const resolved = callee.type === "MemberExpression" && callee.property.name === "getBuiltinModule";
  return (direct || resolved) && node.arguments.length > 0;
}

function constantText(node) {
  if (node?.type === "TSLiteralType") return constantText(node.literal);
  if (node?.type === "Literal" && typeof node.value === "string") return node.value;
  if (node?.type === "TemplateLiteral" && node.expressions.length === 0) return node.quasis[0].value.cooked;
  return null;
}

function nameOf(node) {
  return node ? (node.name ?? node.value) : "default";
}

function* childrenOf(node) {
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) for (const item of value) if (item?.type) yield item;
    if (value?.type && typeof value.type === "string") yield value;
  }
}

function sourceFiles(dir) {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return LEFT_OUT.has(entry.name) ? [] : sourceFiles(path);
    return entry.isFile() && SOURCE_EXTENSIONS.has(extname(entry.name)) ? [path] : [];
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const root = process.argv[2] ?? dirname(dirname(fileURLToPath(import.meta.url)));
  const { files, violations } = checkTree(root);
  for (const { path, line, message } of violations) console.error(`${path}:${line}: ${message}`);
  console.log(`${files} files checked, ${violations.length} wrong imports`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}
