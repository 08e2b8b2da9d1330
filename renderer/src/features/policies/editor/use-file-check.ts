import type { DocumentSummary } from "@wardline/api/wardline/console/v1/policies";
import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import { useMemo } from "react";
import { useCheck } from "../hooks/use-check.ts";
import type { LanguageState } from "./language-store.ts";
import { useLanguage } from "./use-language.ts";
import { toWireDocuments, wireProblemsOf } from "./wire.ts";

export interface FileCheck {
  readonly data:
    | { readonly diagnostics: readonly Diagnostic[]; readonly documents: readonly DocumentSummary[] }
    | undefined;
  /** In this file, listed or not. */
  readonly problemCount: number;
  readonly error: unknown;
  readonly isFetching: boolean;
  readonly isPending: boolean;
  /** Whether the backend checks, because the thread of the language cannot. */
  readonly isRemote: boolean;
  readonly language: LanguageState;
}

/** What is wrong with a text, by the thread of the language; by the backend where that fails. */
export function useFileCheck(path: string | null, text: string | null): FileCheck {
  const language = useLanguage(path, text);
  const isRemote = language.failure !== "";
  const remote = useCheck(isRemote ? path : null, isRemote ? text : null);
  const check = language.path === path ? language.check : null;
  const own = useMemo(
    () => (check ? { diagnostics: wireProblemsOf(check), documents: toWireDocuments(check) } : undefined),
    [check],
  );
  if (isRemote) {
    const { data, error, isFetching, isPending } = remote;
    const problemCount = data?.diagnostics.filter(({ source }) => source?.file === path).length ?? 0;
    return { data, problemCount, error, isFetching, isPending, isRemote, language };
  }
  const { problemCount = 0 } = check ?? {};
  const isPending = own === undefined;
  return { data: own, problemCount, error: null, isFetching: language.isChecking, isPending, isRemote, language };
}
