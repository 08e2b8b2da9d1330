/** `wardline.console.v1.PictureService`: reads only, and computes in pieces. */
import { createHash, randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/picture";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AccessModel } from "@wardline/domain/policy/access";
import {
  detailOf,
  type EnforcedAt,
  fillPicture,
  knownKeys,
  type PictureEdge,
  type PictureFlow,
  type PictureGrouping,
  type PictureNode,
  type PictureSurvey,
  type PolicyPicture,
  pinnedTest,
  surveyPicture,
} from "@wardline/domain/policy/picture";
import { nextTurn } from "../async/next-turn.ts";
import type { FlowHistory } from "../history/flow-history.ts";
import type { EndpointBook } from "../history/service/endpoint-book.ts";
import { hostNameOf, labelOf } from "../hosts/managed-host.ts";
import { workspacePath } from "../policies/workspace-path.ts";
import type { FlowReplays } from "../replay/flow-replays.ts";
import type { Guard } from "../rpc/guard.ts";
import {
  awaySinceMs,
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
  type Away,
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
  readonly replays: FlowReplays;
}

const FLOW_FIELDS = [
  ...(["sourceKey", "sourceAddress", "destinationKey", "destinationAddress", "protocol", "port"] as const),
  ...(["connections", "deniedPackets", "observed", "firstSeenMs", "lastSeenMs"] as const),
];
/** What is typed meanwhile is drawn with the flows that were read a moment ago. */
const TALKS_KEPT_MS = 10_000;
const MAX_KEPT_PICTURES = 3;
const MAX_KNOWN_KEYS = 100;
const MAX_FLOW_GROUPS = 100;
const MAX_CHOSEN = 50;
/** Taking in a part costs the window a few milliseconds. */
const EDGES_IN_PART = 400;

interface Drawn {
  readonly id: string;
  readonly survey: PictureSurvey;
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
  readonly #surveys = new Map<string, PictureSurvey>();
  readonly #modelNumbers = new WeakMap<AccessModel, number>();
  /** Ids of another run of the console mean nothing here. */
  readonly #started = randomUUID();
  #count = 0;
  /** The newest last. */
  #drawn: readonly Drawn[] = [];
  #talks: KeptTalks | null = null;

  constructor(ports: PicturePorts) {
    this.#ports = ports;
    this.#bases = new PictureBases(ports);
  }

  routes(guard: Guard): ServiceImpl<typeof wire.PictureService> {
    return {
      getPicture: guard.stream((request: wire.GetPictureRequest, signal) => this.picture(request, signal)),
      getEdge: guard.unary((request: wire.GetEdgeRequest, signal) => this.edge(request, signal)),
      draftFor: guard.unary((request: wire.DraftForRequest, signal) => this.draftFor(request, signal)),
    };
  }

  /**
   * The first part has everything but edges.
   * @throws Failure POLICY_INVALID, INVALID_ARGUMENT, NOT_FOUND, DEADLINE_EXCEEDED, and of the store
   */
  async *picture(request: wire.GetPictureRequest, signal: AbortSignal): AsyncGenerator<wire.GetPictureResponse> {
    const basis = basisOf(request.basis);
    const drawn = await this.#draw(basis, signal);
    const { picture, model, talks, window } = drawn;
    const { nodes, edges, focused } = this.#shown(drawn, basis, request);
    const away = awayMembers(drawn.hosts);
    const pictureId = idOf(drawn, basis, request);
    const unchanged = request.knownPictureId === pictureId;
    yield create(wire.GetPictureResponseSchema, {
      nodes: unchanged ? [] : nodes.map((node) => toWireNode(node, focused.has(node.id), away(node))),
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
      ...{ pictureId, unchanged },
    });
    if (unchanged) return;
    for (let start = 0; start < edges.length; start += EDGES_IN_PART) {
      // Nobody else of the backend waits for more than one part.
      await nextTurn();
      yield create(wire.GetPictureResponseSchema, {
        edges: edges.slice(start, start + EDGES_IN_PART).map(toWireEdge),
      });
    }
  }

  async edge(request: wire.GetEdgeRequest, signal: AbortSignal): Promise<wire.GetEdgeResponse> {
    const { picture, model, window, hosts } = await this.#draw(basisOf(request.basis), signal);
    const away = awayMembers(hosts);
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
      source: toWireNode(source, true, away(source)),
      destination: toWireNode(destination, true, away(destination)),
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
    const { history, book, workspace, replays } = this.#ports;
    const draft = workspace.snapshot();
    const nodes = [...new Set(request.nodeIds)].map((id) => nodeById(picture, id));
    const taken = new Set([...draft.files, ...basis.files].map(({ path }) => path));
    const changed = basis.files.map(({ path, text }) => ({ path: workspacePath(path), text }));
    const { inventory } = model.world;
    const { labels } = await book.facts();
    const shared = { draft, changed, replays, inventory, nodes, grouping: picture.grouping, window, history, labels };
    return draftFor({ ...shared, isTaken: (path) => taken.has(path) }, signal);
  }

  async #draw(basis: wire.PictureBasis, signal: AbortSignal): Promise<Drawn> {
    const { model, stateDigest } = this.#bases.draft(basis);
    const hosts = await this.#bases.enforced(signal);
    const { talks, window } = await this.#readTalks(basis, model, signal);
    const grouping = groupingOf(basis, model.world);
    const survey = await this.#survey(model, grouping, hosts, signal);
    const rest = { survey, model, stateDigest, hosts, talks, window };
    const kept = this.#drawn.find((each) => each.survey === survey && sameFlows(each.talks.flows, talks.flows));
    const drawn = kept
      ? { ...kept, ...rest }
      : {
          ...rest,
          id: `${this.#started}-${++this.#count}`,
          picture: await runSteps(fillPicture(survey, talks.flows), this.#ports.clock, signal),
        };
    this.#drawn = [...this.#drawn.filter(({ id }) => id !== drawn.id), drawn].slice(-MAX_KEPT_PICTURES);
    return drawn;
  }

  /** What flows do not change is kept: most pictures are of the same draft a moment later. */
  async #survey(
    model: AccessModel,
    grouping: PictureGrouping,
    hosts: readonly HostEnforced[],
    signal: AbortSignal,
  ): Promise<PictureSurvey> {
    const standing = hosts.map(({ host, at }) => [host.id, hostNameOf(host), labelOf(host), this.#numberOf(at)]);
    const key = JSON.stringify([this.#numberOf({ kind: "world", model }), grouping, standing]);
    const survey =
      this.#surveys.get(key) ??
      (await runSteps(
        surveyPicture({ draft: model, grouping, enforcedAt: enforcedByName(hosts) }),
        this.#ports.clock,
        signal,
      ));
    this.#surveys.delete(key);
    this.#surveys.set(key, survey);
    for (const oldest of this.#surveys.keys()) {
      if (this.#surveys.size <= MAX_KEPT_PICTURES) break;
      this.#surveys.delete(oldest);
    }
    return survey;
  }

  #numberOf(at: EnforcedAt): string | number {
    if (at.kind !== "world") return at.kind;
    const number = this.#modelNumbers.get(at.model) ?? ++this.#count;
    this.#modelNumbers.set(at.model, number);
    return number;
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

/** Equal ids, equal nodes and edges: also focus, scope and who is away are in it. */
function idOf({ id, hosts }: Drawn, { hostIds }: wire.PictureBasis, request: wire.GetPictureRequest): string {
  const away = hosts.map(({ host }) => awaySinceMs(host));
  const names = hosts.map(({ host }) => [host.id, hostNameOf(host)]);
  const parts = JSON.stringify([request.focusNodeId, request.focusFile, hostIds, away, names]);
  return `${id}-${createHash("sha256").update(parts).digest("hex").slice(0, 32)}`;
}

function awayMembers(hosts: readonly HostEnforced[]): (node: PictureNode) => Away {
  const sinceOf = new Map<string, number>();
  for (const { host } of hosts) {
    const sinceMs = awaySinceMs(host);
    if (sinceMs !== null) for (const name of [hostNameOf(host), labelOf(host)]) sinceOf.set(name, sinceMs);
  }
  return ({ members }) => {
    const times = members.flatMap(({ hostName }) => (hostName === null ? [] : (sinceOf.get(hostName) ?? [])));
    return { members: times.length, sinceMs: times.reduce((first, each) => Math.min(first, each), times[0] ?? 0) };
  };
}

function sameFlows(left: readonly PictureFlow[], right: readonly PictureFlow[]): boolean {
  if (left === right) return true;
  return (
    left.length === right.length &&
    left.every((flow, index) => {
      const other = right[index];
      return other !== undefined && FLOW_FIELDS.every((field) => flow[field] === other[field]);
    })
  );
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
