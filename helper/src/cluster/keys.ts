/** Where things are in the store. The only place that puts keys together. Values are proto3 JSON of wardline.v1 messages. */

/** Numbers as 20 digits, so that the order of keys is the order of numbers. */
const digits = (number: bigint | number) => number.toString().padStart(20, "0");

export class Keys {
  readonly #root: string;

  /** @param root ends without a slash: `/wardline/v1` */
  constructor(root = "/wardline/v1") {
    this.#root = root;
  }

  get root(): string {
    return `${this.#root}/`;
  }
  /** Name, trust domain, settings. */
  get cluster(): string {
    return `${this.#root}/cluster`;
  }
  /** Everything about who leads: one watch is enough. */
  get election(): string {
    return `${this.#root}/election/`;
  }
  /** Held with the leader's lease; its create revision and the term in it are the fence of every write. */
  get leader(): string {
    return `${this.#root}/election/leader`;
  }
  /** The newest term that was ever given. */
  get newestTerm(): string {
    return `${this.#root}/election/newest-term`;
  }
  get terms(): string {
    return `${this.#root}/election/terms/`;
  }
  term(number: bigint): string {
    return `${this.terms}${digits(number)}`;
  }
  get members(): string {
    return `${this.#root}/members/`;
  }
  member(name: string): string {
    return `${this.members}${name}`;
  }
  get presences(): string {
    return `${this.#root}/presence/`;
  }
  presence(name: string): string {
    return `${this.presences}${name}`;
  }
  /** What a member has to know of the desired set: head, newest documents, what is on its way. One watch sees it all. */
  get desired(): string {
    return `${this.#root}/desired/`;
  }
  get head(): string {
    return `${this.#root}/desired/head`;
  }
  get documents(): string {
    return `${this.#root}/desired/documents/`;
  }
  /** @param documentKey `policy/default/web` */
  document(documentKey: string): string {
    return `${this.documents}${documentKey}`;
  }
  /** Numbers of the last versions of documents whose tombstones are gone. */
  get retired(): string {
    return `${this.#root}/desired/retired/`;
  }
  retiredDocument(documentKey: string): string {
    return `${this.retired}${documentKey}`;
  }
  /** Names the pieces that belong to the head and are not yet in `documents`; see desired/staging.ts. */
  get overlay(): string {
    return `${this.#root}/desired/overlay`;
  }
  get staged(): string {
    return `${this.#root}/desired/staged/`;
  }
  stagedPieces(attempt: string): string {
    return `${this.staged}${attempt}/`;
  }
  stagedPiece(attempt: string, index: number): string {
    return `${this.stagedPieces(attempt)}${digits(index)}`;
  }
  get history(): string {
    return `${this.#root}/past/documents/`;
  }
  historyOf(documentKey: string): string {
    return `${this.history}${documentKey}/`;
  }
  historyVersion(documentKey: string, version: bigint): string {
    return `${this.historyOf(documentKey)}${digits(version)}`;
  }
  get sets(): string {
    return `${this.#root}/past/sets/`;
  }
  set(number: bigint): string {
    return `${this.sets}${digits(number)}`;
  }
  get reports(): string {
    return `${this.#root}/reports/`;
  }
  report(host: string): string {
    return `${this.reports}${host}`;
  }
  get services(): string {
    return `${this.#root}/discovery/services/`;
  }
  service(namespace: string, service: string, instance: string): string {
    return `${this.services}${namespace}/${service}/${instance}`;
  }
  get names(): string {
    return `${this.#root}/discovery/names/`;
  }
  name(domainName: string): string {
    return `${this.names}${domainName}`;
  }
  /** Names that members want looked up, one key per member. */
  get wantedNames(): string {
    return `${this.#root}/discovery/wanted/`;
  }
  wantedNamesOf(member: string): string {
    return `${this.wantedNames}${member}`;
  }
  get identity(): string {
    return `${this.#root}/identity/`;
  }
  /** Certificates of the authority, and its private key sealed for candidates. */
  get authority(): string {
    return `${this.#root}/identity/authority`;
  }
  /** The authority's certificates, signed by its roots, for every member. */
  get bundle(): string {
    return `${this.#root}/identity/bundle`;
  }
  get tokens(): string {
    return `${this.#root}/identity/tokens/`;
  }
  token(id: string): string {
    return `${this.tokens}${id}`;
  }
  /** What members say of what is usual on them, and which movements they saw: JSON, see anomaly/records.ts. */
  get anomalySummaries(): string {
    return `${this.#root}/anomaly/said/summaries/`;
  }
  anomalySummary(member: string): string {
    return `${this.anomalySummaries}${member}`;
  }
  get anomalyMovements(): string {
    return `${this.#root}/anomaly/said/movements/`;
  }
  anomalyMovement(member: string): string {
    return `${this.anomalyMovements}${member}`;
  }
  /** What the leader made of it: one watch sees it all. */
  get anomalyGiven(): string {
    return `${this.#root}/anomaly/given/`;
  }
  get anomalyGroups(): string {
    return `${this.anomalyGiven}groups/`;
  }
  anomalyGroup(group: string): string {
    return `${this.anomalyGroups}${group}`;
  }
  get anomalyChains(): string {
    return `${this.anomalyGiven}chains`;
  }
  /** Everything of the meshes: the leader follows it with one watch. */
  get mesh(): string {
    return `${this.#root}/mesh/`;
  }
  /** What members see of the meshes: see mesh/observationCodec.ts. */
  get meshObservations(): string {
    return `${this.#root}/mesh/said/observations/`;
  }
  meshObservation(member: string): string {
    return `${this.meshObservations}${member}`;
  }
  /** Which orders a member has taken, and what became of them: JSON, see mesh/records.ts. */
  get meshReceipts(): string {
    return `${this.#root}/mesh/said/receipts/`;
  }
  meshReceiptsOf(member: string): string {
    return `${this.meshReceipts}${member}/`;
  }
  meshReceipt(member: string, orderId: string): string {
    return `${this.meshReceiptsOf(member)}${orderId}`;
  }
  /** What people decided on healing, by the member on which they did, until the leader has read it. */
  get meshDecisions(): string {
    return `${this.#root}/mesh/decisions/`;
  }
  meshDecisionsOf(member: string): string {
    return `${this.meshDecisions}${member}/`;
  }
  meshDecision(member: string, id: string): string {
    return `${this.meshDecisionsOf(member)}${id}`;
  }
  /** What the leader wants done, by the member that is to do it; each follows its own. */
  get meshOrders(): string {
    return `${this.#root}/mesh/orders/`;
  }
  meshOrdersOf(member: string): string {
    return `${this.meshOrders}${member}/`;
  }
  meshOrder(member: string, orderId: string): string {
    return `${this.meshOrdersOf(member)}${orderId}`;
  }
  /** What every member tells its consoles of healing: one watch sees it all. */
  get meshGiven(): string {
    return `${this.#root}/mesh/given/`;
  }
  get meshRuns(): string {
    return `${this.meshGiven}runs/`;
  }
  meshRun(id: string): string {
    return `${this.meshRuns}${id}`;
  }
  /** Written by candidates, for an administrator. */
  get meshSettings(): string {
    return `${this.meshGiven}settings`;
  }
  get meshKnowledge(): string {
    return `${this.meshGiven}knowledge`;
  }
  /** Addresses in the meshes, by member, as each said them of itself. */
  get meshAddresses(): string {
    return `${this.meshGiven}addresses`;
  }
  /** Written with each step of the leader: a write that comes late finds it changed. */
  get meshStep(): string {
    return `${this.#root}/mesh/step`;
  }
  get notes(): string {
    return `${this.#root}/notes/`;
  }
  notesOf(document: string): string {
    return `${this.notes}${document}/`;
  }
  note(document: string, number: bigint): string {
    return `${this.notesOf(document)}${digits(number)}`;
  }
  /** Answers already given to writes with a request id. */
  get requests(): string {
    return `${this.#root}/past/requests/`;
  }
  request(id: string): string {
    return `${this.requests}${id}`;
  }
}
