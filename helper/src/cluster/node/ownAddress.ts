/** Whether this host can be reached where it says: asked before it tells the others. */
import { createServer } from "node:net";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { parsePeerAddress } from "../../identity/peerAddress.ts";

/** Throws `Failure` INVALID_ARGUMENT when nothing can listen there. */
export async function checkOwnAddress(peerAddress: string): Promise<void> {
  const { ipAddress, port } = parsePeerAddress(peerAddress);
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: ipAddress, port, exclusive: true }, resolve);
    });
  } catch (error) {
    const isForeign = error instanceof Error && "code" in error && error.code === "EADDRNOTAVAIL";
    throw new Failure(
      {
        code: ErrorCode.INVALID_ARGUMENT,
        message: isForeign
          ? `${ipAddress} is no address of this host.`
          : `The other members cannot reach this host at ${peerAddress}: ${error instanceof Error ? error.message : error}.`,
        hint: "Give an address that this host has, and a port that is free: 10.0.0.1:7443.",
      },
      { cause: error },
    );
  } finally {
    server.close();
  }
}
