import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { unmark } from "../../check/examples.ts";
import { DIAGNOSTICS } from "../../check/registry.ts";
import { readPolicyFiles } from "../../read.ts";
import {
  DECLARED_KINDS,
  FOREIGN_KINDS,
  INDEX_FILE,
  type JsonObject,
  type JsonValue,
  SCHEMA_BASE,
  schemaFiles,
} from "./index.ts";

const ROOT = new URL("../../../../../", import.meta.url);
const FOLDER = new URL("assets/schema/", ROOT);
const FILES = schemaFiles(DECLARED_KINDS, FOREIGN_KINDS);

const ajv = new Ajv2020({ allErrors: true, strict: true, strictTypes: false, strictRequired: false });
for (const schema of FILES.values()) ajv.addSchema(schema);

/** What the schema of the index says against a document; empty = nothing. */
function schemaErrors(document: unknown): readonly string[] {
  const validate = ajv.getSchema(`${SCHEMA_BASE}${INDEX_FILE}`)!;
  validate(document);
  return (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
}

/** The errors of reading that are about the document's own shape. */
function readerErrors(document: unknown): readonly string[] {
  const { diagnostics } = readPolicyFiles([{ path: "a.json", text: JSON.stringify(document) }]);
  return diagnostics
    .filter(({ code, severity }) => severity === "error" && (code.startsWith("WL1") || code.startsWith("WL2")))
    .map(({ code, message }) => `${code} ${message}`);
}

function documentsIn(text: string): readonly unknown[] {
  return parseAllDocuments(text).flatMap((document) => {
    const value: unknown = "toJS" in document ? document.toJS() : null;
    return value === null ? [] : [value];
  });
}

function textsIn(folder: string): readonly string[] {
  const directory = new URL(folder, ROOT);
  return readdirSync(directory)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => readFileSync(new URL(name, directory), "utf8"));
}

function conformanceTexts(): readonly string[] {
  return ["cnp-conformance.json", "cnp-conformance-nodes.json", "netpol-e2e.json"].flatMap((name) => {
    const cases = JSON.parse(readFileSync(new URL(`e2e/conformance/${name}`, ROOT), "utf8")) as { policies: string }[];
    return cases.map(({ policies }) => policies);
  });
}

const PAGE = readFileSync(new URL("docs/policy-reference.md", ROOT), "utf8");

const DOCUMENTS = [
  ...new Map(
    [
      ...textsIn("e2e/fixtures/ztap/"),
      ...textsIn("e2e/fixtures/recipes/"),
      ...textsIn("assets/samples/"),
      ...conformanceTexts(),
      ...[...PAGE.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => match[1]!),
    ]
      .flatMap(documentsIn)
      .map((document) => [JSON.stringify(document), document as JsonObject]),
  ).values(),
];

/** Those whose fields are declared. */
const DECLARED = DOCUMENTS.filter(
  ({ apiVersion, kind }) =>
    !FOREIGN_KINDS.some((foreign) => foreign.apiVersion === apiVersion && foreign.kind === kind),
);

describe("assets/schema", () => {
  beforeAll(() => {
    if (!process.env.UPDATE_DOCS) return;
    if (!existsSync(FOLDER)) mkdirSync(FOLDER);
    for (const [name, schema] of FILES) writeFileSync(new URL(name, FOLDER), `${JSON.stringify(schema, null, 2)}\n`);
  });

  it("holds one file for each kind and the index, and nothing else", () => {
    expect(readdirSync(FOLDER).sort()).toEqual([...FILES.keys()].sort());
    expect(FILES.size).toBe(DECLARED_KINDS.length + 1);
  });

  it.each([...FILES.keys()])("%s is what the declarations give (UPDATE_DOCS=1 writes it)", (name) => {
    const text = readFileSync(new URL(name, FOLDER), "utf8");
    expect(text).toBe(`${JSON.stringify(FILES.get(name), null, 2)}\n`);
  });

  it("describes every field", () => {
    const missing: string[] = [];
    const walk = (value: JsonValue, path: string): void => {
      if (typeof value !== "object" || value === null) return;
      if (!Array.isArray(value)) {
        const { properties, title } = value as JsonObject;
        if (title !== undefined && typeof properties === "object") {
          for (const [name, field] of Object.entries(properties as JsonObject)) {
            if (typeof (field as JsonObject).description !== "string") missing.push(`${path}.${name}`);
          }
        }
      }
      for (const [key, item] of Object.entries(value)) walk(item as JsonValue, `${path}.${key}`);
    };
    for (const [name, schema] of FILES) walk(schema, name);
    expect(missing).toEqual([]);
  });
});

describe("schema and reader", { timeout: 120_000 }, () => {
  it("know samples of every kind", () => {
    const kinds = new Set(DOCUMENTS.map(({ kind }) => String(kind)));
    expect(DECLARED_KINDS.map(({ kind }) => kind).filter((kind) => !kinds.has(kind))).toEqual([]);
  });

  it("accept every sample, fixture, conformance manifest and example of the reference", () => {
    const refused = DOCUMENTS.filter((document) => schemaErrors(document).length + readerErrors(document).length > 0);
    expect(refused.map((document) => [document, schemaErrors(document), readerErrors(document)])).toEqual([]);
  });

  it("accept a List of documents", () => {
    expect(schemaErrors({ apiVersion: "v1", kind: "List", items: DOCUMENTS.slice(0, 5) })).toEqual([]);
    expect(schemaErrors({ apiVersion: "v1", kind: "List", items: [{ apiVersion: "v1", kind: "Secret" }] })).not.toEqual(
      [],
    );
  });

  const examplesOf = (code: keyof typeof DIAGNOSTICS): readonly unknown[] => {
    const { example } = DIAGNOSTICS[code];
    return "text" in example ? documentsIn(unmark(example.text).text) : [];
  };

  it.each([
    "WL201",
    "WL202",
    "WL203",
    "WL204",
    "WL205",
    "WL206",
    "WL207",
    "WL208",
    "WL209",
    "WL211",
    "WL212",
    "WL213",
    "WL214",
    "WL217",
    "WL219",
    "WL220",
    "WL221",
    "WL223",
    "WL224",
    "WL225",
    "WL226",
    "WL227",
    "WL228",
    "WL229",
    "WL230",
    "WL232",
  ] as const)("refuse the example of %s", (code) => {
    const refused = examplesOf(code).filter((document) => schemaErrors(document).length > 0);
    expect(refused).toHaveLength(1);
  });

  it("know the same fields: what the schema names is read, and what it does not name is refused", () => {
    for (const document of DECLARED) {
      for (const path of mappingPaths(document)) {
        if (path.includes("matchLabels") || path.includes("labels") || path.includes("annotations")) continue;
        const changed = structuredClone(document) as JsonObject;
        (valueAt(changed, path) as Record<string, JsonValue>).surprise = 1;
        const errors = readerErrors(changed);
        expect(schemaErrors(changed), JSON.stringify(changed)).not.toEqual([]);
        expect(errors, JSON.stringify(changed)).not.toEqual([]);
      }
    }
  });

  it("agree on documents that were changed at random: what is read without an error, the schema accepts", () => {
    let accepted = 0;
    const change = fc.tuple(fc.nat(), fc.constantFrom(...CHANGES), fc.nat(), fc.constantFrom(...VALUES));
    fc.assert(
      fc.property(
        fc.constantFrom(...DECLARED),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        (document, changes) => {
          const changed = structuredClone(document) as JsonObject;
          for (const [where, how, which, value] of changes) mutate(changed, { where, how, which, value });
          if (readerErrors(changed).length > 0) return;
          accepted += 1;
          expect(schemaErrors(changed)).toEqual([]);
        },
      ),
      { numRuns: 3000, seed: 20_261_121 },
    );
    expect(accepted).toBeGreaterThan(200);
  });
});

const CHANGES = ["remove", "replace", "add", "copy"] as const;

const VALUES: readonly JsonValue[] = [
  null,
  0,
  1,
  8,
  80,
  443,
  65_535,
  65_536,
  -1,
  1.5,
  true,
  "",
  "any",
  "web",
  "https",
  "443",
  "TCP",
  "ICMP",
  "ICMPv6",
  "In",
  "Exists",
  "allow",
  "Deny",
  "Accept",
  "Allow",
  "pass",
  "admin",
  "app",
  "Baseline",
  "observe",
  "world",
  "ingress",
  "10.0.0.0/8",
  "2001:db8::1",
  "::ffff:10.0.0.1/104",
  "example.org",
  "*.example.org.",
  "2027-01-31T18:00:00Z",
  [],
  {},
  [{}],
  ["10.0.0.0/8"],
  ["ingress"],
  [{ port: 443 }],
  [{ protocol: "ICMP", type: 8 }],
  { matchLabels: { app: "web" } },
  [{ selector: {} }],
  [{ entity: "mesh" }],
  [{ namespaces: {} }],
  [{ networks: ["::/0"] }],
  { namespaces: {} },
];

const NAMES = [
  "port",
  "endPort",
  "protocol",
  "protocols",
  "ports",
  "from",
  "to",
  "selector",
  "namespaceSelector",
  "hosts",
  "entity",
  "ingress",
  "egress",
  "tier",
  "priority",
  "isolate",
  "action",
  "name",
  "type",
  "code",
  "via",
  "status",
  "uid",
  "values",
  "labels",
  "policyTypes",
  "except",
  "description",
  "mode",
  "expires",
];

interface Mutation {
  readonly where: number;
  readonly how: (typeof CHANGES)[number];
  readonly which: number;
  readonly value: JsonValue;
}

type Path = readonly (string | number)[];

function allPaths(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value !== "object" || value === null) return [];
  return [
    path,
    ...Object.entries(value).flatMap(([key, item]) =>
      allPaths(item, [...path, Array.isArray(value) ? Number(key) : key]),
    ),
  ];
}

function mappingPaths(document: unknown): readonly Path[] {
  return allPaths(document).filter((path) => !Array.isArray(valueAt(document, path)));
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((current, key) => (current as Record<string | number, unknown>)[key], value);
}

function mutate(document: JsonObject, { where, how, which, value: shared }: Mutation): void {
  const value = structuredClone(shared);
  const paths = allPaths(document);
  const target = valueAt(document, paths[where % paths.length]!) as Record<string, unknown> | unknown[];
  const keys = Object.keys(target);
  const key = keys[which % Math.max(1, keys.length)];
  if (Array.isArray(target)) {
    if (how === "add" || keys.length === 0) target.push(value);
    else if (how === "remove") target.splice(Number(key), 1);
    else if (how === "copy") target.push(structuredClone(target[Number(key)]));
    else target[Number(key)] = value;
    return;
  }
  if (how === "add" || how === "copy" || key === undefined) target[NAMES[which % NAMES.length]!] = value;
  else if (how === "remove") delete target[key];
  else target[key] = value;
}
