import type { Plugin } from "vite";

/** The language of the console's own texts. */
const LANGUAGE = "en-US";
const LOCALE_FILE = /\/react-(?:aria|aria-components|stately)\/.*\/intl\/(?:.*\/)?([a-z]{2}-[A-Z]{2})\.mjs$/u;

/**
 * Leaves out what React Aria says to screen readers in other languages than the console's: a text of ours would be read
 * in one language and the hint after it in another. React Aria drops empty tables and takes English.
 */
export function oneLanguage(): Plugin {
  return {
    name: "wardline:one-language",
    apply: "build",
    enforce: "pre",
    load: {
      filter: { id: LOCALE_FILE },
      handler(id) {
        const [, locale] = LOCALE_FILE.exec(id) ?? [];
        return locale === LANGUAGE ? null : { code: "export default undefined;" };
      },
    },
  };
}
