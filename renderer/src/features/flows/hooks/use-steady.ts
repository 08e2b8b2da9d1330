import { useEffect, useRef, useState } from "react";

/** A value that changes often, as it was at most so long ago. */
export function useSteady<Value>(value: Value, stepMs: number): Value {
  const [steady, setSteady] = useState(value);
  const latest = useRef(value);
  latest.current = value;
  useEffect(() => {
    const timer = setInterval(() => setSteady(latest.current), stepMs);
    return () => clearInterval(timer);
  }, [stepMs]);
  return steady;
}
