/** The accounts of a test machine: one for each role, and two that may become root. */

/** Of every account that has one. These machines are nowhere but on this one. */
export const ACCOUNT_PASSWORD = "fleet";
/** SHA-512 crypt of {@link ACCOUNT_PASSWORD}. */
const PASSWORD_HASH =
  "$6$fleetsalt$Zb4K2WKaOub4kMMnEZU/WANkvvDRaYGk0Joc7v7K.z/H/Jkn5SefSnTRe4Uyxkbe5SHNM7xpzrdl/egyop1HS/";

export const ACCOUNTS = ["root", "admin", "operator", "viewer", "stranger", "deploy", "maintainer"] as const;
export type Account = (typeof ACCOUNTS)[number];

interface Row {
  readonly userId: number;
  readonly home: string;
  readonly groups: readonly string[];
}

const ROWS: Readonly<Record<Account, Row>> = {
  root: { userId: 0, home: "/root", groups: [] },
  admin: { userId: 2001, home: "/home/admin", groups: ["wardline", "wardline-admins"] },
  operator: { userId: 2002, home: "/home/operator", groups: ["wardline", "wardline-operators"] },
  viewer: { userId: 2003, home: "/home/viewer", groups: ["wardline"] },
  stranger: { userId: 2004, home: "/home/stranger", groups: [] },
  // sudo asks for nothing.
  deploy: { userId: 2005, home: "/home/deploy", groups: [] },
  // sudo asks for the password.
  maintainer: { userId: 2006, home: "/home/maintainer", groups: [] },
};

const GROUP_IDS = { wardline: 2100, "wardline-operators": 2101, "wardline-admins": 2102 } as const;

export const accountRow = (account: Account): Row => ROWS[account];

/** Files of /etc by name. @param hasRoles whether the groups of the roles are there, as after an installation */
export function accountFiles(hasRoles: boolean): Readonly<Record<string, string>> {
  const rows = Object.entries(ROWS);
  const passwd = rows.map(([name, { userId, home }]) => `${name}:x:${userId}:${userId}:${name}:${home}:/bin/bash`);
  const ownGroups = rows.map(([name, { userId }]) => `${name}:x:${userId}:`);
  const roleGroups = Object.entries(GROUP_IDS).map(([group, id]) => {
    const members = rows.filter(([, row]) => row.groups.includes(group)).map(([name]) => name);
    return `${group}:x:${id}:${members.join(",")}`;
  });
  const shadow = rows.map(([name]) => `${name}:${name === "root" ? "*" : PASSWORD_HASH}:19000:0:99999:7:::`);
  const system = { passwd: "sshd:x:110:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin" };
  return {
    passwd: `${[...passwd, system.passwd].join("\n")}\n`,
    group: `${[...ownGroups, "tty:x:5:", "shadow:x:42:", "nogroup:x:65534:", ...(hasRoles ? roleGroups : [])].join("\n")}\n`,
    shadow: `${[...shadow, "sshd:!:19000::::::", "nobody:*:19000::::::"].join("\n")}\n`,
    gshadow: "",
    sudoers: [
      "Defaults env_reset, !lecture",
      'Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"',
      "root ALL=(ALL:ALL) ALL",
      "@includedir /etc/sudoers.d",
      "",
    ].join("\n"),
    "sudoers.d/fleet": "deploy ALL=(ALL:ALL) NOPASSWD: ALL\nmaintainer ALL=(ALL:ALL) ALL\n",
  };
}
