# A container with nothing in it but the program: `just image` builds the static binary first.
FROM scratch
COPY target/x86_64-unknown-linux-gnu/release/flowtrail /flowtrail
COPY LICENSE-APACHE LICENSE-MIT /
# Nobody: it only reads what is mounted, and writes where it is told to.
USER 65534:65534
WORKDIR /data
ENTRYPOINT ["/flowtrail"]
CMD ["--help"]
