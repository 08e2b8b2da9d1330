import type {
  Direction,
  Endpoint,
  Namespace,
  Peer,
  Policy,
  PolicyTest,
  PortMatch,
  SourceRange,
  Tier,
} from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import type { Metadata, MetadataRules } from "./names.ts";
import type { ObjectReader } from "./object-reader.ts";
import type { DocumentSchema } from "./schema/document-schema.ts";
import type { Field } from "./schema/shape.ts";

/** What a reader makes of one document, with the places that the meaning checks point at. */
export type ReadObject =
  | {
      readonly kind: "policy";
      readonly policy: Policy;
      readonly subjectSource: SourceRange;
      /** Peers that are services of other documents; `references.ts` puts them into the rules. */
      readonly serviceUses?: readonly ServiceUse[];
    }
  /** One document that says what here takes several policies, each with a key of its own that begins with the document's. */
  | {
      readonly kind: "policies";
      readonly parts: readonly { readonly policy: Policy; readonly subjectSource: SourceRange }[];
    }
  | { readonly kind: "service"; readonly service: Service }
  | {
      readonly kind: "test";
      readonly test: PolicyTest;
      readonly references: readonly CaseReferences[];
    }
  | {
      readonly kind: "endpoint";
      readonly endpoint: Endpoint;
      readonly addressSources: ReadonlyMap<string, SourceRange>;
      /** Where a workload names its host. */
      readonly hostSource: SourceRange | null;
    }
  | { readonly kind: "namespace"; readonly namespace: Namespace };

/** A service by name, as a peer or an end names it. */
export interface ServiceReference {
  readonly name: string;
  readonly namespace: string;
  /** The whole reference, and the name in it. */
  readonly source: SourceRange;
  readonly nameSource: SourceRange;
  /** Whether the name stands in quotes, for fixes. */
  readonly quoted: boolean;
}

/** A service among the peers of a rule. */
export interface ServiceUse extends ServiceReference {
  readonly direction: Direction;
  readonly ruleIndex: number;
}

/** What a service stands for. */
export interface Service {
  /** `Service/namespace/name`. */
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  readonly peers: readonly Peer[];
  /** `null` = every port and protocol. */
  readonly ports: readonly PortMatch[] | null;
}

/** What a test case names in other documents. */
export interface CaseReferences {
  readonly caseIndex: number;
  readonly from: ServiceReference | null;
  readonly to: ServiceReference | null;
  readonly policy: PolicyReference | null;
}

/** A policy by its key, or by namespace and name alone. */
export interface PolicyReference {
  readonly text: string;
  readonly namespace: string;
  readonly source: SourceRange;
  readonly rule: { readonly text: string; readonly source: SourceRange } | null;
}

export interface DocumentInput {
  readonly report: Reporter;
  /** The mapping of the document, its top-level fields already checked. */
  readonly document: ObjectReader;
  readonly metadata: Metadata;
  /** From the first to the last field of the document. */
  readonly source: SourceRange;
}

/**
 * Reads one kind of document. A format is one file with one of these; formats/registry.ts lists them. `read` reports
 * everything that is wrong and gives the best it could make of the rest; the caller leaves policies with errors out.
 */
export interface DocumentReader {
  readonly apiVersion: string;
  readonly kind: string;
  readonly tier: Tier | null;
  readonly metadata: MetadataRules;
  /** Top-level fields besides apiVersion, kind and metadata. */
  readonly fields: readonly string[];
  /** What the document may hold; its JSON Schema and its table on the reference page come from here. */
  readonly schema?: DocumentSchema;
  /** For kinds without such a declaration: what an editor offers in their top-level fields. */
  readonly offered?: Readonly<Record<string, Field>>;
  /** Unique over all documents: `Kind/namespace/name`, or `Kind/name` where names are unique without a namespace. */
  key(metadata: Metadata): string;
  read(input: DocumentInput): ReadObject | null;
}
