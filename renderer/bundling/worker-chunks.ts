import type { Plugin } from "vite";

const START = /new Worker\(\s*new URL\("([^"]+)", import\.meta\.url\)/gu;

/**
 * Builds the threads of the window together with its pages, so that what both need is one chunk: on its own, a worker is
 * a second bundle with its own copy of the policy engine, the YAML parser and the wire format.
 */
export function workerChunks(): Plugin {
  return {
    name: "wardline:worker-chunks",
    apply: "build",
    enforce: "pre",
    transform: {
      filter: { code: "new Worker(" },
      async handler(code, importer) {
        let text = code;
        for (const [found, path = ""] of code.matchAll(START)) {
          const module = await this.resolve(path, importer);
          if (module === null) this.error(`${importer} starts a worker from ${path}, which is no file`);
          const reference = this.emitFile({ type: "chunk", id: module.id });
          text = text.replace(found, `new Worker(import.meta.ROLLUP_FILE_URL_${reference}`);
        }
        return text === code ? null : { code: text };
      },
    },
  };
}
