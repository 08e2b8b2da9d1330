import type { ShellBridge } from "@wardline/main/electron/shell-channels";
import type { DesktopShell } from "@wardline/renderer/data/desktop-shell";
import { describe, expectTypeOf, it } from "vitest";

// The page may import nothing of the shell, so each side has its own words for the bridge. The compiler reads this file:
// a difference fails the type check.
describe("the bridge between desktop shell and page", () => {
  it("is the same on both sides", () => {
    expectTypeOf<ShellBridge>().toExtend<DesktopShell>();
    expectTypeOf<Parameters<ShellBridge["onCommand"]>[0]>().toEqualTypeOf<Parameters<DesktopShell["onCommand"]>[0]>();
  });
});
