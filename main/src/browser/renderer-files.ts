/**
 * The built renderer, read once into memory. Requests name entries of this list and never a path, so that nothing outside
 * the build can be asked for.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ErrorCode, Failure } from "@wardline/domain/errors";

const MAX_TOTAL_BYTES = 64 * 1024 * 1024;
const NONCE_PLACEHOLDER = "__CSP_NONCE__";

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};

export interface RendererFile {
  readonly contentType: string;
  readonly body: Buffer;
  /** True when the name holds a digest of the content. */
  readonly immutable: boolean;
}

/** Where the build puts the renderer in a checkout. */
export const RENDERER_DIST_DIR = fileURLToPath(new URL("../../../renderer/dist", import.meta.url));

export class RendererFiles {
  readonly #files = new Map<string, RendererFile>();
  readonly #index: string;

  /** @throws Failure NOT_FOUND when the renderer is not built */
  constructor(distDir: string) {
    let totalBytes = 0;
    for (const entry of listFiles(distDir)) {
      const contentType = CONTENT_TYPES[extname(entry.path)];
      // Source maps and the like are not for the page.
      if (!contentType) continue;
      const body = readFileSync(entry.path);
      totalBytes += body.length;
      if (totalBytes > MAX_TOTAL_BYTES) throw new Error(`${distDir} holds more than ${MAX_TOTAL_BYTES} bytes`);
      this.#files.set(`/${entry.name}`, { contentType, body, immutable: /-[\w-]{8,}\.\w+$/.test(entry.name) });
    }
    const index = this.#files.get("/index.html");
    if (!index) throw notBuilt(distDir);
    this.#index = index.body.toString("utf8");
    this.#files.delete("/index.html");
  }

  /** The page, with the nonce of this response in it. */
  index(nonce: string): Buffer {
    return Buffer.from(this.#index.replaceAll(NONCE_PLACEHOLDER, nonce));
  }

  /** @param pathname of a URL, as it came; only exact names are known. */
  find(pathname: string): RendererFile | null {
    return this.#files.get(pathname) ?? null;
  }
}

function listFiles(distDir: string): { name: string; path: string }[] {
  let entries: string[];
  try {
    entries = readdirSync(distDir, { recursive: true, encoding: "utf8" });
  } catch (error) {
    throw notBuilt(distDir, error);
  }
  return entries
    .map((name) => ({ name: name.replaceAll("\\", "/"), path: join(distDir, name) }))
    .filter(({ path }) => statSync(path).isFile());
}

function notBuilt(distDir: string, cause?: unknown): Failure {
  return new Failure(
    {
      code: ErrorCode.NOT_FOUND,
      message: `The console's pages are not built: there is no ${join(distDir, "index.html")}.`,
      hint: "Run: npm run build",
    },
    { cause },
  );
}
