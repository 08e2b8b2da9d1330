/** Questions about the desired set and about who is where. Of a host where nothing was ever written the answers are empty. */
import { create } from "@bufbuild/protobuf";
import * as wire from "@wardline/api/wardline/agent/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { ClusterAccess } from "./clusterAccess.ts";
import { shown } from "./fields.ts";
import * as check from "./requests.ts";

export class ClusterReader {
  readonly #cluster: Pick<ClusterAccess, "reads">;

  constructor(cluster: Pick<ClusterAccess, "reads">) {
    this.#cluster = cluster;
  }

  async listDocuments(request: wire.ListDocumentsRequest): Promise<wire.ListDocumentsResponse> {
    check.checkListDocuments(request);
    const reads = await this.#cluster.reads();
    return reads?.desired.list(request) ?? create(wire.ListDocumentsResponseSchema);
  }

  async getDocument(request: wire.GetDocumentRequest): Promise<wire.GetDocumentResponse> {
    check.checkGetDocument(request);
    const reads = await this.#cluster.reads();
    if (reads === null) throw noDocument(request.key);
    return reads.desired.get(request);
  }

  async listDocumentHistory(request: wire.ListDocumentHistoryRequest): Promise<wire.ListDocumentHistoryResponse> {
    check.checkListHistory(request);
    const reads = await this.#cluster.reads();
    if (reads === null) throw noDocument(request.key);
    return reads.desired.history(request);
  }

  async listSets(request: wire.ListSetsRequest): Promise<wire.ListSetsResponse> {
    check.checkListSets(request);
    const reads = await this.#cluster.reads();
    return reads?.desired.sets(request) ?? create(wire.ListSetsResponseSchema);
  }

  async listServices(request: wire.ListServicesRequest): Promise<wire.ListServicesResponse> {
    check.checkListServices(request);
    const reads = await this.#cluster.reads();
    const instances = reads === null ? [] : [...(await reads.registry.list(request))];
    return create(wire.ListServicesResponseSchema, { instances });
  }

  async resolve(request: wire.ResolveRequest): Promise<wire.ResolveResponse> {
    const query = check.readQuery(request);
    const reads = await this.#cluster.reads();
    const { endpoints, stale } = (await reads?.resolver.resolve(query)) ?? { endpoints: [], stale: false };
    return create(wire.ResolveResponseSchema, { endpoints: [...endpoints], stale });
  }
}

function noDocument(key: string): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `There is no document ${shown(key)}: nothing was ever written here.`,
  });
}
