#!/bin/sh
# Stands between cargo and rustc when kernlet builds a native program (see src/native/cargo.rs).
#
# Cargo derives the identity of a crate that comes from a path from that path and from the identities of what it
# depends on; the order of functions in the program follows from it. Such crates get an identity by name and
# version instead, so that the same program has the same bytes in whatever folder, with whatever home it is built.
# Crates from a registry or from git, which lie in cargo's home, have such an identity already.
case "$CARGO_MANIFEST_DIR" in
"" | "$KERNLET_CARGO_HOME"/*) ;;
*)
    for argument do
        shift
        case "$argument" in
        metadata=*) argument="metadata=$CARGO_PKG_NAME-$CARGO_PKG_VERSION-kernlet" ;;
        esac
        set -- "$@" "$argument"
    done
    ;;
esac
if [ -n "$KERNLET_RUSTC_WRAPPER" ]; then
    exec "$KERNLET_RUSTC_WRAPPER" "$@"
fi
exec "$@"
