# syntax=docker/dockerfile:1
# The local runner, in about 40 MB: no shell, no package manager, not root.
#
#   docker build --tag llm-monitor .
#   docker run --rm --publish 127.0.0.1:8000:8000 --env-file .env --volume llm-monitor:/data llm-monitor
#   docker run --rm llm-monitor check --help

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
# The caches keep what was compiled between builds; the program is moved out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --package llm-monitor \
    && install -D target/release/llm-monitor /out/llm-monitor \
    && mkdir /out/data

FROM busybox:1.37-musl AS busybox

# Holds the C library, its certificates and a user 65532 who owns nothing.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/llm-monitor /usr/local/bin/llm-monitor
COPY --from=build --chown=65532:65532 /out/data /data
# One static program for the health check. Under this name it is wget and nothing else.
COPY --from=busybox /bin/busybox /usr/local/bin/wget

USER 65532:65532
WORKDIR /data
VOLUME /data
# Inside a container loopback is nobody's: `--publish` decides who gets in. Set API_TOKEN where that is more than this machine.
ENV LISTEN=0.0.0.0:8000 \
    LATENCY_DATA_CSV=/data/latency_data.csv
EXPOSE 8000
# 503 (stale: no cycle lately; unavailable: records cannot be read) is unhealthy. Until the first cycle it is `starting`, which is 200.
# LISTEN with another port needs another check.
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["/usr/local/bin/wget", "-q", "-T", "4", "-O", "/dev/null", "http://127.0.0.1:8000/health"]
ENTRYPOINT ["/usr/local/bin/llm-monitor"]
CMD ["serve"]
