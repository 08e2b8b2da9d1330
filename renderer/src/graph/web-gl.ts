let known: boolean | null = null;

/** Whether this window can draw with WebGL 2. Asked once: each try takes a context of the few that there are. */
export function hasWebGl(): boolean {
  if (known !== null) return known;
  const context = document.createElement("canvas").getContext("webgl2");
  known = context !== null;
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return known;
}
