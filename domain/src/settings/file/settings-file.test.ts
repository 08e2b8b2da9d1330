import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { definitionOf, SETTING_KEYS, type SettingDefinition, type SettingKey, type SettingValue } from "../index.ts";
import { editSettings, NEW_SETTINGS_FILE, readSettings } from "./index.ts";

const PATH = "settings.yaml";
const read = (text: string) => readSettings({ path: PATH, text });
const valuesOf = (text: string) => Object.fromEntries([...read(text).settings].map(([key, { value }]) => [key, value]));
const edit = (text: string, edits: [SettingKey, SettingValue | null][]) => {
  const result = editSettings({ path: PATH, text }, new Map(edits));
  if (!result.ok) throw new Error(result.reason);
  return result.text;
};

describe("readSettings", () => {
  it("takes an empty file and one of comments for no settings", () => {
    for (const text of ["", "\n", "# nothing\n", NEW_SETTINGS_FILE, "---\n", "\uFEFF# x\n"])
      expect(read(text), JSON.stringify(text)).toEqual({
        isBroken: false,
        settings: new Map(),
        unfit: new Map(),
        problems: [],
      });
  });

  it("names a mistake in the syntax with code, line and column, and takes nothing of the file", () => {
    const { isBroken, settings, problems } = read("display:\n  theme: dark\n  density: [compact\n");
    expect(isBroken).toBe(true);
    expect(settings.size).toBe(0);
    expect(problems[0]).toMatchObject({
      code: expect.stringMatching(/^WL1\d\d$/),
      source: { file: PATH, line: expect.any(Number) },
    });
    expect(problems[0]?.source.line).toBeGreaterThanOrEqual(3);
  });

  it("refuses single values with their place, and takes the others", () => {
    const { isBroken, settings, unfit, problems } = read(
      "display:\n  theme: pink\n  zoom: 400\n  density: comfortable\n",
    );
    expect(isBroken).toBe(false);
    expect([...settings.keys()]).toEqual(["display.density"]);
    expect([...unfit]).toEqual([
      ["display.theme", 2],
      ["display.zoom", 3],
    ]);
    expect(problems.map(({ code, source }) => [code, source.line, source.column])).toEqual([
      ["SET202", 2, 10],
      ["SET202", 3, 9],
    ]);
    expect(problems[0]?.message).toBe('display.theme is "pink"; it takes system, dark, light or contrast.');
  });

  it("names what it does not know, after the errors, and goes on", () => {
    const { settings, problems } = read("shiny: 1\ndisplay:\n  thme: dark\n  theme: light\ntime: utc\n");
    expect(problems.map(({ code }) => code)).toEqual(["SET203", "SET201", "SET201"]);
    expect([...settings.keys()]).toEqual(["display.theme"]);
  });

  it("refuses documents that are not one mapping", () => {
    expect(read("display: {}\n---\ndisplay: {}\n").problems[0]?.code).toBe("SET204");
    expect(read("- display\n").problems[0]?.code).toBe("SET204");
    expect(read(`# ${"x".repeat(300_000)}`).problems[0]?.code).toBe("SET206");
  });

  it("refuses key bindings that are none", () => {
    expect(
      read("keyboard:\n  bindings:\n    palette.open: Ctrl+P\n    ship: Ctrl+Shift+Enter\n    go: g h\n").problems,
    ).toEqual([]);
    expect(read("keyboard:\n  bindings:\n    palette.open: control p please\n").problems[0]).toMatchObject({
      code: "SET202",
    });
    expect(read("keyboard:\n  bindings:\n    __proto__: Ctrl+P\n").problems[0]).toMatchObject({ code: "SET202" });
  });

  it("reads anything without throwing", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => void read(text)),
      { numRuns: 80 },
    );
    const pieces = fc.constantFrom(
      "display",
      ":",
      " ",
      "\n",
      "  ",
      "theme",
      "dark",
      "[",
      "}",
      "&a",
      "*a",
      "- ",
      "|",
      "'",
      '"',
      "#",
      "%",
      "---",
      "...",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => void read(parts.join(""))),
      { numRuns: 120 },
    );
  });
});

describe("editSettings", () => {
  it("rewrites only the node, and keeps comments, order, quotes and unknown keys", () => {
    const before = `# mine\ndisplay:\n  # dark at night\n  theme: 'dark' # really\n  future: 7\n\ntime: {zone: utc} # for logs\n`;
    expect(
      edit(before, [
        ["display.theme", "light"],
        ["time.zone", "local"],
        ["display.zoom", 110],
      ]),
    ).toBe(
      `# mine\ndisplay:\n  # dark at night\n  theme: 'light' # really\n  future: 7\n  zoom: 110\n\ntime: {zone: local} # for logs\n`,
    );
  });

  it("begins a file, a group and an empty group", () => {
    expect(edit("", [["display.theme", "dark"]])).toBe("display:\n  theme: dark\n");
    expect(valuesOf(edit(NEW_SETTINGS_FILE, [["time.zone", "utc"]]))).toEqual({ "time.zone": "utc" });
    expect(edit(NEW_SETTINGS_FILE, [["time.zone", "utc"]]).startsWith(NEW_SETTINGS_FILE)).toBe(true);
    expect(valuesOf(edit("display:\n", [["display.theme", "dark"]]))).toEqual({ "display.theme": "dark" });
    expect(valuesOf(edit("display: {}\r\n", [["display.theme", "dark"]]))).toEqual({ "display.theme": "dark" });
  });

  it("takes settings out, also values that do not fit and values where a group belongs", () => {
    expect(valuesOf(edit("display:\n  theme: dark\n  zoom: 90\n", [["display.theme", null]]))).toEqual({
      "display.zoom": 90,
    });
    expect(read(edit("display:\n  theme: pink\n", [["display.theme", null]])).problems).toEqual([]);
    expect(read(edit("time: 7\n", [["time.zone", null]])).problems).toEqual([]);
    expect(valuesOf(edit("time: 7\n", [["time.zone", "utc"]]))).toEqual({ "time.zone": "utc" });
  });

  it("changes single bindings and keeps what stands beside the others", () => {
    const before = "keyboard:\n  bindings:\n    palette.open: Ctrl+P # as elsewhere\n    ship: Ctrl+B\n";
    expect(edit(before, [["keyboard.bindings", { "palette.open": "Ctrl+P", ship: "", help: "F1" }]])).toBe(
      'keyboard:\n  bindings:\n    palette.open: Ctrl+P # as elsewhere\n    ship: ""\n    help: F1\n',
    );
    expect(valuesOf(edit(before, [["keyboard.bindings", { ship: "Ctrl+B" }]]))).toEqual({
      "keyboard.bindings": { ship: "Ctrl+B" },
    });
  });

  it("leaves a broken file alone", () => {
    expect(
      editSettings({ path: PATH, text: "display: [" }, new Map([["display.theme", "dark" as const]])),
    ).toMatchObject({ ok: false });
  });

  it("reads back what it wrote, whatever was changed in whatever order, and keeps every comment", () => {
    const start =
      "# one\ndisplay: # two\n  # three\n  theme: dark # four\n  later: [1, 2] # five\nkeyboard:\n  bindings: # six\n    a.b: Ctrl+X # seven\n# eight\n";
    const change = fc
      .constantFrom(...SETTING_KEYS)
      .chain((key) => fc.tuple(fc.constant(key), fc.option(arbitraryValue(definitionOf(key)), { nil: null })));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        let text = start;
        const expected = new Map<string, SettingValue>(Object.entries(valuesOf(start)));
        for (const [key, value] of changes) {
          text = edit(text, [[key, value]]);
          if (value === null) expected.delete(key);
          else expected.set(key, value);
        }
        expect(valuesOf(text)).toEqual(Object.fromEntries(expected));
        expect(read(text).problems.map(({ code }) => code)).toEqual(["SET201"]);
        for (const comment of ["# one", "# two", "# five", "# eight"]) expect(text).toContain(comment);
        expect(text).toContain("later: [1, 2]");
      }),
      { numRuns: 150 },
    );
  });
});

function arbitraryValue(definition: SettingDefinition): fc.Arbitrary<SettingValue> {
  switch (definition.type) {
    case "choice":
      return fc.constantFrom(...definition.choices);
    case "switch":
      return fc.boolean();
    case "number":
      return fc.integer({ min: definition.minimum, max: definition.maximum });
    case "text":
      return fc.constantFrom("", "22:00-07:00", "00:00-23:59");
    case "map":
      return fc.dictionary(
        fc.constantFrom("a.b", "palette.open", "x-y", "n1"),
        fc.constantFrom("Ctrl+K", "", "F1", "?", "#", "Ctrl+'", "g h", "Ctrl+:", "-"),
        { noNullPrototype: true },
      );
  }
}
