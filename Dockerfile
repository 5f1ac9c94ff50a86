# syntax=docker/dockerfile:1
# The server and the command line in one image. Only /data is written, so the root file system can be read-only:
#
#   docker build -t affiant .
#
# Once, to make the authority; the root's key goes to a medium that leaves the server:
#
#   docker run --rm -v affiant-data:/data -v ./passphrase:/run/secrets/passphrase:ro -v ./root:/root-key affiant \
#     certs init --data /data --passphrase-file /run/secrets/passphrase --root-key /root-key/root.pem \
#     --organisation "Example" --base-url https://ledger.example
#
# And then:
#
#   docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -p 8440:8440 -v affiant-data:/data -v ./passphrase:/run/secrets/passphrase:ro affiant
#
# There is no HEALTHCHECK, because the image has no HTTP client: let the orchestrator ask GET /healthz (the process
# answers) and GET /readyz (records are taken) on port 8440.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock askama.toml ./
COPY certs certs
COPY src src
COPY web web
# The page verifies in the reader's browser: first the verifier as WebAssembly, then the server with it inside.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    rustup target add wasm32-unknown-unknown \
    && cargo run --locked --quiet --manifest-path web/build/Cargo.toml --target-dir target/web-build \
    && cargo build --profile dist --locked --features browser && install -D target/dist/affiant /out/affiant
# Owned by the user of the image, so that a fresh volume is too.
RUN install -d -m 0700 /out/data

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin affiant
COPY --from=build /out/affiant /usr/local/bin/affiant
COPY --from=build --chown=10001:10001 /out/data /data
COPY policies /usr/share/affiant/policies
COPY LICENSE /usr/share/affiant/LICENSE
ENV AFFIANT__SERVER__LISTEN=0.0.0.0:8440 \
    AFFIANT__DATA__DIR=/data \
    AFFIANT__DATA__PASSPHRASE_FILE=/run/secrets/passphrase \
    AFFIANT__SCORECARDS__DIR=/usr/share/affiant/policies/scorecards
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8440
STOPSIGNAL SIGTERM
ENTRYPOINT ["affiant"]
CMD ["serve"]
