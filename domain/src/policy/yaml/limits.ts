/** Bounds on what is read. Input beyond them is refused with a diagnostic before work is spent on it. */
export interface ReadLimits {
  /** UTF-16 code units of one file; 1 MiB of ASCII. */
  readonly maxFileLength: number;
  /** UTF-16 code units of all files together. */
  readonly maxTotalLength: number;
  readonly maxFiles: number;
  /** Nesting of mappings and lists. */
  readonly maxDepth: number;
  readonly maxDocumentsPerFile: number;
  /** Values in one document after every alias is replaced by what it stands for. */
  readonly maxNodesPerDocument: number;
  readonly maxAliasesPerDocument: number;
  /**
   * Lexical tokens of one file that the full YAML parser may read. It sees only documents with something unusual in them,
   * such as an anchor or a mistake; the limit stands for about a quarter of a second.
   */
  readonly maxFullParserTokensPerFile: number;
  /** Steps of comparing rules with each other, all files together; the limit stands for less than half a second. */
  readonly maxRuleComparisons: number;
  /** Further diagnostics are counted and not listed. */
  readonly maxDiagnostics: number;
}

export const DEFAULT_READ_LIMITS: ReadLimits = {
  maxFileLength: 1024 * 1024,
  maxTotalLength: 16 * 1024 * 1024,
  maxFiles: 20_000,
  maxDepth: 64,
  maxDocumentsPerFile: 10_000,
  maxNodesPerDocument: 200_000,
  maxAliasesPerDocument: 1_000,
  maxFullParserTokensPerFile: 50_000,
  maxRuleComparisons: 1_000_000,
  maxDiagnostics: 1_000,
};
