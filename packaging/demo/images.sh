#!/bin/sh
# images.sh OUTDIR: makes the demo's images from Debian's own packages, with no registry:
#
#   busybox.tar         busybox:1.36                                     Debian's busybox-static
#   node-exporter.tar   prom/node-exporter:v1.7.0                        Debian's prometheus-node-exporter
#   fluentd.tar         fluent/fluentd-kubernetes-daemonset:v1.16        a STAND-IN: busybox and a script
#
# The names are those that the example manifests ask for; the programs are the versions that this Debian has,
# which each image's labels tell. Nothing is installed: packages are downloaded and taken apart.
set -eu

[ $# -eq 1 ] || {
    echo "usage: images.sh OUTDIR" >&2
    exit 2
}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

say() {
    echo "images.sh: $*"
}
fail() {
    echo "images.sh: $*" >&2
    exit 1
}

# fetch PACKAGE: downloads and unpacks into $work/PACKAGE
fetch() {
    mkdir "$work/$1" "$work/$1.deb"
    (
        cd "$work/$1.deb"
        download="apt-get -qq -o APT::Sandbox::User=root download $1"
        $download 2>"$work/log" || { apt-get -qq update && $download; } || {
            cat "$work/log" >&2
            fail "cannot download Debian's package $1"
        }
    )
    dpkg-deb -x "$work/$1.deb"/*.deb "$work/$1"
    dpkg-deb -f "$work/$1.deb"/*.deb Version >"$work/$1.version"
}

# labels TITLE DESCRIPTION: JSON
labels() {
    printf '{"org.opencontainers.image.title":"%s","org.opencontainers.image.description":"%s"}' "$1" "$2"
}

# base ROOTFS: what every image has
base() {
    mkdir -p "$1/bin" "$1/etc" "$1/root" "$1/tmp" "$1/var/log"
    chmod 1777 "$1/tmp"
    chmod 0700 "$1/root"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$1/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
}

# with_busybox ROOTFS
with_busybox() {
    base "$1"
    cp "$busybox" "$1/bin/busybox"
    chmod 0755 "$1/bin/busybox"
    "$busybox" --list | while read -r applet; do
        [ "$applet" = busybox ] || ln -sf busybox "$1/bin/$applet"
    done
}

# with_libraries ROOTFS PROGRAM: the shared libraries that a program needs, where it looks for them
with_libraries() {
    ldd "$2" >"$work/ldd" 2>&1 || return 0 # a static program needs none
    if grep -q 'not found' "$work/ldd"; then
        fail "this machine lacks libraries of $2: $(grep 'not found' "$work/ldd" | tr '\n' ' ')"
    fi
    grep -o '/[^ ]*' "$work/ldd" | while read -r library; do
        mkdir -p "$1$(dirname "$library")"
        cp -L "$library" "$1$library"
    done
}

if dpkg-query -W -f '${Status}\n' busybox-static 2>/dev/null | grep -q '^install ok installed$'; then
    busybox=$(command -v busybox)
    busybox_version=$(dpkg-query -W -f '${Version}' busybox-static)
else
    say "downloading busybox-static"
    fetch busybox-static
    busybox=$(find "$work/busybox-static" -name busybox -type f | head -n 1)
    busybox_version=$(cat "$work/busybox-static.version")
fi

say "busybox:1.36 out of busybox-static $busybox_version"
with_busybox "$work/busybox-root"
"$here/mkimage" busybox:1.36 "$work/busybox-root" "$out/busybox.tar" '[]' '["sh"]' '["PATH=/bin"]' '' '' \
    "$(labels busybox "Debian's busybox-static $busybox_version")"

fetch prometheus-node-exporter
version=$(cat "$work/prometheus-node-exporter.version")
say "prom/node-exporter:v1.7.0 out of prometheus-node-exporter $version"
exporter=$work/prometheus-node-exporter/usr/bin/prometheus-node-exporter
base "$work/exporter-root"
cp "$exporter" "$work/exporter-root/bin/node_exporter"
chmod 0755 "$work/exporter-root/bin/node_exporter"
with_libraries "$work/exporter-root" "$exporter"
"$here/mkimage" prom/node-exporter:v1.7.0 "$work/exporter-root" "$out/node-exporter.tar" \
    '["/bin/node_exporter"]' '[]' '["PATH=/bin"]' '' nobody \
    "$(labels node-exporter "Debian's prometheus-node-exporter $version")"

say "fluent/fluentd-kubernetes-daemonset:v1.16, a STAND-IN out of busybox and a script"
with_busybox "$work/fluentd-root"
cp "$here/fluentd-stand-in" "$work/fluentd-root/bin/fluentd-stand-in"
chmod 0755 "$work/fluentd-root/bin/fluentd-stand-in"
"$here/mkimage" fluent/fluentd-kubernetes-daemonset:v1.16 "$work/fluentd-root" "$out/fluentd.tar" \
    '["/bin/fluentd-stand-in"]' '[]' '["PATH=/bin"]' '' '' \
    "$(labels fluentd-stand-in "A stand-in for fluentd, which it is not: it prints the log lines of other pods")"

say "the images are in $out"
