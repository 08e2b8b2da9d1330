/** `wardline mesh peer add|remove` */
import { toJson } from "@bufbuild/protobuf";
import { AddPeerResponseSchema, RemovePeerResponseSchema } from "@wardline/api/wardline/agent/v1/mesh";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import type { MeshPeerOptions } from "./mesh.options.ts";
import { providerOf } from "./mesh-view.ts";

export async function meshPeerAdd(
  output: Output,
  options: MeshPeerOptions,
  host: string,
  uri: string,
): Promise<ExitCode> {
  return change(output, options, async (session) => {
    const hostId = session.backend.registry.byIdOrName(host).id;
    const { response } = await session.mesh.addMeshPeer({ hostId, request: requestOf(options, uri) });
    if (output.format === "json" && response) output.json(toJson(AddPeerResponseSchema, response));
    if (output.format === "json") return;
    tell(output, response?.effects ?? []);
    if (response?.peer) output.text(response.peer.up ? "It is up.\n" : "It is not up yet: wardline mesh peers\n");
  });
}

export async function meshPeerRemove(
  output: Output,
  options: MeshPeerOptions,
  host: string,
  uri: string,
): Promise<ExitCode> {
  return change(output, options, async (session) => {
    const hostId = session.backend.registry.byIdOrName(host).id;
    const request = { ...requestOf(options, uri), allowCutOff: options.allowCutOff ?? false };
    const { response } = await session.mesh.removeMeshPeer({ hostId, request });
    if (output.format === "json" && response) output.json(toJson(RemovePeerResponseSchema, response));
    if (output.format !== "json") tell(output, response?.effects ?? []);
  });
}

async function change(
  output: Output,
  options: MeshPeerOptions,
  body: Parameters<typeof withSession<void>>[2],
): Promise<ExitCode> {
  requireChangesAllowed();
  return withSession(options, {}, async (session) => {
    await body(session);
    if (options.dryRun) output.note("Nothing was changed.");
    return EXIT.done;
  });
}

function requestOf({ mesh, interface: interfaceName, dryRun, reason }: MeshPeerOptions, uri: string) {
  return { provider: providerOf(mesh), uri, interfaceName, dryRun, reason };
}

function tell(output: Output, effects: readonly string[]): void {
  for (const effect of effects) output.text(`${visible(effect)}\n`);
}
