import { compile, readPolicyFiles, stateDigest } from "@wardline/domain/policy";
import type { PolicyEngine } from "./policyEngine.ts";

/** The engine of `@wardline/domain/policy`. */
export const domainEngine: PolicyEngine = { read: (files) => readPolicyFiles(files), compile, stateDigest };
