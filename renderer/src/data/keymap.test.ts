import { expect, it } from "vitest";
import { clashesOf, findClashes } from "./key-clashes.ts";
import { commandsWithKeys, isSingleKey, KEY_COMMANDS, keysOf, keysOfPress, normalKeys } from "./keymap.ts";

const press = (
  key: string,
  code: string,
  held: Partial<Record<"ctrlKey" | "metaKey" | "altKey" | "shiftKey", boolean>> = {},
) => keysOfPress({ key, code, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held });

it("writes keys one way, and reads presses of any keyboard as the same", () => {
  const texts = ["mod+k", "shift+ctrl+f8", "ctrl++", "esc", "?", "⌘+k", "hyper+x", ""];
  expect(texts.map(normalKeys)).toEqual(["Ctrl+K", "Ctrl+Shift+F8", "Ctrl++", "Esc", "?", "Ctrl+K", null, null]);
  expect(press("k", "KeyK", { ctrlKey: true })).toBe("Ctrl+K");
  expect(press("k", "KeyK", { metaKey: true })).toBe("Ctrl+K");
  expect(press("л", "KeyK", { ctrlKey: true })).toBe("Ctrl+K");
  expect(press("˚", "KeyK", { altKey: true })).toBe("Alt+K");
  expect(press("?", "Slash", { shiftKey: true })).toBe("?");
  expect(press("F8", "F8", { shiftKey: true })).toBe("Shift+F8");
  expect(press("Shift", "ShiftLeft", { shiftKey: true })).toBeNull();
  expect(["?", "/", "Shift+A", "F8", "Ctrl+K", "Alt+1"].map(isSingleKey)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

it("has defaults without clashes, and finds those that somebody makes", () => {
  expect(findClashes({}).filter(({ severity, with: other }) => severity === "refused" || other === "command")).toEqual(
    [],
  );
  for (const { keys } of KEY_COMMANDS) expect(keys.map(normalKeys)).toEqual(keys);
  const why = (keys: string) =>
    clashesOf("window.freeze", keys, {}).map(({ with: other, severity }) => `${other} ${severity}`);
  expect(why("Ctrl+K")).toEqual(["command refused"]);
  expect(why("Ctrl+T")).toEqual(["browser refused"]);
  expect(why("Tab")).toContain("reserved refused");
  expect(why("Ctrl+Z")).toEqual(["browser warning", "editor warning"]);
  expect(clashesOf("flows.search", "Ctrl+Z", {}).map(({ with: other }) => other)).toEqual(["browser"]);
  expect(why("Alt+F")).toEqual([]);
});

it("takes what the person has chosen, and no keys for what is no name of keys", () => {
  expect(keysOf("window.freeze", { "window.freeze": "Alt+F" })).toEqual(["Alt+F"]);
  expect(keysOf("window.freeze", { "window.freeze": "" })).toEqual([]);
  expect(keysOf("window.freeze", { "window.freeze": "Hyper+Nonsense" })).toEqual([]);
  expect(commandsWithKeys("Alt+F", { "window.freeze": "Alt+F" }).map(({ id }) => id)).toEqual(["window.freeze"]);
});
