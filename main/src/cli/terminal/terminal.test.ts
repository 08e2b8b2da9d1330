import type { Diagnostic } from "@wardline/domain/policy";
import { describe, expect, it } from "vitest";
import { formatDiagnostic } from "./diagnostics.ts";
import { createStyle, wantsColor } from "./style.ts";
import { formatTable } from "./table.ts";
import { cellWidth, fitCells, visible, visibleLines } from "./visible.ts";

describe("text from elsewhere", () => {
  it.each([
    ["an escape sequence", "\u001b[31mred\u001b[0m", "\\u{1b}[31mred\\u{1b}[0m"],
    ["C1 controls", "a\u009b2Jb", "a\\u{9b}2Jb"],
    ["a bell and a line break", "a\u0007\r\nb", "a\\u{7}\\u{d}\\u{a}b"],
    ["text that turns round", "user\u202etxt.exe", "user\\u{202e}txt.exe"],
    ["characters that do not show", "a\u200bb\ufeff", "a\\u{200b}b\\u{feff}"],
    ["half of a character", "a\ud800b", "a\\u{d800}b"],
  ])("shows %s and does not obey it", (_what, text, shown) => {
    expect(visible(text)).toBe(shown);
  });

  it("leaves ordinary text of any script as it is", () => {
    for (const text of ["policies/web.yaml", "größe", "政策", "naïve 🙂"]) expect(visible(text)).toBe(text);
  });

  it("keeps line breaks where lines are wanted", () => {
    expect(visibleLines("a\r\n\u001b[2Jb\n")).toBe("a\n\\u{1b}[2Jb\n");
  });

  it("counts columns and cuts by them", () => {
    expect(cellWidth("abc")).toBe(3);
    expect(cellWidth("政策")).toBe(4);
    expect(cellWidth("e\u0301")).toBe(1);
    expect(fitCells("政策政策", 5)).toBe("政策…");
    expect(fitCells("abc", 3)).toBe("abc");
  });
});

describe("colours", () => {
  it("only on a terminal without NO_COLOR", () => {
    expect(wantsColor({ isTTY: true }, {})).toBe(true);
    expect(wantsColor({ isTTY: false }, {})).toBe(false);
    expect(wantsColor({}, {})).toBe(false);
    expect(wantsColor({ isTTY: true }, { NO_COLOR: "1" })).toBe(false);
    expect(wantsColor({ isTTY: true }, { NO_COLOR: "" })).toBe(true);
    expect(wantsColor({ isTTY: true }, { TERM: "dumb" })).toBe(false);
  });
});

describe("tables", () => {
  it("align by columns on the screen and neutralise every cell", () => {
    const painted = { text: "政", paint: (text: string) => `<${text}>` };
    expect(
      formatTable(
        ["A", "B"],
        [
          [painted, "x"],
          ["abc", "\u001b[2J"],
        ],
      ),
    ).toBe("A    B\n<政>   x\nabc  \\u{1b}[2J\n");
  });
});

describe("a diagnostic", () => {
  const diagnostic = (line: number, column: number, endColumn: number, endLine = line): Diagnostic => ({
    code: "WL201",
    severity: "error",
    message: "No such field.",
    source: { file: "a.yaml", line, column, endLine, endColumn },
    fix: { title: "Change to spec", edits: [] },
  });
  const view = (text: string | undefined) => ({ style: createStyle(false), textOf: () => text });

  it("shows place, line, mark and fix", () => {
    expect(formatDiagnostic(diagnostic(2, 3, 7), view("kind: X\n  spce: 1\n"))).toBe(
      "a.yaml:2:3: error[WL201]: No such field.\n   |\n 2 |   spce: 1\n   |   ^^^^\n  fix: Change to spec\n",
    );
  });

  it("puts the mark below the place after tabs, wide and escaped characters", () => {
    const shown = formatDiagnostic(diagnostic(1, 5, 7), view("\t政\u001b bad"));
    const [, , quoted = "", mark = ""] = shown.split("\n");
    expect(quoted).toBe(" 1 |   政\\u{1b} bad");
    expect(cellWidth(quoted.slice(0, quoted.indexOf("bad")))).toBe(mark.indexOf("^"));
  });

  it("marks to the end of the line when the place goes on below", () => {
    expect(formatDiagnostic(diagnostic(1, 2, 3, 4), view("abc\nd"))).toContain(" 1 | abc\n   |  ^^\n");
  });

  it("keeps a very long line short with the place in sight", () => {
    const text = `${"a".repeat(5000)}BAD${"b".repeat(5000)}`;
    const [, , quoted = "", mark = ""] = formatDiagnostic(diagnostic(1, 5001, 5004), view(text)).split("\n");
    expect(quoted.length).toBeLessThan(200);
    expect(quoted.slice(mark.indexOf("^"), mark.lastIndexOf("^") + 1)).toBe("BAD");
  });

  it("stands alone when the text or the line is not there", () => {
    for (const text of [undefined, "one line"]) {
      expect(formatDiagnostic(diagnostic(9, 1, 2), view(text)).split("\n")).toHaveLength(3);
    }
  });

  it("neutralises what came from the file", () => {
    const hostile = { ...diagnostic(1, 1, 2), message: "\u001b]0;title\u0007" };
    expect(formatDiagnostic(hostile, view("\u001b[2J"))).not.toContain("\u001b");
  });
});
