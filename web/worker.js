// The worker: opens a trust policy, hashes recordings as they stream by, verifies. `web/build` puts it behind the
// WebAssembly (`WASM`: gzip, base64) and what wasm-bindgen writes around it (`wasm_bindgen`), into `web/dist/verifier.js`.
//
// It has a Content-Security-Policy without any `connect-src`: what it reads, it cannot send.
(() => {
  "use strict";

  /** Bytes that are read at once, and so the memory that a recording of any size takes. */
  const SLICE_BYTES = 1 << 20;

  let verifier;

  async function start() {
    const gzip = Uint8Array.from(atob(WASM), (character) => character.charCodeAt(0));
    const plain = new Blob([gzip]).stream().pipeThrough(new DecompressionStream("gzip"));
    wasm_bindgen.initSync({ module: await new Response(plain).arrayBuffer() });
  }

  async function bytesOf(blob, name) {
    try {
      return new Uint8Array(await blob.arrayBuffer());
    } catch {
      throw `${name} cannot be read: has it been moved or changed since it was chosen?`;
    }
  }

  /** Opens a trust policy; what was found out under the one before is forgotten. */
  function open(policy) {
    const opened = wasm_bindgen.PageVerifier.open(policy);
    verifier?.free();
    verifier = opened;
    return { name: verifier.policy_name(), digest: verifier.policy_digest(), text: verifier.policy_text() };
  }

  async function digestsOf(recording, advance) {
    const digester = wasm_bindgen.RecordingDigester.empty();
    for (let at = 0; at < recording.size; at += SLICE_BYTES) {
      const slice = await bytesOf(recording.slice(at, at + SLICE_BYTES), recording.name);
      digester.update(slice);
      advance(slice.length);
    }
    return digester;
  }

  async function verify({ files, recordings, now }) {
    const total = recordings.reduce((sum, recording) => sum + recording.size, 0);
    let done = 0;
    const given = wasm_bindgen.GivenFiles.empty();
    for (const { name, file } of files) {
      const most = wasm_bindgen.GivenFiles.file_bytes_max();
      if (file.size > most) throw `${file.name} has ${file.size} bytes; no record or bundle has more than ${most}`;
      given.add_file(name, await bytesOf(file, file.name));
    }
    for (const recording of recordings) {
      const advance = (bytes) => postMessage({ progress: { name: recording.name, done: (done += bytes), total } });
      given.add_recording(recording.name, await digestsOf(recording, advance));
    }
    const began = performance.now();
    const report = verifier.verify(given, now);
    const [part, json] = [report.to_part(), report.to_json()];
    const milliseconds = performance.now() - began;
    const answer = { code: report.code(), part, json, page: report.to_page(), milliseconds };
    report.free();
    given.free();
    return answer;
  }

  const started = start();

  // One question at a time: the page waits for its answer before it asks the next.
  self.onmessage = async ({ data }) => {
    try {
      await started;
      postMessage({ answer: data.open === undefined ? await verify(data.verify) : open(data.open) });
    } catch (reason) {
      // A string is for the reader; anything else is a fault of ours, after which nothing in here is relied on.
      if (typeof reason !== "string") throw reason;
      postMessage({ refused: reason });
    }
  };
})();
