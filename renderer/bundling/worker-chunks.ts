import type { Plugin } from "vite";

const START = /new Worker\(\s*new URL\("([^"]+)", import\.meta\.url\)/gu;
type ModuleInfoOf = (id: string) => { readonly importedIds: readonly string[] } | null;

/**
 * Builds the threads of the window together with its pages, so that what both need is one chunk: on its own, a worker is
 * a second bundle with its own copy of the policy engine, the YAML parser and the wire format.
 *
 * What the first view needs and no thread does becomes one chunk as well: left alone, it would be a file for each set of
 * views that happen to share it, thirty of them before anything is seen.
 */
export function workerChunks(): Plugin {
  const workers = new Set<string>();
  const ofWorkers = new Set<string>();
  const add = (id: string, moduleInfoOf: ModuleInfoOf): void => {
    if (ofWorkers.has(id)) return;
    ofWorkers.add(id);
    for (const imported of moduleInfoOf(id)?.importedIds ?? []) add(imported, moduleInfoOf);
  };
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
          workers.add(module.id);
          const reference = this.emitFile({ type: "chunk", id: module.id });
          text = text.replace(found, `new Worker(import.meta.ROLLUP_FILE_URL_${reference}`);
        }
        return text === code ? null : { code: text };
      },
    },
    buildEnd() {
      for (const id of workers) add(id, (module) => this.getModuleInfo(module));
    },
    outputOptions(options) {
      const first = {
        name: "first",
        // A worker counts as a start like the page; what belongs to one is left to be shared.
        tags: ["$initial" as const],
        test: (id: string) => !ofWorkers.has(id),
        includeDependenciesRecursively: false,
      };
      return { ...options, codeSplitting: { groups: [first] } };
    },
  };
}
