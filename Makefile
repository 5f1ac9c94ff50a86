# make check is what a change has to pass; CI (.ci/run) runs more.

.PHONY: check fmt clippy pure doc test deny advisories build web browser image

check: fmt clippy pure doc test deny

fmt:
	cargo fmt --check

clippy:
	cargo clippy --locked --all-targets -- -D warnings

# The verifier alone, without disk, socket and clock.
pure:
	cargo clippy --locked --no-default-features --lib -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

test:
	cargo test --locked

# Licences, bans and sources need no network.
deny:
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check bans licenses sources; \
	else echo "cargo-deny is not installed: licences are not checked"; fi

# Needs the advisory database, and so the network.
advisories:
	cargo deny --locked check advisories

# What ships: target/dist/affiant.
build:
	cargo build --locked --profile dist

# The verifier for the browser, into web/dist: what the feature `browser` builds in.
web:
	@if command -v rustup >/dev/null; then rustup target add wasm32-unknown-unknown; fi
	cargo run --locked --quiet --manifest-path web/build/Cargo.toml --target-dir target/web-build

# The page in a headless Chromium.
browser: web
	cargo test --locked --features browser --test browser

image:
	docker build -t affiant .
