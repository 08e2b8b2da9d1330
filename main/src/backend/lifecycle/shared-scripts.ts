/** Scripts that are the same on every system, and what each script begins with. */
import { fixedScript } from "./script.ts";

export const PRELUDE = `set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
say() { printf '@@ %s %s\\n' "$1" "$2"; }
fail() { say failed "$1 $2"; exit 1; }
next() { IFS= read -r "$1" || fail input "$1"; }
sha() { { if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi; } < "$1" 2>/dev/null | cut -c1-64; }
is_hash() { case $1 in ''|*[!0-9a-f]*) return 1 ;; esac; [ "\${#1}" -eq 64 ]; }
is_name() { case $1 in ''|.*|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "\${#1}" -le 100 ]; }
is_account() { case $1 in ''|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "\${#1}" -le 32 ]; }
is_number() { case $1 in ''|*[!0-9]*) return 1 ;; esac; [ "\${#1}" -le 12 ]; }
is_path() { case $1 in /*) ;; *) return 1 ;; esac; case $1 in */../*|*/..) return 1 ;; esac; [ "\${#1}" -le 300 ]; }
free_kb() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'; }
` as const;

/**
 * What a host is. Unprivileged, changes nothing. Every answer may be missing.
 */
export const PROBE = fixedScript(`${PRELUDE}
say uid "$(id -u)"
say user "$(id -un)"
say system "$(uname -s)"
say release "$(uname -r)"
say machine "$(uname -m)"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
say home_kb "$(free_kb "$HOME")"
has_lib() {
  for dir in /lib /usr/lib /lib64 /usr/lib64 /usr/local/lib /lib/*-linux-gnu /usr/lib/*-linux-gnu; do
    [ -e "$dir/$1" ] && return 0
  done
  ldconfig -p 2>/dev/null | grep -q -F "$1"
}
for each in libbpf.so.1 libatomic.so.1 libstdc++.so.6; do has_lib "$each" && say library "$each"; done
for each in gzip sha256sum shasum sudo nft flock gpasswd usermod systemctl launchctl systemd-sysusers; do
  command -v "$each" >/dev/null 2>&1 && say program "$each"
done
[ -d /run/systemd/system ] && say manager systemd
[ "$(uname -s)" = Darwin ] && say manager launchd
if [ -r /proc/mounts ]; then
  say cgroup2 "$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)"
  say bpffs "$(awk '$3 == "bpf" { print $2; exit }' /proc/mounts)"
fi
if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null 2>&1; then
  if sudo -n true >/dev/null 2>&1; then say sudo free; else say sudo password; fi
fi
for dir in /usr/lib/wardline /usr/local/lib/wardline; do
  agent=$dir/wardline-agent
  [ -f "$agent" ] || continue
  say agent "$agent"
  say agent_sha "$(sha "$agent")"
  say agent_version "$("$agent" --version --json </dev/null 2>/dev/null | head -c 300)"
  [ -f "$agent.previous" ] && say previous_version "$("$agent.previous" --version --json </dev/null 2>/dev/null | head -c 300)"
  owner=$(dpkg-query -S "$agent" 2>/dev/null | cut -d: -f1)
  [ -n "$owner" ] || { owner=$(rpm -qf "$agent" 2>/dev/null) || owner=; }
  [ -n "$owner" ] && say package "$owner"
  break
done
for dir in /usr/lib/wardline /usr/lib /usr/local /; do [ -d "$dir" ] && { say lib_kb "$(free_kb "$dir")"; break; }; done
if command -v systemctl >/dev/null 2>&1; then
  systemctl show -p ActiveState,UnitFileState wardline-agent.service 2>/dev/null | head -n 5 | while IFS= read -r line; do say unit "$line"; done
elif [ -f /Library/LaunchDaemons/io.wardline.agent.plist ]; then
  say unit ActiveState=active
  say unit UnitFileState=enabled
fi
exit 0
`);

/** Where uploads go: a directory that only the user can read. Says which files are there already, whole. */
export const PREPARE = fixedScript(`${PRELUDE}
[ -d "$HOME" ] || fail home "$HOME"
dir=$HOME/.wardline-upload
[ -L "$dir" ] && fail directory "$dir"
mkdir -p "$dir" 2>/dev/null || fail home "$HOME"
[ -O "$dir" ] || fail directory "$dir"
chmod 0700 "$dir"
# What a transfer that was cut off has left; one that is under way elsewhere is younger.
find "$dir" -type f -name '.*' -mmin +10 -exec rm -f {} + 2>/dev/null
say directory "$dir"
while next name; do
  [ "$name" = end ] && break
  next hash
  is_name "$name" && is_hash "$hash" || fail input "$name"
  if [ -f "$dir/$name" ] && [ "$(sha "$dir/$name")" = "$hash" ]; then say have "$name"; else rm -f "$dir/$name"; fi
done
exit 0
`);

/** Checks what was uploaded and gives it its name. */
export const RECEIVE = fixedScript(`${PRELUDE}
dir=$HOME/.wardline-upload
while next name; do
  [ "$name" = end ] && break
  next hash
  is_name "$name" && is_hash "$hash" || fail input "$name"
  [ "$(sha "$dir/$name.part")" = "$hash" ] || { rm -f "$dir/$name.part"; fail hash "$name"; }
  mv -f "$dir/$name.part" "$dir/$name" || fail write "$name"
done
exit 0
`);

/** Removes what was uploaded, and the directory. */
export const CLEAN = fixedScript(`${PRELUDE}
dir=$HOME/.wardline-upload
[ -L "$dir" ] && exit 0
[ -O "$dir" ] && rm -rf "$dir"
exit 0
`);
