# shellcheck shell=bash
# Real Kubernetes servers and clients for the tests. Sourced by tests/run, whose `say`, `cache`, `apt_install` and
# `command_or_package` it uses:
#
#   kubernetes_tools || for part in "${kubernetes_missing[@]}"; do absent "$part" "log: $kubernetes_log"; done
#
# kube-apiserver, etcd and the current kubectl are built from the Go module proxy in the versions of kubernetes/go.mod:
# some minutes once, and again when those change. etcd is the one that kube-apiserver is released with. The old kubectl
# is the one of the distribution, 1.20 in Debian 12. $KUBEBUILDER_ASSETS, a directory with kube-apiserver, etcd and
# kubectl, wins where it is set.

kubernetes_module=$(cd "$(dirname "${BASH_SOURCE[0]}")/kubernetes" && pwd)
kubernetes_log=$cache/kubernetes.log
kubernetes_missing=()

# kubernetes_tools [TOOL…]: exports WEIR_TEST_KUBE_APISERVER, WEIR_TEST_ETCD, WEIR_TEST_KUBECTL_CURRENT and
# WEIR_TEST_KUBECTL_OLD, the paths of the programs. TOOL is one more that kubernetes/go.mod lists:
# kube-controller-manager exports WEIR_TEST_KUBE_CONTROLLER_MANAGER. False when a part is absent: then
# $kubernetes_missing names it and $kubernetes_log tells why.
kubernetes_tools() {
    local tool path bin version name wanted=()
    version=$(sed -n 's,^\tk8s.io/kubernetes \(v[0-9.]*\).*,\1,p' "$kubernetes_module/go.mod")
    bin=$cache/kubernetes-$version-$(cat "$kubernetes_module"/go.{mod,sum} | sha256sum | cut -c1-8)
    : >"$kubernetes_log"
    kubernetes_missing=()

    for tool in kube-apiserver etcd kubectl "$@"; do
        [ -x "${KUBEBUILDER_ASSETS:-/nowhere}/$tool" ] || [ -x "$bin/$tool" ] || wanted+=("$tool")
    done
    [ ${#wanted[@]} = 0 ] || kubernetes_build "$bin" "$version" "${wanted[@]}" || true
    for tool in kube-apiserver etcd kubectl "$@"; do
        path=$bin/$tool
        [ ! -x "${KUBEBUILDER_ASSETS:-/nowhere}/$tool" ] || path=$(cd "$KUBEBUILDER_ASSETS" && pwd)/$tool
        name=WEIR_TEST_$(printf %s "${tool/%kubectl/kubectl-current}" | tr a-z- A-Z_)
        if [ -x "$path" ]; then export "$name=$path"; else kubernetes_missing+=("$tool"); fi
    done
    kubernetes_old_kubectl || kubernetes_missing+=("an old kubectl")
    command_or_package openssl openssl || kubernetes_missing+=("openssl")
    [ ${#kubernetes_missing[@]} = 0 ]
}

# kubernetes_build BIN VERSION TOOL…: one program after the other, each there whole or not at all. Two at once wait for
# each other. What Go downloads and compiles on the way is some 4 GB, kept only until all are built.
kubernetes_build() (
    local bin=$1 version=$2 tool package stamps='-s -w' of
    shift 2
    mkdir -p "$bin" "$cache/go"
    if command -v flock >/dev/null; then exec 9>"$cache/go.lock" && flock 9; fi
    export GOMODCACHE=$cache/go/mod GOCACHE=$cache/go/build GOFLAGS='-modcacherw -trimpath -buildvcs=false'
    export GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0
    kubernetes_go || return 1
    cd "$kubernetes_module" || return 1
    # Without the stamps every program says it is v0.0.0-master.
    for of in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        stamps+=" -X $of.gitVersion=$version -X $of.gitMajor=$(cut -d. -f1 <<<"${version#v}")"
        stamps+=" -X $of.gitMinor=$(cut -d. -f2 <<<"$version")"
    done
    for tool in "$@"; do
        [ ! -x "$bin/$tool" ] || continue
        case $tool in
        etcd) package=go.etcd.io/etcd/server/v3 ;;
        *) package=k8s.io/kubernetes/cmd/$tool ;;
        esac
        say "building $tool for Kubernetes $version"
        if ! "$go" build -ldflags "$stamps" -o "$bin/$tool.$$" "$package" >>"$kubernetes_log" 2>&1; then
            rm -f "$bin/$tool.$$"
            return 1
        fi
        mv "$bin/$tool.$$" "$bin/$tool" || return 1
    done
    rm -rf "$cache/go"
)

# Sets `go` to a Go that go.mod accepts. An older one, as distributions have it, fetches the one that go.mod names.
kubernetes_go() {
    local need have
    need=$(sed -n 's/^go //p' "$kubernetes_module/go.mod")
    go=$(PATH=$PATH:/usr/local/go/bin command -v go) ||
        { command_or_package go golang-go && go=$(command -v go); } ||
        { echo "Go is missing: install Go $need or newer" >>"$kubernetes_log"; return 1; }
    have=$("$go" env GOVERSION | sed 's/^go//; s/[^0-9.].*//')
    [ "$(printf '%s\n' "$need" "$have" | sort -V | head -1)" = "$need" ] && return
    have=golang.org/toolchain@v0.0.1-go$need.$("$go" env GOOS)-$("$go" env GOARCH)
    say "downloading Go $need"
    (cd "$cache/go" && "$go" mod download "$have") >>"$kubernetes_log" 2>&1 || return 1
    have=$GOMODCACHE/$have
    # Module archives keep no modes.
    chmod +x "$have"/bin/* "$have"/pkg/tool/*/* && go=$have/bin/go && unset GOROOT
}

# The kubectl of the distribution, beside any other one that is installed.
kubernetes_old_kubectl() {
    local kubectl=$cache/kubectl-old dir
    if ! [ -x "$kubectl" ]; then
        say "downloading the kubectl of the distribution"
        dir=$(mktemp -d) || return 1
        # With no package, apt_install only refreshes the lists.
        (cd "$dir" &&
            { apt-get download -q kubernetes-client || { apt_install && apt-get download -q kubernetes-client; }; } &&
            dpkg-deb -x kubernetes-client_*.deb . && cp usr/bin/kubectl "$kubectl.$$" && mv "$kubectl.$$" "$kubectl") \
            >>"$kubernetes_log" 2>&1 || { rm -rf "$dir" "$kubectl.$$"; return 1; }
        rm -rf "$dir"
    fi
    "$kubectl" version --client >>"$kubernetes_log" 2>&1 || return 1
    export WEIR_TEST_KUBECTL_OLD=$kubectl
}
