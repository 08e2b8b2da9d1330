import * as react from "react";
import * as jsxRuntime from "react/jsx-runtime";
import type { Plugin } from "vite";

const MODULES: Readonly<Record<string, object>> = { react, "react/jsx-runtime": jsxRuntime };
const PREFIX = "\0wardline:";
/** What Node adds to a CommonJS module that is imported. */
const NOT_NAMED = ["default", "module.exports"];

/**
 * Gives React's CommonJS modules named exports. Without them every element is `(0,module.jsx)(…)` and every hook
 * `(0,module.useState)(…)`: five thousand times a property that never changes, 45 kB of text to load and to parse.
 */
export function reactModule(): Plugin {
  return {
    name: "wardline:react-module",
    apply: "build",
    enforce: "pre",
    resolveId: {
      filter: { id: /^react(?:\/jsx-runtime)?$/u },
      handler(source, importer, { kind }) {
        const isOwn = importer?.startsWith(PREFIX) ?? false;
        return isOwn || kind !== "import-statement" ? null : PREFIX + source;
      },
    },
    load: {
      filter: { id: new RegExp(`^${PREFIX}`, "u") },
      handler(id) {
        const source = id.slice(PREFIX.length);
        const names = Object.keys(MODULES[source] ?? {}).filter((name) => !NOT_NAMED.includes(name));
        const named = names.map((name) => `export const ${name} = original.${name};`);
        return { code: [`import original from "${source}";`, "export default original;", ...named].join("\n") };
      },
    },
  };
}
