/** `wardline.console.v1.PictureService`: reads only, and computes in pieces. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/picture";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AccessModel } from "@wardline/domain/policy/access";
import {
  detailOf,
  drawPicture,
  knownKeys,
  type PictureEdge,
  type PictureNode,
  type PolicyPicture,
  pinnedTest,
} from "@wardline/domain/policy/picture";
import type { FlowHistory } from "../history/flow-history.ts";
import type { EndpointBook } from "../history/service/endpoint-book.ts";
import { hostNameOf } from "../hosts/managed-host.ts";
import type { Guard } from "../rpc/guard.ts";
import {
  type BasisPorts,
  enforcedByName,
  groupingOf,
  type HostEnforced,
  PictureBases,
  type Window,
  windowOf,
} from "./basis.ts";
import { draftFor } from "./draft-for.ts";
import { flowQueryOf } from "./flow-query.ts";
import { runSteps } from "./run-steps.ts";
import { readTalks, type Talks } from "./talks.ts";
import {
  toWireEdge,
  toWireExample,
  toWireFlowGroup,
  toWireGrouping,
  toWireHost,
  toWireNode,
  toWireRule,
} from "./wire.ts";

export interface PicturePorts extends BasisPorts {
  readonly history: FlowHistory;
  readonly book: EndpointBook;
}

/** What is typed meanwhile is drawn with the flows that were read a moment ago. */
const TALKS_KEPT_MS = 10_000;
const MAX_KEPT_PICTURES = 3;
const MAX_KNOWN_KEYS = 100;
const MAX_FLOW_GROUPS = 100;
const MAX_CHOSEN = 50;

interface Drawn {
  readonly picture: PolicyPicture;
  readonly model: AccessModel;
  readonly stateDigest: string;
  readonly hosts: readonly HostEnforced[];
  readonly talks: Talks;
  readonly window: Window;
}

interface KeptTalks {
  readonly key: string;
  readonly readAtMs: number;
  readonly window: Window;
  readonly model: AccessModel["world"]["inventory"];
  readonly talks: Talks;
}

export class PictureServiceImpl {
  readonly #ports: PicturePorts;
  readonly #bases: PictureBases;
  readonly #drawn = new Map<string, Drawn>();
  #talks: KeptTalks | null = null;

  constructor(ports: PicturePorts) {
    this.#ports = ports;
    this.#bases = new PictureBases(ports);
  }

  routes(guard: Guard): ServiceImpl<typeof wire.PictureService> {
    return {
      getPicture: guard.unary((request: wire.GetPictureRequest, signal) => this.picture(request, signal)),
      getEdge: guard.unary((request: wire.GetEdgeRequest, signal) => this.edge(request, signal)),
      draftFor: guard.unary((request: wire.DraftForRequest, signal) => this.draftFor(request, signal)),
    };
  }

  /** @throws Failure POLICY_INVALID, INVALID_ARGUMENT, NOT_FOUND, DEADLINE_EXCEEDED, and of the store */
  async picture(request: wire.GetPictureRequest, signal: AbortSignal): Promise<wire.GetPictureResponse> {
    const basis = basisOf(request.basis);
    const drawn = await this.#draw(basis, signal);
    const { picture, model, talks, window } = drawn;
    const { nodes, edges, focused } = this.#shown(drawn, basis, request);
    return create(wire.GetPictureResponseSchema, {
      nodes: nodes.map((node) => toWireNode(node, focused.has(node.id))),
      edges: edges.map(toWireEdge),
      hosts: drawn.hosts.map(toWireHost),
      grouping: toWireGrouping(picture.grouping),
      labelKeys: picture.grouping.by === "labels" ? [...picture.grouping.keys] : [],
      knownKeys: knownKeys(model.world.inventory.endpoints).slice(0, MAX_KNOWN_KEYS),
      notes: [...picture.notes, ...talks.notes],
      unrestrictedPairs: BigInt(picture.unrestrictedPairs),
      edgesLeftOut: BigInt(picture.edgesLeftOut),
      since: timestampFromMs(window.sinceMs),
      until: timestampFromMs(window.untilMs),
      madeAt: timestampFromMs(this.#ports.clock.nowMs()),
      stateDigest: drawn.stateDigest,
      flowRecords: BigInt(talks.records),
      endpoints: model.world.inventory.endpoints.length,
    });
  }

  async edge(request: wire.GetEdgeRequest, signal: AbortSignal): Promise<wire.GetEdgeResponse> {
    const { picture, model, window } = await this.#draw(basisOf(request.basis), signal);
    const { sourceId, destinationId } = request;
    const source = nodeById(picture, sourceId);
    const destination = nodeById(picture, destinationId);
    const edge = picture.edgeBetween(sourceId, destinationId);
    if (!edge) throw unknownNode(`${sourceId} to ${destinationId}`, "between them there is no pair of addresses");
    const detail = detailOf(model, source, destination, edge);
    const flows = [...picture.flowsBetween(sourceId, destinationId)].sort(
      ({ flow: one }, { flow: other }) => other.connections + other.deniedPackets - one.connections - one.deniedPackets,
    );
    const { world } = model;
    return create(wire.GetEdgeResponseSchema, {
      edge: toWireEdge(edge),
      source: toWireNode(source, true),
      destination: toWireNode(destination, true),
      allowing: detail.allowing.map(toWireRule),
      denying: detail.denying.map(toWireRule),
      rulesLeftOut: BigInt(detail.leftOut),
      ...(detail.allowed ? { allowedExample: toWireExample(detail.allowed) } : {}),
      ...(detail.denied ? { deniedExample: toWireExample(detail.denied) } : {}),
      flowGroups: flows.slice(0, MAX_FLOW_GROUPS).map(toWireFlowGroup),
      flowGroupsLeftOut: BigInt(Math.max(0, flows.length - MAX_FLOW_GROUPS)),
      flowQuery: flowQueryOf(world.inventory, source, destination),
      testText: pinnedTest(world, source, destination, edge, picture.grouping, detail) ?? "",
      since: timestampFromMs(window.sinceMs),
      until: timestampFromMs(window.untilMs),
    });
  }

  async draftFor(request: wire.DraftForRequest, signal: AbortSignal): Promise<wire.DraftForResponse> {
    if (request.nodeIds.length === 0 || request.nodeIds.length > MAX_CHOSEN) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: `A policy is written for 1 to ${MAX_CHOSEN} groups at once; these are ${request.nodeIds.length}.`,
      });
    }
    const basis = basisOf(request.basis);
    const { picture, model, window } = await this.#draw(basis, signal);
    const { history, book, workspace } = this.#ports;
    const nodes = [...new Set(request.nodeIds)].map((id) => nodeById(picture, id));
    const taken = new Set([...workspace.snapshot().files, ...basis.files].map(({ path }) => path));
    const { inventory } = model.world;
    const { labels } = await book.facts();
    const shared = { inventory, nodes, grouping: picture.grouping, window, history, labels };
    return draftFor({ ...shared, isTaken: (path) => taken.has(path) }, signal);
  }

  async #draw(basis: wire.PictureBasis, signal: AbortSignal): Promise<Drawn> {
    const { model, stateDigest } = this.#bases.draft(basis);
    const hosts = await this.#bases.enforced(signal);
    const { talks, window } = await this.#readTalks(basis, model, signal);
    const grouping = groupingOf(basis, model.world);
    const known = hosts.map(({ host, stateDigest: digest, at, generation }) => [
      host.id,
      hostNameOf(host),
      digest,
      at.kind,
      `${generation}`,
    ]);
    const key = JSON.stringify([stateDigest, grouping, known, window]);
    const kept = this.#drawn.get(key);
    if (kept?.model === model && kept.talks === talks) return kept;
    const steps = drawPicture({ draft: model, grouping, enforcedAt: enforcedByName(hosts), flows: talks.flows });
    const picture = await runSteps(steps, this.#ports.clock, signal);
    const drawn = { picture, model, stateDigest, hosts, talks, window };
    this.#drawn.delete(key);
    this.#drawn.set(key, drawn);
    for (const oldest of this.#drawn.keys()) {
      if (this.#drawn.size <= MAX_KEPT_PICTURES) break;
      this.#drawn.delete(oldest);
    }
    return drawn;
  }

  async #readTalks(
    basis: wire.PictureBasis,
    { world }: AccessModel,
    signal: AbortSignal,
  ): Promise<Pick<KeptTalks, "talks" | "window">> {
    const nowMs = this.#ports.clock.nowMs();
    const wanted = windowOf(basis, nowMs);
    const key = `${basis.since ? wanted.sinceMs : ""} ${basis.until ? wanted.untilMs : ""}`;
    const kept = this.#talks;
    const isFresh = kept !== null && kept.key === key && nowMs - kept.readAtMs < TALKS_KEPT_MS;
    if (isFresh && kept.model === world.inventory) return kept;
    const { history, book } = this.#ports;
    const { labels } = await book.facts();
    const talks = await readTalks(history, world.inventory, wanted, labels, signal);
    this.#talks = { key, readAtMs: nowMs, window: wanted, model: world.inventory, talks };
    return this.#talks;
  }

  /** What a focus and a scope leave of it. */
  #shown({ picture, model }: Drawn, basis: wire.PictureBasis, { focusNodeId, focusFile }: wire.GetPictureRequest) {
    const scope = this.#scopeNames(basis.hostIds);
    const isInScope = ({ members }: PictureNode) =>
      members.some(({ hostName }) => hostName !== null && scope?.has(hostName));
    const focused = new Set<string>();
    if (focusNodeId !== "") focused.add(nodeById(picture, focusNodeId).id);
    if (focusFile !== "") {
      const keys = new Set(
        model.world.policies.filter(({ source }) => source.file === focusFile).map(({ key }) => key),
      );
      for (const { id, policyKeys } of picture.nodes) if (policyKeys.some((key) => keys.has(key))) focused.add(id);
    }
    const hasFocus = focusNodeId !== "" || focusFile !== "";
    if (!hasFocus && scope === null) return { nodes: picture.nodes, edges: picture.edges, focused };
    const touched = new Set(hasFocus ? focused : picture.nodes.filter(isInScope).map(({ id }) => id));
    const touches = ({ sourceId, destinationId }: PictureEdge) => touched.has(sourceId) || touched.has(destinationId);
    const edges = picture.edges.filter(touches);
    const shown = new Set([...touched, ...edges.flatMap(({ sourceId, destinationId }) => [sourceId, destinationId])]);
    return { nodes: picture.nodes.filter(({ id }) => shown.has(id)), edges, focused };
  }

  #scopeNames(hostIds: readonly string[]): ReadonlySet<string> | null {
    if (hostIds.length === 0) return null;
    return new Set(this.#ports.registry.select(hostIds).map(hostNameOf));
  }
}

function basisOf(basis: wire.PictureBasis | undefined): wire.PictureBasis {
  return basis ?? create(wire.PictureBasisSchema);
}

function nodeById(picture: PolicyPicture, id: string): PictureNode {
  const node = picture.nodes.find((each) => each.id === id);
  if (node) return node;
  throw unknownNode(id, "its labels, or the way of grouping, have changed");
}

function unknownNode(id: string, why: string): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `There is no ${JSON.stringify(id.slice(0, 100))} in this picture: ${why}.`,
    hint: "Draw the picture again.",
  });
}
