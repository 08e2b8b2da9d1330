import { useQuery } from "@connectrpc/connect-query";
import { skipToken } from "@tanstack/react-query";
import { PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { useEffect, useState } from "react";

const CHECK_AFTER_MS = 300;

/** Checks the text as it stands in the editor, with the rest of the workspace, a moment after the last key. */
export function useCheck(path: string | null, text: string | null) {
  const [settled, setSettled] = useState({ path, text });
  useEffect(() => {
    const timer = setTimeout(() => setSettled({ path, text }), CHECK_AFTER_MS);
    return () => clearTimeout(timer);
  }, [path, text]);
  const isReady = settled.path !== null && settled.text !== null;
  return useQuery(
    PolicyService.method.check,
    isReady ? { files: [{ path: settled.path ?? "", text: settled.text ?? "" }], standalone: false } : skipToken,
    { placeholderData: (previous) => previous, gcTime: 10_000 },
  );
}
