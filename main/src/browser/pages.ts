/** The few pages that people see instead of the console. They need nothing but themselves. */

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto 0;padding:0 1.5rem;color:#1b2430;background:#f7f8fa}
h1{font-size:20px;margin:0 0 .5rem}code{font:13px ui-monospace,monospace;background:#e7eaef;padding:.1em .35em;border-radius:4px}
@media(prefers-color-scheme:dark){body{color:#dfe5ee;background:#12161c}code{background:#232a34}}`;

/** Texts are ours; nothing of a request is ever put into a page. */
function page(nonce: string, title: string, body: string, head = ""): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">${head}<title>${title} · Wardline</title><style nonce="${nonce}">${STYLE}</style></head><body><main><h1>${title}</h1>${body}</main></body></html>`;
}

const NEW_LINK =
  "<p>Go to the terminal where Wardline runs and open the link it shows there, or run <code>npm start</code> again.</p>";

export const PAGES = {
  tokenUsed: (nonce: string) =>
    page(
      nonce,
      "This link was used already",
      `<p>Each link opens the console once. If it was not you who used it, stop Wardline.</p>${NEW_LINK}`,
    ),
  tokenExpired: (nonce: string) =>
    page(nonce, "This link has expired", `<p>A link is valid for ten minutes.</p>${NEW_LINK}`),
  tokenUnknown: (nonce: string) =>
    page(nonce, "This link does not fit", `<p>It is from another start of Wardline, or not complete.</p>${NEW_LINK}`),
  noSession: (nonce: string) =>
    page(
      nonce,
      "No session in this browser",
      `<p>The console opens only with the link that was made for you.</p>${NEW_LINK}`,
    ),
  notFound: (nonce: string) => page(nonce, "Not found", '<p><a href="/">Go to the console</a></p>'),
  /** A browser that comes from elsewhere keeps strict cookies back until a navigation of our own. */
  continue: (nonce: string) =>
    page(
      nonce,
      "Opening Wardline",
      '<p><a href="/?continue">Continue</a></p>',
      '<meta http-equiv="refresh" content="0;url=/?continue">',
    ),
};
