/**
 * Whether a server of the store lets in only who shows a certificate. One that does not cannot tell members apart, and once its
 * authentication is on nobody gets in any more: so it is asked before.
 */
import { connect } from "node:tls";

export type CertificateDemand = "demanded" | "not-demanded" | "unreachable";

const TIMEOUT_MS = 5_000;
/** HTTP/2: the client's first words and empty settings. A server that answers them has let us in. */
const GREETING = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

/** @param ca PEM of who signed the server's certificate */
export function askForDemand(endpoint: string, ca: string): Promise<CertificateDemand> {
  const { hostname, port } = new URL(endpoint);
  return new Promise((resolve) => {
    let isConnected = false;
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    const socket = connect({ host, port: Number(port), ca, ALPNProtocols: ["h2"] });
    const finish = (demand: CertificateDemand) => {
      socket.destroy();
      resolve(demand);
    };
    socket.setTimeout(TIMEOUT_MS, () => finish("unreachable"));
    socket.once("connect", () => {
      isConnected = true;
    });
    // With TLS 1.3 the handshake is over for us before the server has missed our certificate.
    socket.once("secureConnect", () => socket.write(GREETING));
    socket.once("data", () => finish("not-demanded"));
    socket.once("error", (error) => {
      const isAlert = /alert|certificate.required|handshake.failure/i.test(
        `${error.message} ${"code" in error ? error.code : ""}`,
      );
      finish(isConnected && isAlert ? "demanded" : "unreachable");
    });
  });
}
