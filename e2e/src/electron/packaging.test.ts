/** What the packages of the desktop program are made from, judged by the packager's own schema. The packager itself downloads Electron. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const require = createRequire(import.meta.url);
const { validateSchema } = require("app-builder-lib/out/util/config/schemaValidator.js") as {
  validateSchema: (schema: unknown, data: unknown, options: { name: string }) => void;
};
const schema: unknown = require("app-builder-lib/scheme.json");

interface Configuration {
  readonly electronVersion: string;
  readonly electronFuses: Record<string, boolean>;
  readonly protocols: readonly { readonly schemes: readonly string[] }[];
  readonly fileAssociations: readonly { readonly ext: string | readonly string[]; readonly rank: string }[];
  readonly publish: unknown;
  readonly linux: { readonly target: readonly string[]; readonly icon: string };
  readonly mac: { readonly target: readonly string[]; readonly icon: string };
  readonly win: { readonly target: readonly string[]; readonly icon: string };
}

const configuration = parse(readFileSync(join(root, "electron-builder.yml"), "utf8")) as Configuration;
const validate = (value: unknown) => validateSchema(schema, value, { name: "electron-builder" });

describe("the packages of the desktop program", () => {
  it("fit the packager's schema, which refuses what it does not know", () => {
    expect(() => validate(configuration)).not.toThrow();
    expect(() => validate({ ...configuration, electronFuse: {} })).toThrow("electronFuse");
    expect(() => validate({ ...configuration, electronFuses: { runAsNode: "no" } })).toThrow("runAsNode");
  });

  it("are those for Debian, Fedora, any Linux, macOS and Windows", () => {
    const { linux, mac, win } = configuration;
    expect([...linux.target, ...mac.target, ...win.target]).toEqual(["deb", "rpm", "AppImage", "dmg", "nsis"]);
  });

  it("switch off what would let somebody else run code in the program", () => {
    expect(configuration.electronFuses).toEqual({
      runAsNode: false,
      enableNodeOptionsEnvironmentVariable: false,
      enableNodeCliInspectArguments: false,
      enableCookieEncryption: true,
      enableEmbeddedAsarIntegrityValidation: true,
      onlyLoadAppFromAsar: true,
      grantFileProtocolExtraPrivileges: false,
    });
  });

  it("open links and files without taking them from the person's editor", () => {
    expect(configuration.protocols.flatMap(({ schemes }) => schemes)).toEqual(["wardline"]);
    expect(configuration.fileAssociations.flatMap(({ ext }) => ext)).toEqual(["yaml", "yml", "json"]);
    expect(configuration.fileAssociations.every(({ rank }) => rank === "Alternate")).toBe(true);
  });

  it("name no place to fetch another program from", () => {
    expect(configuration.publish).toBeNull();
  });

  it("hold the Electron that the code was written against, and icons that are there", () => {
    const { version } = require("electron/package.json") as { version: string };
    expect(configuration.electronVersion).toBe(version);
    const pictures = [configuration.mac.icon, configuration.win.icon, `${configuration.linux.icon}/512x512.png`];
    expect(pictures.filter((path) => !existsSync(join(root, "assets", path)))).toEqual([]);
    const large = readFileSync(join(root, "assets", configuration.mac.icon));
    expect([large.readUInt32BE(16), large.readUInt32BE(20)]).toEqual([1024, 1024]);
  });
});

describe("the preload", () => {
  it("has fewer than 40 lines and hands over named calls only", () => {
    const source = readFileSync(join(root, "main/src/electron/preload.ts"), "utf8");
    expect(source.trimEnd().split("\n").length).toBeLessThan(40);
    expect(source.match(/exposeInMainWorld/g)).toHaveLength(1);
    expect(source).not.toMatch(/exposeInMainWorld\([^)]*ipcRenderer/);
  });
});
