/**
 * How a test machine gets a file system of its own: this machine's as the lower layer, never written, and memory above it for
 * whatever the test machine writes. Processes see no mount of this machine any more, its control groups and BPF file system
 * least of all.
 */
import { fileURLToPath } from "node:url";

export const CHECKOUT = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
export const MACHINE_MAIN = fileURLToPath(new URL("./machine/machine-main.ts", import.meta.url));

/** Joins the machine's control group first: nothing of the machine ever runs outside of it. */
export const ENTER_CGROUP = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"';

export const UNSHARE = ["unshare", "--mount", "--uts", "--ipc", "--cgroup", "--propagation", "private"] as const;

/** Arguments: base folder, staged files, checkout, size of the state's file system or `-`, name, then what to become. */
export const BUILD_ROOT = `set -eu
base=$1 staged=$2 checkout=$3 state=$4 name=$5
shift 5
mount -t tmpfs -o mode=755 fleet "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" overlay "$base/root"
cd "$base/root"
mount -t proc proc proc
# As systemd sets it on every host (50-default.conf): anybody may send echoes. A new network namespace allows nobody.
echo '0 2147483647' > proc/sys/net/ipv4/ping_group_range
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf -o mode=700 bpf sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs dev
for each in null zero full random urandom tty; do
  touch "dev/$each"
  mount --bind "/dev/$each" "dev/$each"
done
# Absent where the kernel has no such devices; nothing but overlays needs it.
if [ -c /dev/net/tun ]; then
  mkdir dev/net
  touch dev/net/tun
  mount --bind /dev/net/tun dev/net/tun
fi
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=711 tmpfs root
mkdir -p home
mount -t tmpfs -o mode=755 tmpfs home
rm -rf etc/systemd/system etc/sudoers.d usr/lib/systemd/system/wardline-* usr/lib/wardline
rm -f etc/ssh/ssh_host_*
mkdir -p run/sshd run/systemd/system run/lock run/old etc/systemd/system etc/sudoers.d var/lib/wardline var/log/services
# Always of its own: an agent of this machine may have left records there.
if [ "$state" = - ]; then state=50%; fi
mount -t tmpfs -o "size=$state,mode=700" wardline-state var/lib/wardline
mkdir -p "$checkout/.cache/compile" ".$checkout"
mount --bind "$checkout" ".$checkout"
mount -o remount,bind,ro ".$checkout"
mount --bind "$checkout/.cache/compile" ".$checkout/.cache/compile"
cp -a "$staged/." .
hostname "$name"
pivot_root . run/old
umount -l run/old
rmdir run/old
cd /
exec "$@"
`;
