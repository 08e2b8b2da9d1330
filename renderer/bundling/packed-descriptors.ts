import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { DIGITS, FARTHEST, FIRST_DIGIT, LONGEST, SHORTEST } from "./unpack.ts";

const GENERATED = /\/api\/gen\/.*_pb\.js$/u;
const DESCRIPTION = /fileDesc\("([A-Za-z0-9+/=]+)"/u;
const UNPACK = JSON.stringify(fileURLToPath(new URL("./unpack.ts", import.meta.url)));

/**
 * Packs the descriptions of messages in the generated code: the same names and types again and again, in base64, were
 * 180 kB of text for the window to load.
 */
export function packedDescriptors(): Plugin {
  return {
    name: "wardline:packed-descriptors",
    apply: "build",
    enforce: "pre",
    transform: {
      filter: { id: GENERATED },
      handler(code, id) {
        const [found, base64] = DESCRIPTION.exec(code) ?? [];
        if (found === undefined || base64 === undefined) return this.error(`${id} has no description of its messages`);
        const packed = JSON.stringify(pack(Buffer.from(base64, "base64")));
        return {
          code: `import { unpack } from ${UNPACK};\n${code.replace(found, () => `fileDesc(/*@__PURE__*/ unpack(${packed})`)}`,
        };
      },
    },
  };
}

const DESCRIPTION_OF_DESCRIPTIONS = /boot\((\{.*\})\);$/mu;
const ENUMERATION = /export var (\w+);\s*\(function \(\1\) \{(.*?)\}\)\(\1 \|\| \(\1 = \{\}\)\);/gsu;

const DESCRIPTIONS = "/google/protobuf/descriptor_pb.js";

/**
 * The same for the library's own: the description that describes descriptions is JSON. What its enumerations leave behind
 * becomes removable as well: as they are written, each is an assignment that no bundler can tell to be of no use.
 */
export function packedLibraryDescriptors(): Plugin {
  let isPacked = false;
  return {
    name: "wardline:packed-library-descriptors",
    apply: "build",
    transform: {
      filter: { id: /\/@bufbuild\/protobuf\/dist\/esm\/wkt\/.*_pb\.js$/u },
      handler(code, id) {
        isPacked ||= id.endsWith(DESCRIPTIONS);
        const text = packLibrary(code, id);
        return text === code ? null : { code: text };
      },
    },
    buildEnd(error) {
      if (!error && !isPacked)
        this.error(`nothing that ends with ${DESCRIPTIONS} was met: the library has it elsewhere`);
    },
  };
}

/**
 * The library's file as it is bundled.
 *
 * Throws when it is written in another way than it was: what is not recognised would be shipped as it is.
 */
export function packLibrary(code: string, id: string): string {
  const text = code.replace(
    ENUMERATION,
    (_, name: string, body: string) =>
      `export const ${name} = /*@__PURE__*/ (function (${name}) {${body} return ${name}; })({});`,
  );
  if (text.includes("export var")) throw new Error(`${id} has an enumeration that is written in another way`);
  const [found, json] = DESCRIPTION_OF_DESCRIPTIONS.exec(text) ?? [];
  if (found === undefined || json === undefined) {
    if (id.endsWith(DESCRIPTIONS)) throw new Error(`${id} has no description of descriptions`);
    return text;
  }
  const packed = JSON.stringify(pack(Buffer.from(JSON.stringify(JSON.parse(json)))));
  const restored = `boot(/*@__PURE__*/ JSON.parse(/*@__PURE__*/ atob(/*@__PURE__*/ unpack(${packed}))));`;
  return `import { unpack } from ${UNPACK};\n${text.replace(found, () => restored)}`;
}

/** What `unpack` makes these bytes of again. */
export function pack(bytes: Uint8Array): string {
  const places = new Map<string, number[]>();
  let packed = "";
  let index = 0;
  while (index < bytes.length) {
    const match = longestMatch(bytes, index, places.get(keyAt(bytes, index)) ?? []);
    const length = match?.length ?? 1;
    packed += match ? reference(match) : String.fromCharCode(bytes[index] ?? 0);
    for (let end = index + length; index < end; index++) {
      const key = keyAt(bytes, index);
      const known = places.get(key);
      if (known) known.push(index);
      else places.set(key, [index]);
    }
  }
  return packed;
}

interface Match {
  readonly distance: number;
  readonly length: number;
}

function longestMatch(bytes: Uint8Array, index: number, places: readonly number[]): Match | null {
  let best: Match | null = null;
  for (const place of places) {
    if (index - place > FARTHEST) continue;
    let length = 0;
    // Never into itself: it is copied in one go.
    while (
      length < LONGEST &&
      length < index - place &&
      index + length < bytes.length &&
      bytes[place + length] === bytes[index + length]
    )
      length += 1;
    if (length >= SHORTEST && length > (best?.length ?? 0)) best = { distance: index - place, length };
  }
  return best;
}

function keyAt(bytes: Uint8Array, index: number): string {
  return bytes.subarray(index, index + SHORTEST).join();
}

function reference({ distance, length }: Match): string {
  const value = (length - SHORTEST) * FARTHEST + distance - 1;
  return String.fromCharCode(FIRST_DIGIT + Math.floor(value / DIGITS), FIRST_DIGIT + (value % DIGITS));
}
