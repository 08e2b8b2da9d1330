/** `wardline cluster init|join|token|leave|remove|resign` */
import { text as readStream } from "node:stream/consumers";
import { toJson } from "@bufbuild/protobuf";
import { durationFromMs, timestampDate } from "@bufbuild/protobuf/wkt";
import { CreateJoinTokenResponseSchema } from "@wardline/api/wardline/agent/v1/cluster";
import {
  ClusterViewSchema,
  type JoinHostResult,
  JoinHostResultSchema,
} from "@wardline/api/wardline/console/v1/cluster";
import { type ClusterStatus, ClusterStatusSchema } from "@wardline/api/wardline/v1/cluster";
import { proposePeerAddress } from "@wardline/domain/cluster";
import { bounded, CHANGE_TIMEOUT_MS, WRITE_TIMEOUT_MS } from "../../backend/cluster/cluster-calls.ts";
import { labelOf } from "../../backend/hosts/managed-host.ts";
import { confirmOnTerminal } from "../ask.ts";
import { EXIT, type ExitCode, exitCodeOf, UsageError } from "../exit-code.ts";
import { selectHostIds } from "../input/host-selection.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import type { InitOptions, JoinOptions, ReasonOptions, TokenOptions } from "./cluster.options.ts";
import { storeOf } from "./cluster-store-options.ts";
import { withCluster, withTarget } from "./cluster-target.ts";

/** `wardline cluster init NAME` */
export async function clusterInit(output: Output, options: InitOptions, name: string): Promise<ExitCode> {
  requireChangesAllowed();
  const store = await storeOf(options);
  return withSession(options, {}, async (session) => {
    const host = session.backend.registry.byIdOrName(options.host);
    const { cluster } = await session.clusters.createCluster({
      hostId: host.id,
      cluster: {
        clusterName: name,
        trustDomain: options.trustDomain,
        peerAddress: options.peerAddress,
        labels: { ...options.label },
        ...(store ? { store } : {}),
        ...(options.lease === undefined ? {} : { lease: durationFromMs(options.lease) }),
      },
    });
    if (output.format === "json") output.json({ cluster: cluster ? toJson(ClusterViewSchema, cluster) : null });
    else {
      const [member] = cluster?.status?.members ?? [];
      output.text(`The cluster ${visible(name)} is made of ${visible(labelOf(host))}.\n`);
      output.note(`Its peers reach it at ${visible(member?.record?.peerAddress ?? "")}. Let others in:`);
      output.note("  wardline cluster join --cluster NAME --hosts web-1,web-2   or   wardline cluster token");
    }
    return EXIT.done;
  });
}

/** `wardline cluster join [TOKEN]` */
export async function clusterJoin(output: Output, options: JoinOptions, token: string | undefined): Promise<ExitCode> {
  requireChangesAllowed();
  if (options.hosts !== undefined) return joinByName(output, options, options.hosts, token);
  if (token === undefined || options.cluster !== undefined || options.candidate) {
    throw new UsageError(
      "Give a token, or --hosts with --cluster.",
      "A token says already which cluster it is of, and as what the host is let in: wardline cluster token",
    );
  }
  const secret = (token === "-" ? await readStream(process.stdin) : token).trim();
  return withTarget(options, async ({ host, session }) => {
    const addresses = host.connection.state.status?.info?.addresses ?? [];
    const peerAddress = options.peerAddress || proposePeerAddress(addresses);
    if (!peerAddress) throw new UsageError("This host tells of no address that would do.", "Give --peer-address.");
    const answer = await session.backend.clusters.onHost(host, (client) =>
      client.joinCluster({ token: secret, peerAddress }, { timeoutMs: CHANGE_TIMEOUT_MS }),
    );
    const status = answer.status ? bounded(ClusterStatusSchema, answer.status) : null;
    if (output.format === "json") output.json({ status: status ? toJson(ClusterStatusSchema, status) : null });
    else output.text(`${visible(labelOf(host))} is in the cluster ${visible(status?.clusterName ?? "")}.\n`);
    return EXIT.done;
  });
}

async function joinByName(
  output: Output,
  options: JoinOptions,
  selector: string,
  token: string | undefined,
): Promise<ExitCode> {
  if (token !== undefined) throw new UsageError("--hosts and a token do not go together.");
  const { cluster } = options;
  if (cluster === undefined) throw new UsageError("--hosts needs --cluster.", "`wardline cluster list` shows which.");
  return withSession(options, {}, async (session) => {
    const hostIds = selectHostIds(session, selector);
    if (options.peerAddress !== "" && hostIds.length > 1) {
      throw new UsageError("--peer-address is of one host; several are named.");
    }
    const { candidate, label: labels, peerAddress } = options;
    const hosts = hostIds.map((hostId) => ({ hostId, peerAddress, candidate, labels: { ...labels } }));
    const { results } = await session.clusters.joinHosts({ clusterName: cluster, hosts });
    if (output.format === "json") output.json({ hosts: results.map((each) => toJson(JoinHostResultSchema, each)) });
    else {
      for (const result of results) {
        output.text(`${visible(labelOf(session.backend.registry.byId(result.hostId)))}: ${outcome(output, result)}\n`);
      }
    }
    return endOf(results);
  });
}

function outcome({ style }: Output, { problem }: JoinHostResult): string {
  if (!problem) return style.green("joined");
  const hint = problem.hint === "" ? "" : `\n  ${visible(problem.hint)}`;
  return `${style.red("failed")}: ${visible(problem.message)}${hint}`;
}

function endOf(results: readonly JoinHostResult[]): ExitCode {
  const codes = results.flatMap(({ problem }) => (problem ? [exitCodeOf(problem.code)] : []));
  if (codes.length === 0) return EXIT.done;
  return codes.every((code) => code === EXIT.unreachable) ? EXIT.unreachable : EXIT.problems;
}

/** `wardline cluster token`: the token alone on standard output. */
export async function clusterToken(output: Output, options: TokenOptions): Promise<ExitCode> {
  requireChangesAllowed();
  return withCluster(options, async ({ write, clusterName }) => {
    const { member: memberName, candidate, label: labels } = options;
    const request = { memberName, candidate, labels: { ...labels }, expiresIn: durationFromMs(options.expiresIn) };
    const answer = await write((client) => client.createJoinToken(request, { timeoutMs: WRITE_TIMEOUT_MS }));
    const { token, expiresAt } = bounded(CreateJoinTokenResponseSchema, answer);
    if (output.format === "json") output.json(toJson(CreateJoinTokenResponseSchema, answer));
    else {
      output.text(`${visible(token)}\n`);
      const until = expiresAt ? timestampDate(expiresAt).toISOString() : "it is used";
      output.note(`Lets one host into ${visible(clusterName)} until ${until}. Whoever has it can use it.`);
    }
    return EXIT.done;
  });
}

/** `wardline cluster leave` */
export async function clusterLeave(output: Output, options: ReasonOptions): Promise<ExitCode> {
  requireChangesAllowed();
  return withCluster(options, async ({ clusters, clusterName, host }) => {
    const name = visible(labelOf(host));
    const question = `Take ${name} out of the cluster ${visible(clusterName)}? What it enforces stays.`;
    if (!options.yes && !(await confirmOnTerminal(question))) return declined(output);
    const { problems } = await clusters.leaveHost({ hostId: host.id, reason: options.reason });
    if (output.format === "text") for (const problem of problems) output.note(visible(problem));
    return said(output, { left: clusterName, problems }, `${name} has left the cluster ${visible(clusterName)}.`);
  });
}

/** `wardline cluster remove MEMBER` */
export async function clusterRemove(output: Output, options: ReasonOptions, memberName: string): Promise<ExitCode> {
  requireChangesAllowed();
  return withCluster(options, async ({ clusters, clusterName }) => {
    const name = visible(memberName);
    const question = `End the membership of ${name} in ${visible(clusterName)}? Its certificate counts no more.`;
    if (!options.yes && !(await confirmOnTerminal(question))) return declined(output);
    await clusters.removeMember({ clusterName, memberName, reason: options.reason });
    return said(output, { removed: memberName }, `${name} is no member of ${visible(clusterName)} any more.`);
  });
}

/** `wardline cluster resign` */
export async function clusterResign(output: Output, options: ReasonOptions): Promise<ExitCode> {
  requireChangesAllowed();
  return withCluster(options, async ({ clusters, clusterName, status }) => {
    const before = leaderName(status);
    await clusters.resignLeader({ clusterName, reason: options.reason });
    return said(output, { resigned: before }, `${visible(before || "The leader")} has stepped down.`);
  });
}

function leaderName({ currentTerm }: ClusterStatus): string {
  return currentTerm?.leader ?? "";
}

function said(output: Output, value: object, sentence: string): ExitCode {
  if (output.format === "json") output.json(value);
  else output.text(`${sentence}\n`);
  return EXIT.done;
}

function declined(output: Output): ExitCode {
  output.note("Nothing was changed.");
  return EXIT.problems;
}
