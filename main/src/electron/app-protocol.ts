/** `app://wardline`: the built renderer, and the backend's calls under `/rpc/`. */
import { contentSecurityPolicy, createNonce, SECURITY_HEADERS } from "../browser/content-security.ts";
import type { RendererFiles } from "../browser/renderer-files.ts";
import { APP_ORIGIN, isOwnUrl } from "./security.ts";

const RPC_PREFIX = "/rpc";

export interface AppProtocolPorts {
  readonly files: RendererFiles;
  /** Sends a call to the backend process. */
  readonly callBackend: (path: string, request: Request) => Promise<Response>;
}

/** The handler for `protocol.handle("app", …)`. Never rejects. */
export function createAppHandler({ files, callBackend }: AppProtocolPorts): (request: Request) => Promise<Response> {
  return async (request) => {
    if (!isOwnUrl(request.url)) return plain(404, "not found");
    const { pathname } = new URL(request.url);
    if (pathname.startsWith(`${RPC_PREFIX}/`)) {
      const origin = request.headers.get("origin");
      if (request.method !== "POST") return plain(405, "refused: method");
      if (origin !== null && origin !== APP_ORIGIN) return plain(403, "refused: origin");
      try {
        return withHeaders(await callBackend(pathname.slice(RPC_PREFIX.length), request), {
          "cache-control": "no-store",
        });
      } catch (error) {
        // The Connect client reads a 503 as `unavailable` and tries again.
        return plain(503, error instanceof Error ? error.message : "the backend does not answer");
      }
    }
    if (request.method !== "GET" && request.method !== "HEAD") return plain(405, "refused: method");
    if (pathname === "/" || pathname === "/index.html") return indexPage(files);
    const file = files.find(pathname);
    if (!file) return plain(404, "not found");
    return withHeaders(new Response(new Uint8Array(file.body)), { "content-type": file.contentType });
  };
}

function indexPage(files: RendererFiles): Response {
  const nonce = createNonce();
  return withHeaders(new Response(new Uint8Array(files.index(nonce))), {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": contentSecurityPolicy(nonce),
    "cache-control": "no-store",
  });
}

function plain(status: number, text: string): Response {
  return withHeaders(new Response(text, { status }), { "content-type": "text/plain; charset=utf-8" });
}

function withHeaders(response: Response, headers: Readonly<Record<string, string>>): Response {
  for (const [name, value] of Object.entries({ ...SECURITY_HEADERS, ...headers })) response.headers.set(name, value);
  return response;
}
