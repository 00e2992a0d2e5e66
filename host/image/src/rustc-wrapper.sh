#!/bin/sh
# Stands between cargo and rustc when kernlet builds a native program (see src/native/cargo.rs).
#
# Cargo derives the identity of a crate outside the workspace from its absolute path; the order of functions in
# the program follows from it. The crates that kernlet carries get an identity without the path, so that the same
# program has the same bytes whatever the home of the user who builds it.
case "$CARGO_MANIFEST_DIR" in
"$KERNLET_SDK"/*)
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
