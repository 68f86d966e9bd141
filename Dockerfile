# The groundswell binary and the data sets that it can be tried on.
#
#   docker build -t groundswell:local .
#   docker run --rm groundswell:local replay /usr/share/groundswell/fixtures/spotify-2023-04-20/posts.jsonl.zst

# The tag is the toolchain of rust-toolchain.toml. The file itself stays outside: for its sake rustup would fetch clippy
# and rustfmt.
FROM rust:1.95.0-slim-bookworm AS build
# librdkafka is compiled from source, against the OpenSSL of the Debian that it will run on.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends build-essential libssl-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The caches outlive the layer, so a changed source file does not mean compiling every dependency again. What they hold
# is not part of the image: hence the copy.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p groundswell --features tls \
 && cp target/release/groundswell /usr/local/bin/groundswell

# The suite's tag, not a dated one: a rebuild takes Debian's security fixes.
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates libssl3 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 groundswell \
 && useradd --uid 10001 --gid groundswell --no-create-home --no-log-init --shell /usr/sbin/nologin groundswell
COPY --from=build /usr/local/bin/groundswell /usr/local/bin/groundswell
COPY fixtures /usr/share/groundswell/fixtures
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/groundswell/
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
# A library that is missing here fails the build, not the first start.
RUN ["groundswell", "--version"]
ENTRYPOINT ["groundswell"]
CMD ["--help"]
